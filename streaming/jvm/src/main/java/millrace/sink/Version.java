package millrace.sink;

/** Spells versions as `feature_store/tiles.py` does: fixed width, so text order is their order. */
final class Version {
  private static final String ZEROS = "000000000000000";

  private Version() {}

  static String encode(long moment, long epoch, long sequence) {
    StringBuilder out = new StringBuilder(64);
    pad(out, moment, 15);
    pad(out, epoch, 5);
    pad(out, sequence, 12);
    return out.toString();
  }

  private static void pad(StringBuilder out, long number, int width) {
    String digits = Long.toString(number);
    out.append(ZEROS, 0, width - digits.length()).append(digits).append(':');
  }
}
