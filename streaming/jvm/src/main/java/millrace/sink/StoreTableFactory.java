package millrace.sink;

import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;

/** SQL: `CREATE TABLE … WITH ('connector' = 'millrace', …)`. */
public final class StoreTableFactory implements DynamicTableSinkFactory {
  @Override
  public String factoryIdentifier() {
    return "millrace";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of();
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return SinkOptions.ALL;
  }

  @Override
  public DynamicTableSink createDynamicTableSink(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    return new StoreTable(SinkOptions.of(helper.getOptions()));
  }
}
