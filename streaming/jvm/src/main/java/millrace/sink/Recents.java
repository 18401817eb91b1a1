package millrace.sink;

import org.apache.flink.table.data.RowData;

/** What recents are in every store: each is written once, and has one event behind it. */
interface Recents extends Shape<Recent> {
  @Override
  default Recent read(RowData row) {
    return Recent.of(row);
  }

  @Override
  default Object identity(Recent recent) {
    return recent;
  }

  @Override
  default Recent event(Recent recent) {
    return recent;
  }
}
