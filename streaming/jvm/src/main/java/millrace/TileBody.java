package millrace;

import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.InputGroup;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * The body of a tile, as {@code encode_body} in feature_store/tiles.py spells it: {@code
 * tile_body('clicks', 3, 'views', NULL)} is {@code {"clicks":3}}. A total of no events (null) is
 * left out; names are those of features and need no escape.
 */
public class TileBody extends ScalarFunction {

  /** Name, total, name, total, …: a total is a BIGINT or an ARRAY of them. */
  public String eval(@DataTypeHint(inputGroup = InputGroup.ANY) Object... namesAndTotals) {
    StringBuilder body = new StringBuilder(64).append('{');
    for (int at = 0; at < namesAndTotals.length; at += 2) {
      Object total = namesAndTotals[at + 1];
      if (total != null) {
        body.append(body.length() > 1 ? ",\"" : "\"").append(namesAndTotals[at]).append("\":");
        spell(body, total);
      }
    }
    return body.append('}').toString();
  }

  private static void spell(StringBuilder body, Object total) {
    if (total instanceof Long[] many) {
      char before = '[';
      for (long one : many) {
        body.append(before).append(one);
        before = ',';
      }
      body.append(']');
    } else {
      body.append((long) total);
    }
  }
}
