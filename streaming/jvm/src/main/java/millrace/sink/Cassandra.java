package millrace.sink;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverTimeoutException;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.connection.ClosedConnectionException;
import com.datastax.oss.driver.api.core.connection.HeartbeatException;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BatchableStatement;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import com.datastax.oss.driver.api.core.servererrors.QueryExecutionException;
import java.io.Serializable;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;

/** One session of Cassandra and its one prepared statement, made when first needed. */
final class Cassandra implements Serializable, AutoCloseable {
  private static final int CONCURRENCY = 64;
  /** Rows of one partition in one batch: well under Cassandra's warning at 5 KiB. */
  private static final int BATCH_ROWS = 20;

  private final SinkOptions options;
  private transient CqlSession session;
  private transient PreparedStatement insert;

  Cassandra(SinkOptions options) {
    this.options = options;
  }

  /** Writes the rows of each partition together; returns when all are there. */
  <R> void write(Collection<List<R>> partitions, Function<R, Object[]> values) throws Unavailable {
    try {
      connect();
      Deque<CompletableFuture<AsyncResultSet>> onTheirWay = new ArrayDeque<>();
      for (List<R> rows : partitions) {
        for (int i = 0; i < rows.size(); i += BATCH_ROWS) {
          List<R> some = rows.subList(i, Math.min(i + BATCH_ROWS, rows.size()));
          if (onTheirWay.size() == CONCURRENCY) {
            onTheirWay.remove().join();
          }
          onTheirWay.add(session.executeAsync(statement(some, values)).toCompletableFuture());
        }
      }
      onTheirWay.forEach(CompletableFuture::join);
    } catch (CompletionException failure) {
      throw passing((RuntimeException) failure.getCause());
    } catch (RuntimeException failure) {
      throw passing(failure);
    }
  }

  @Override
  public void close() {
    if (session != null) {
      session.close();
      session = null;
    }
  }

  private <R> Statement<?> statement(List<R> rows, Function<R, Object[]> values) {
    BoundStatement[] bound =
        rows.stream().map(row -> insert.bind(values.apply(row))).toArray(BoundStatement[]::new);
    return bound.length == 1
        ? bound[0]
        : BatchStatement.newInstance(BatchType.UNLOGGED, (BatchableStatement<?>[]) bound);
  }

  private void connect() {
    if (session != null) {
      return;
    }
    int colon = options.address().lastIndexOf(':');
    InetSocketAddress host =
        new InetSocketAddress(
            options.address().substring(0, colon),
            Integer.parseInt(options.address().substring(colon + 1)));
    CqlSession made =
        CqlSession.builder().addContactPoint(host).withConfigLoader(configuration()).build();
    try {
      for (String statement : options.schema().split(";")) {
        made.execute(statement);
      }
      insert = made.prepare(options.statement());
      session = made;
    } finally {
      if (session == null) {
        made.close();
      }
    }
  }

  private static DriverConfigLoader configuration() {
    return DriverConfigLoader.programmaticBuilder()
        .withString(
            DefaultDriverOption.LOAD_BALANCING_POLICY_CLASS, "DcInferringLoadBalancingPolicy")
        .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(10))
        .build();
  }

  /** No host, too slow, too few replicas: these pass. A refused statement is a bug. */
  private static Unavailable passing(RuntimeException failure) {
    if (failure instanceof AllNodesFailedException
        || failure instanceof DriverTimeoutException
        || failure instanceof QueryExecutionException
        || failure instanceof ClosedConnectionException
        || failure instanceof HeartbeatException) {
      return new Unavailable(failure);
    }
    throw failure;
  }
}
