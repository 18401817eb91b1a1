package millrace.sink;

import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;

/** A table whose rows go to a store. */
final class StoreTable implements DynamicTableSink {
  private final SinkOptions options;

  StoreTable(SinkOptions options) {
    this.options = options;
  }

  @Override
  public ChangelogMode getChangelogMode(ChangelogMode requested) {
    return options.kind().equals("recents") ? ChangelogMode.insertOnly() : ChangelogMode.upsert();
  }

  @Override
  public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
    return SinkV2Provider.of(new StoreSink<>(shape(), options));
  }

  @Override
  public DynamicTableSink copy() {
    return new StoreTable(options);
  }

  @Override
  public String asSummaryString() {
    return options.store() + " " + options.kind();
  }

  private Shape<?> shape() {
    return switch (options.store() + " " + options.kind()) {
      case "redis tiles" -> new RedisTiles(options);
      case "redis trending" -> new RedisTrending(options);
      case "redis recents" -> new RedisRecents(options);
      case "cassandra tiles" -> new CassandraTiles(options);
      case "cassandra trending" -> new CassandraTrending(options);
      case "cassandra recents" -> new CassandraRecents(options);
      default -> throw new IllegalArgumentException("No such sink: " + asSummaryString());
    };
  }
}
