package millrace.sink;

/** The store did not answer, or not now: wait and write again. */
final class Unavailable extends Exception {
  Unavailable(Throwable cause) {
    super(cause.getMessage(), cause);
  }
}
