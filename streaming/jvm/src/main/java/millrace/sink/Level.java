package millrace.sink;

import java.io.Serializable;
import java.util.Map;
import java.util.TreeMap;

/** One width of tiles, as `feature_store/tiles.py` declares it. */
record Level(String code, long ms, int slots, int keptS) implements Serializable {
  /** From `m:60000:72:8640,…` (code, width, slots, seconds that the kept store keeps), by width. */
  static Map<Long, Level> parse(String spelled) {
    Map<Long, Level> levels = new TreeMap<>();
    for (String one : spelled.split(",")) {
      String[] parts = one.split(":");
      long ms = Long.parseLong(parts[1]);
      int slots = Integer.parseInt(parts[2]);
      levels.put(ms, new Level(parts[0], ms, slots, Integer.parseInt(parts[3])));
    }
    return levels;
  }

  /** The ring field of a tile, e.g. `h07`. */
  String slot(long start) {
    return code + (char) ('0' + number(start) / 10) + (char) ('0' + number(start) % 10);
  }

  private int number(long start) {
    return (int) (start / ms % slots);
  }
}
