package millrace.sink;

import static java.util.stream.Collectors.groupingBy;

import java.util.Collection;
import org.apache.flink.table.data.RowData;

/** (level ms, start, member, applied, weight) rows -> rows of one partition per tile. */
final class CassandraTrending implements Shape<CassandraTrending.Weight> {
  record Weight(Tile tile, String member, long timestamp, String value) {}

  record Tile(Level level, long start) {}

  private record Address(Tile tile, String member) {}

  private final Cassandra cassandra;
  private final SinkOptions options;

  CassandraTrending(SinkOptions options) {
    this.options = options;
    cassandra = new Cassandra(options);
  }

  @Override
  public Weight read(RowData row) {
    Tile tile = new Tile(options.level(row.getLong(0)), row.getLong(1));
    String value = options.version(tile.start, row.getLong(3)) + row.getLong(4);
    return new Weight(tile, row.getString(2).toString(), options.timestamp(row.getLong(3)), value);
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
    cassandra.write(weights.stream().collect(groupingBy(Weight::tile)).values(), this::values);
  }

  @Override
  public void close() {
    cassandra.close();
  }

  private Object[] values(Weight weight) {
    Level level = weight.tile.level;
    return new Object[] {
      level.code(), weight.tile.start, weight.member, weight.value, weight.timestamp, level.keptS()
    };
  }
}
