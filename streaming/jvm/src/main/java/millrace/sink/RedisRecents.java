package millrace.sink;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.data.RowData;

/** Interactions -> a sorted set per actor, trimmed to the newest. */
final class RedisRecents implements Shape<Recent> {
  private final Redis redis;
  private final SinkOptions options;

  RedisRecents(SinkOptions options) {
    this.options = options;
    redis = new Redis(options.address());
  }

  @Override
  public Recent read(RowData row) {
    return Recent.of(row);
  }

  @Override
  public Object identity(Recent recent) {
    return recent;
  }

  @Override
  public long appended(Recent recent) {
    return recent.appended();
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
