package millrace;

import java.time.Duration;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;

/**
 * Of an actor's interactions the first copy of each, unless it came later than H; counts the rest.
 *
 * <p>What SQL's keep-first deduplication does, but its planner takes that for a changelog, and
 * makes a copy of it for every statement.
 */
final class FirstCopies extends KeyedProcessFunction<String, RowData, RowData> {
  static final int APPEND_TIME = 0;
  static final int EVENT_ID = 1;
  static final int ACTOR = 2;
  static final int EVENT_TIME = 5;

  private final long horizonMs;
  private final long rememberedMs;
  private transient MapState<String, Boolean> seen;
  private transient Counter accepted;
  private transient Counter applied;
  private transient Counter duplicates;
  private transient Counter late;

  FirstCopies(long horizonMs, long rememberedMs) {
    this.horizonMs = horizonMs;
    this.rememberedMs = rememberedMs;
  }

  @Override
  public void open(OpenContext context) {
    MapStateDescriptor<String, Boolean> described =
        new MapStateDescriptor<>("seen", Types.STRING, Types.BOOLEAN);
    described.enableTimeToLive(
        StateTtlConfig.newBuilder(Duration.ofMillis(rememberedMs)).build());
    seen = getRuntimeContext().getMapState(described);
    MetricGroup metrics = getRuntimeContext().getMetricGroup();
    accepted = metrics.counter("millrace_accepted");
    applied = metrics.counter("millrace_applied");
    duplicates = metrics.counter("millrace_duplicates");
    late = metrics.counter("millrace_late");
  }

  @Override
  public void processElement(RowData event, Context context, Collector<RowData> out)
      throws Exception {
    accepted.inc();
    String id = event.getString(EVENT_ID).toString();
    if (event.getLong(APPEND_TIME) - event.getLong(EVENT_TIME) > horizonMs) {
      late.inc();
    } else if (seen.contains(id)) {
      duplicates.inc();
    } else {
      seen.put(id, true);
      applied.inc();
      out.collect(event);
    }
  }
}
