package millrace;

import java.util.Map;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * The steps of the job that are operators and not SQL, each from tables to tables.
 *
 * <p>What a step returns is computed once, however many statements read it: to the planner it is a
 * source. `streaming/steps.py` gives them to Python.
 */
public final class Streams {
  private Streams() {}

  /** The same rows. */
  public static Table once(StreamTableEnvironment tables, Table table) {
    return tables.fromDataStream(rows(tables, table));
  }

  /** Messages -> { interactions, messages in doubt }. */
  public static Table[] readInteractions(
      StreamTableEnvironment tables,
      Table arrived,
      Map<String, ? extends Number> weights,
      String anonymous,
      long maxFutureMs) {
    ReadInteractions read =
        new ReadInteractions(type(arrived), Map.copyOf(weights), anonymous, maxFutureMs);
    SingleOutputStreamOperator<RowData> sure =
        rows(tables, arrived)
            .process(read, type(ReadInteractions.INTERACTION))
            .name("read interactions")
            .uid("read-interactions");
    return new Table[] {
      tables.fromDataStream(sure), tables.fromDataStream(sure.getSideOutput(read.doubtful()))
    };
  }

  /** Interactions -> the first copy of each that is not late. */
  public static Table firstCopies(
      StreamTableEnvironment tables, Table accepted, long horizonMs, long rememberedMs) {
    DataStream<RowData> applied =
        rows(tables, accepted)
            .keyBy(event -> event.getString(FirstCopies.ACTOR).toString())
            .process(new FirstCopies(horizonMs, rememberedMs), type(accepted))
            .name("first copies")
            .uid("first-copies");
    return tables.fromDataStream(applied);
  }

  /** Decoded messages -> those that are dead letters. */
  public static Table letters(StreamTableEnvironment tables, Table decoded, String topic) {
    int reason = decoded.getResolvedSchema().getColumnNames().indexOf("reason");
    DataStream<RowData> letters =
        rows(tables, decoded)
            .filter(new Letters(topic, reason))
            .name("dead letters of " + topic)
            .uid("dead-letters-" + topic);
    return tables.fromDataStream(letters);
  }

  private static DataStream<RowData> rows(StreamTableEnvironment tables, Table table) {
    DataType rows = table.getResolvedSchema().toPhysicalRowDataType();
    return tables.toDataStream(table, rows.notNull().bridgedTo(RowData.class));
  }

  private static InternalTypeInfo<RowData> type(Table table) {
    return type(table.getResolvedSchema().toPhysicalRowDataType());
  }

  private static InternalTypeInfo<RowData> type(DataType rows) {
    return InternalTypeInfo.of((RowType) rows.getLogicalType());
  }
}
