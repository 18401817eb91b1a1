package millrace.sink;

import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.table.data.RowData;

/** A sink that writes rows to a store in batches, and waits for a store that is down. */
final class StoreSink<R> implements Sink<RowData> {
  private final Shape<R> shape;
  private final SinkOptions options;

  /** A batch is sent `lingerMs` after its first row; with `batch` rows it blocks those behind. */
  StoreSink(Shape<R> shape, SinkOptions options) {
    this.shape = shape;
    this.options = options;
  }

  @Override
  public SinkWriter<RowData> createWriter(WriterInitContext context) {
    SinkMetrics metrics = new SinkMetrics(context.metricGroup());
    Spans spans = options.traces().isEmpty() ? null : new Spans(options, context.metricGroup());
    return new StoreWriter<>(
        shape,
        options.batch(),
        options.lingerMs(),
        context.getProcessingTimeService(),
        metrics,
        spans);
  }
}
