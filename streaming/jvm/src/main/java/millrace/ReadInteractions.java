package millrace;

import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Messages -> interactions, where they surely keep the contract; the others leave at the side, as
 * they came. Messages are rows of (key, message, partition, offset, append time, traceparent).
 */
final class ReadInteractions extends ProcessFunction<RowData, RowData> {
  /** One interaction as every engine knows it. */
  static final DataType INTERACTION =
      DataTypes.ROW(
          DataTypes.FIELD("append_time", DataTypes.BIGINT()),
          DataTypes.FIELD("event_id", DataTypes.STRING()),
          DataTypes.FIELD("actor", DataTypes.STRING()),
          DataTypes.FIELD("item_id", DataTypes.STRING()),
          DataTypes.FIELD("type", DataTypes.STRING()),
          DataTypes.FIELD("event_time", DataTypes.BIGINT()),
          DataTypes.FIELD("quantity", DataTypes.BIGINT()),
          DataTypes.FIELD("price_minor", DataTypes.BIGINT()),
          DataTypes.FIELD("amount_minor", DataTypes.BIGINT()),
          DataTypes.FIELD("weight", DataTypes.BIGINT()),
          DataTypes.FIELD("query_text", DataTypes.STRING()),
          DataTypes.FIELD("country", DataTypes.STRING()),
          DataTypes.FIELD("actor_hash", DataTypes.BIGINT()),
          DataTypes.FIELD("traceparent", DataTypes.STRING()));

  private final OutputTag<RowData> doubtful;
  private final Map<String, ? extends Number> weights;
  private final String anonymous;
  private final long maxFutureMs;
  private transient InteractionReader reader;

  ReadInteractions(
      InternalTypeInfo<RowData> messages,
      Map<String, ? extends Number> weights,
      String anonymous,
      long maxFutureMs) {
    this.doubtful = new OutputTag<>("doubtful", messages);
    this.weights = weights;
    this.anonymous = anonymous;
    this.maxFutureMs = maxFutureMs;
  }

  OutputTag<RowData> doubtful() {
    return doubtful;
  }

  @Override
  public void open(OpenContext context) {
    reader = new InteractionReader(weights, anonymous, maxFutureMs);
  }

  @Override
  public void processElement(RowData message, Context context, Collector<RowData> out) {
    long appendTime = message.getLong(4);
    if (reader.read(message.isNullAt(1) ? null : message.getBinary(1), appendTime)) {
      out.collect(interaction(appendTime, message.isNullAt(5) ? null : message.getString(5)));
    } else {
      context.output(doubtful, message);
    }
  }

  private RowData interaction(long appendTime, StringData traceparent) {
    return GenericRowData.of(
        appendTime,
        reader.eventId,
        reader.actor,
        reader.itemId,
        reader.type,
        reader.eventTime,
        reader.quantity,
        reader.priceMinor,
        reader.priceMinor * reader.quantity,
        reader.weight(),
        reader.query,
        reader.country,
        reader.actorHash(),
        traceparent);
  }
}
