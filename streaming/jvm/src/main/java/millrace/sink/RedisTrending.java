package millrace.sink;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.data.RowData;

/** (level ms, start, member, applied, weight) rows -> one hash per tile. */
final class RedisTrending implements Shape<RedisTrending.Weight> {
  record Weight(String tile, long livesS, String member, String value) {}

  private record Address(String tile, String member) {}

  private final Redis redis;
  private final Guard upsert;
  private final SinkOptions options;

  RedisTrending(SinkOptions options) {
    this.options = options;
    redis = new Redis(options.address());
    upsert = new Guard(options.statement());
  }

  @Override
  public Weight read(RowData row) {
    Level level = options.level(row.getLong(0));
    long start = row.getLong(1);
    String version = options.version(start, row.getLong(3));
    long livesS = level.slots() * level.ms() / 1000;
    String tile = options.key("trend", level.code() + ":" + start);
    return new Weight(tile, livesS, row.getString(2).toString(), version + row.getLong(4));
  }

  @Override
  public Object identity(Weight weight) {
    return new Address(weight.tile, weight.member);
  }

  @Override
  public boolean takesBack() {
    return true;
  }

  @Override
  public void write(Collection<Weight> weights) throws Unavailable {
    Map<String, List<String>> hashes = new HashMap<>();
    Map<String, Long> lives = new HashMap<>();
    for (Weight weight : weights) {
      List<String> pairs = hashes.computeIfAbsent(weight.tile, tile -> new ArrayList<>());
      pairs.add(weight.member);
      pairs.add(weight.value);
      lives.put(weight.tile, weight.livesS);
    }
    redis.pipelined(
        pipeline -> {
          Guard.Call call = upsert.in(pipeline);
          hashes.forEach((tile, pairs) -> call.run(tile, lives.get(tile), pairs));
        });
  }

  @Override
  public void close() {
    redis.close();
  }
}
