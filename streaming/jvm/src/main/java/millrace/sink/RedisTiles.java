package millrace.sink;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.flink.table.data.RowData;
import redis.clients.jedis.Pipeline;

/** (entity id, level ms, start, applied, body) rows -> ring fields of one hash per entity. */
final class RedisTiles implements Shape<RedisTiles.Tile> {
  record Tile(String id, Level level, long start, String value) {}

  private record Address(String id, String level, long start) {}

  private static final long CHANGES_KEPT_MS = 86_400_000;

  private final Redis redis;
  private final Guard upsert;
  private final SinkOptions options;

  RedisTiles(SinkOptions options) {
    this.options = options;
    redis = new Redis(options.address());
    upsert = new Guard(options.statement());
  }

  @Override
  public Tile read(RowData row) {
    Level level = options.level(row.getLong(1));
    long start = row.getLong(2);
    String version = options.version(start, row.getLong(3));
    return new Tile(row.getString(0).toString(), level, start, version + row.getString(4));
  }

  @Override
  public Object identity(Tile tile) {
    // Not the slot: of two tiles that share one, the script keeps the newer.
    return new Address(tile.id, tile.level.code(), tile.start);
  }

  @Override
  public void write(Collection<Tile> tiles) throws Unavailable {
    Map<String, List<String>> hashes = new HashMap<>();
    for (Tile tile : tiles) {
      List<String> pairs = hashes.computeIfAbsent(tile.id, id -> new ArrayList<>());
      pairs.add(tile.level.slot(tile.start));
      pairs.add(tile.value);
    }
    redis.pipelined(
        pipeline -> {
          Guard.Call call = upsert.in(pipeline);
          hashes.forEach((id, pairs) -> call.run(options.key(options.entity(), id), options.livesS(), pairs));
          if (options.tracksChanges()) {
            changed(pipeline, hashes.keySet());
          }
        });
  }

  @Override
  public void close() {
    redis.close();
  }

  /** Hints at which items a server should read again. */
  private void changed(Pipeline pipeline, Set<String> ids) {
    double now = System.currentTimeMillis();
    String key = options.key("items", "changed");
    pipeline.zadd(key, ids.stream().collect(Collectors.toMap(id -> id, id -> now)));
    pipeline.zremrangeByScore(key, 0, now - CHANGES_KEPT_MS);
  }
}
