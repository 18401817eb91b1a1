package millrace.sink;

import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Histogram;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.metrics.DescriptiveStatisticsHistogram;

/** What a sink tells of itself; `docs/metrics.md` explains each. */
final class SinkMetrics {
  private static final int REMEMBERED = 1000;

  final Counter written;
  final Counter waits;
  final Histogram batchRows;
  final Histogram writeMs;
  final Histogram freshnessMs;
  private volatile boolean down;

  SinkMetrics(MetricGroup group) {
    written = group.counter("millrace_rows_written");
    waits = group.counter("millrace_store_waits");
    batchRows = histogram(group, "millrace_batch_rows");
    writeMs = histogram(group, "millrace_write_ms");
    freshnessMs = histogram(group, "millrace_freshness_ms");
    group.gauge("millrace_store_down", () -> down ? 1 : 0);
  }

  void down(boolean now) {
    down = now;
  }

  private static Histogram histogram(MetricGroup group, String name) {
    return group.histogram(name, new DescriptiveStatisticsHistogram(REMEMBERED));
  }
}
