package millrace.sink;

import java.io.Serializable;
import java.util.Collection;
import org.apache.flink.table.data.RowData;

/**
 * What one kind of rows becomes in one store. Writes are absolute and guarded by their version, so
 * a row written twice, or after a newer one, changes nothing.
 */
interface Shape<R> extends Serializable, AutoCloseable {
  /** A copy of the row in the store's own terms: Flink may use the row again. */
  R read(RowData row);

  /** Rows of one identity replace each other: of those waiting only the last is written. */
  Object identity(R row);

  /** The one event behind the row, or null: it tells how fresh the row is, and has a trace. */
  default Recent event(R row) {
    return null;
  }

  /**
   * Whether the fold may take a row back for a moment. An aggregate over an aggregate does so when
   * its mini-batch ends between the old and the new value of a part; the next row is whole again.
   */
  default boolean takesBack() {
    return false;
  }

  /** Writes all rows; returns when the store has them. */
  void write(Collection<R> rows) throws Unavailable;

  @Override
  void close();
}
