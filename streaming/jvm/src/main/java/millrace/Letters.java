package millrace;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.data.RowData;

/** Of decoded messages those that have a reason not to be applied; counts them by reason. */
final class Letters extends RichFilterFunction<RowData> {
  private static final int MOST_REASONS = 100;

  private final String topic;
  private final int reason;
  private transient Map<String, Counter> counters;

  Letters(String topic, int reason) {
    this.topic = topic;
    this.reason = reason;
  }

  @Override
  public boolean filter(RowData row) {
    if (row.isNullAt(reason)) {
      return false;
    }
    counter(row.getString(reason).toString()).inc();
    return true;
  }

  private Counter counter(String why) {
    counters = counters == null ? new HashMap<>() : counters;
    String named = counters.size() < MOST_REASONS || counters.containsKey(why) ? why : "other";
    return counters.computeIfAbsent(named, this::register);
  }

  private Counter register(String why) {
    return getRuntimeContext()
        .getMetricGroup()
        .addGroup("topic", topic)
        .addGroup("reason", why)
        .counter("millrace_dead_lettered");
  }
}
