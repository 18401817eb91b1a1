package millrace.sink;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/** Interactions -> a sorted set per actor, trimmed to the newest. */
final class RedisRecents implements Recents {
  private final Redis redis;
  private final SinkOptions options;

  RedisRecents(SinkOptions options) {
    this.options = options;
    redis = new Redis(options.address());
  }

  @Override
  public void write(Collection<Recent> recents) throws Unavailable {
    Map<String, Map<String, Double>> members = new HashMap<>();
    for (Recent recent : recents) {
      members
          .computeIfAbsent(recent.actor(), actor -> new HashMap<>())
          .put(recent.value(), (double) recent.eventTime());
    }
    redis.pipelined(
        pipeline ->
            members.forEach(
                (actor, scores) -> {
                  String key = options.key("recent", actor);
                  pipeline.zadd(key, scores);
                  pipeline.zremrangeByRank(key, 0, -options.kept() - 1);
                  pipeline.expire(key, options.livesS());
                }));
  }

  @Override
  public void close() {
    redis.close();
  }
}
