package millrace.sink;

import org.apache.flink.table.data.RowData;

/** One of an actor's last interactions, spelled as `feature_store/stores/base.py` spells it. */
record Recent(
    String actor, long eventTime, String eventId, String value, long appended, String traceparent) {
  /**
   * From (actor, event time, event id, type, item id, quantity, price, query, append time,
   * traceparent); the last one may be null.
   */
  static Recent of(RowData row) {
    String eventId = row.getString(2).toString();
    StringBuilder out = new StringBuilder(128).append('[');
    quote(out, eventId);
    out.append(',').append(row.getLong(1)).append(',');
    quote(out, row.getString(3).toString());
    out.append(',');
    quote(out, row.getString(4).toString());
    out.append(',').append(row.getLong(5)).append(',').append(row.getLong(6)).append(',');
    quote(out, row.getString(7).toString());
    String value = out.append(']').toString();
    String traceparent = row.isNullAt(9) ? null : row.getString(9).toString();
    return new Recent(
        row.getString(0).toString(), row.getLong(1), eventId, value, row.getLong(8), traceparent);
  }

  /** Appends the text as a JSON string. */
  static void quote(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\b' -> out.append("\\b");
        case '\t' -> out.append("\\t");
        case '\n' -> out.append("\\n");
        case '\f' -> out.append("\\f");
        case '\r' -> out.append("\\r");
        default -> {
          if (c < 0x20) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
