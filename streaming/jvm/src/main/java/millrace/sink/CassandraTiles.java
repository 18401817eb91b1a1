package millrace.sink;

import static java.util.stream.Collectors.groupingBy;

import java.util.Collection;
import org.apache.flink.table.data.RowData;

/** (entity id, level ms, start, applied, body) rows -> rows of one partition per entity. */
final class CassandraTiles implements Shape<CassandraTiles.Tile> {
  record Tile(String id, Level level, long start, long timestamp, String value) {}

  private record Address(String id, String level, long start) {}

  private final Cassandra cassandra;
  private final SinkOptions options;

  CassandraTiles(SinkOptions options) {
    this.options = options;
    cassandra = new Cassandra(options);
  }

  @Override
  public Tile read(RowData row) {
    long start = row.getLong(2);
    String value = options.version(start, row.getLong(3)) + row.getString(4);
    long timestamp = options.timestamp(row.getLong(3));
    return new Tile(row.getString(0).toString(), options.level(row.getLong(1)), start, timestamp, value);
  }

  @Override
  public Object identity(Tile tile) {
    return new Address(tile.id, tile.level.code(), tile.start);
  }

  @Override
  public void write(Collection<Tile> tiles) throws Unavailable {
    cassandra.write(tiles.stream().collect(groupingBy(Tile::id)).values(), this::values);
  }

  @Override
  public void close() {
    cassandra.close();
  }

  private Object[] values(Tile tile) {
    return new Object[] {
      options.entity(), tile.id, tile.level.code(), tile.start, tile.value, tile.timestamp, tile.level.keptS()
    };
  }
}
