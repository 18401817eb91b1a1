package millrace.sink;

import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.table.data.RowData;

/** A sink that writes rows to a store in batches, and waits for a store that is down. */
final class StoreSink<R> implements Sink<RowData> {
  private final Shape<R> shape;
  private final SinkOptions options;

  /**
   * A batch is sent `lingerMs` after its first row; with `batch` rows it blocks those behind. With
   * `yields` its task leaves the processor to the tasks of other jobs.
   */
  StoreSink(Shape<R> shape, SinkOptions options) {
    this.shape = shape;
    this.options = options;
  }

  @Override
  public SinkWriter<RowData> createWriter(WriterInitContext context) {
    SinkMetrics metrics = new SinkMetrics(context.metricGroup());
    Spans spans = options.traces().isEmpty() ? null : new Spans(options, context.metricGroup());
    ProcessingTimeService clock = context.getProcessingTimeService();
    if (options.yields()) {
      // Not at once: what this task starts while it opens its state serves other jobs too.
      clock.registerTimer(
          clock.getCurrentProcessingTime(),
          time -> Thread.currentThread().setPriority(Thread.MIN_PRIORITY));
    }
    return new StoreWriter<>(
        shape,
        options.batch(),
        options.lingerMs(),
        clock,
        metrics,
        spans);
  }
}
