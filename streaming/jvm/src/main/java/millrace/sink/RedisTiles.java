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
final class RedisTiles implements Shape<RedisTiles.Field> {
  record Field(String id, String slot, String value) {}

  private record Address(String id, String slot) {}

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
  public Field read(RowData row) {
    Level level = options.level(row.getLong(1));
    long start = row.getLong(2);
    String version = options.version(start, row.getLong(3));
    return new Field(row.getString(0).toString(), level.slot(start), version + row.getString(4));
  }

  @Override
  public Object identity(Field field) {
    return new Address(field.id, field.slot);
  }

  @Override
  public void write(Collection<Field> fields) throws Unavailable {
    Map<String, List<String>> hashes = new HashMap<>();
    for (Field field : fields) {
      List<String> pairs = hashes.computeIfAbsent(field.id, id -> new ArrayList<>());
      pairs.add(field.slot);
      pairs.add(field.value);
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
