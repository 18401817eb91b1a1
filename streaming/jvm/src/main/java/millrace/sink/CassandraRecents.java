package millrace.sink;

import static java.util.stream.Collectors.groupingBy;

import java.util.Collection;
import org.apache.flink.table.data.RowData;

/** Interactions -> rows of one partition per actor. */
final class CassandraRecents implements Shape<Recent> {
  private final Cassandra cassandra;
  private final SinkOptions options;

  CassandraRecents(SinkOptions options) {
    this.options = options;
    cassandra = new Cassandra(options);
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
    cassandra.write(recents.stream().collect(groupingBy(Recent::actor)).values(), this::values);
  }

  @Override
  public void close() {
    cassandra.close();
  }

  private Object[] values(Recent recent) {
    return new Object[] {
      recent.actor(), recent.eventTime(), recent.eventId(), recent.value(), (int) options.livesS()
    };
  }
}
