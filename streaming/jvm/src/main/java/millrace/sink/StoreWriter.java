package millrace.sink;

import java.io.IOException;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.table.data.RowData;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gathers rows while the batch before them is on its way.
 *
 * <p>At-least-once: Flink calls {@link #flush} before a checkpoint, and it returns only when the
 * store has every row. A store that is down is waited for: the rows behind wait too
 * (back-pressure), nothing restarts, nothing is lost. A statement that the store refuses fails the
 * job, because waiting would hide a bug.
 */
final class StoreWriter<R> implements SinkWriter<RowData> {
  private static final Logger LOG = LoggerFactory.getLogger(StoreWriter.class);
  private static final long FIRST_PAUSE_MS = 50;
  private static final long LONGEST_PAUSE_MS = 2000;

  private final Shape<R> shape;
  private final int batch;
  private final long lingerMs;
  private final ProcessingTimeService clock;
  private final SinkMetrics metrics;
  private final Spans spans;
  private final ExecutorService sender = Executors.newSingleThreadExecutor();
  private Map<Object, R> waiting = new HashMap<>();
  private Future<?> onItsWay = CompletableFuture.completedFuture(null);

  /** `spans` is null where nothing is traced. */
  StoreWriter(
      Shape<R> shape,
      int batch,
      long lingerMs,
      ProcessingTimeService clock,
      SinkMetrics metrics,
      Spans spans) {
    this.shape = shape;
    this.batch = batch;
    this.lingerMs = lingerMs;
    this.clock = clock;
    this.metrics = metrics;
    this.spans = spans;
  }

  @Override
  public void write(RowData row, Context context) throws IOException, InterruptedException {
    switch (row.getRowKind()) {
      case INSERT, UPDATE_AFTER -> add(shape.read(row));
      case UPDATE_BEFORE -> {}
      case DELETE -> {
        if (!shape.takesBack()) {
          throw new IOException("A fold took back what it had said: " + row);
        }
      }
    }
  }

  @Override
  public void flush(boolean endOfInput) throws IOException, InterruptedException {
    send();
    arrived();
  }

  @Override
  public void close() {
    sender.shutdownNow();
    if (spans != null) {
      spans.close();
    }
    shape.close();
  }

  private void add(R row) throws IOException, InterruptedException {
    if (waiting.isEmpty()) {
      linger();
    }
    waiting.put(shape.identity(row), row);
    if (waiting.size() >= batch) {
      send();
    }
  }

  /** While a batch is on its way the next one grows: the busier the store, the fatter the rows. */
  private void linger() {
    clock.registerTimer(clock.getCurrentProcessingTime() + lingerMs, time -> sendIfFree());
  }

  private void sendIfFree() throws IOException, InterruptedException {
    if (onItsWay.isDone()) {
      send();
    } else {
      linger();
    }
  }

  private void send() throws IOException, InterruptedException {
    if (waiting.isEmpty()) {
      return;
    }
    arrived();
    Collection<R> rows = waiting.values();
    waiting = new HashMap<>();
    onItsWay = sender.submit(() -> deliver(rows));
  }

  private void arrived() throws IOException, InterruptedException {
    try {
      onItsWay.get();
    } catch (ExecutionException failure) {
      throw new IOException(failure.getCause());
    }
  }

  private Void deliver(Collection<R> rows) throws InterruptedException {
    long begun = System.currentTimeMillis();
    long pause = FIRST_PAUSE_MS;
    while (!tried(rows, pause)) {
      Thread.sleep(pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    tell(rows, begun);
    return null;
  }

  private boolean tried(Collection<R> rows, long pause) {
    try {
      shape.write(rows);
      metrics.down(false);
      return true;
    } catch (Unavailable reason) {
      LOG.warn("waiting {} ms for the store: {}", pause, reason.getMessage());
      metrics.down(true);
      metrics.waits.inc();
      return false;
    }
  }

  private void tell(Collection<R> rows, long begun) {
    long now = System.currentTimeMillis();
    metrics.written.inc(rows.size());
    metrics.batchRows.update(rows.size());
    metrics.writeMs.update(now - begun);
    for (R row : rows) {
      Recent event = shape.event(row);
      if (event != null) {
        metrics.freshnessMs.update(now - event.appended());
        if (spans != null) {
          spans.add(event, now);
        }
      }
    }
  }
}
