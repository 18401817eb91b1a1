package millrace;

import java.util.Arrays;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * The smallest {@code size} hashes of a group, in order, each once: what {@code Distinct} in
 * feature_store/aggregates.py folds. Neither order nor copies change it. Null for no hash.
 */
public class BottomK extends AggregateFunction<Long[], BottomK.Sketch> {

  /** The hashes kept so far, in order. */
  public static class Sketch {
    public long[] smallest = new long[0];
  }

  @Override
  public Sketch createAccumulator() {
    return new Sketch();
  }

  /** Folds one hash; SQL passes null for a row that the feature does not read. */
  public void accumulate(Sketch sketch, Long hash, Integer size) {
    if (hash != null) {
      sketch.smallest = with(sketch.smallest, hash, size);
    }
  }

  @Override
  public @DataTypeHint("ARRAY<BIGINT>") Long[] getValue(Sketch sketch) {
    long[] smallest = sketch.smallest;
    return smallest.length == 0 ? null : Arrays.stream(smallest).boxed().toArray(Long[]::new);
  }

  private static long[] with(long[] smallest, long hash, int size) {
    int found = Arrays.binarySearch(smallest, hash);
    int place = -found - 1;
    if (found >= 0 || place == size) {
      return smallest;
    }
    long[] wider = Arrays.copyOf(smallest, Math.min(smallest.length + 1, size));
    System.arraycopy(smallest, place, wider, place + 1, wider.length - place - 1);
    wider[place] = hash;
    return wider;
  }
}
