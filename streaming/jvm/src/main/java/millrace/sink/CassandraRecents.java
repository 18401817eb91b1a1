package millrace.sink;

import static java.util.stream.Collectors.groupingBy;

import java.util.Collection;

/** Interactions -> rows of one partition per actor. */
final class CassandraRecents implements Recents {
  private final Cassandra cassandra;
  private final SinkOptions options;

  CassandraRecents(SinkOptions options) {
    this.options = options;
    cassandra = new Cassandra(options);
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
