package millrace;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Walks over one JSON document as bytes, copying nothing it need not copy.
 *
 * <p>It is strict: what any JSON parser might read differently throws {@link Doubt}, and the
 * document is then somebody else's to judge.
 */
final class JsonScanner {
  /** "I am not sure what this says." Cheap to throw: it carries no stack. */
  static final class Doubt extends RuntimeException {
    static final Doubt INSTANCE = new Doubt();

    private Doubt() {
      super("in doubt", null, false, false);
    }
  }

  private static final int DEEPEST = 32;
  private static final int MOST_DIGITS = 15;
  private static final double[] POWERS = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15
  };

  private final CharsetDecoder utf8 =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT);
  private byte[] bytes;
  private int at;

  /** The last string read: its bytes are {@code text[textStart .. textEnd)}, unescaped. */
  byte[] text;

  int textStart;
  int textEnd;

  void open(byte[] document) {
    bytes = document;
    at = 0;
    for (byte b : document) {
      if (b < 0) {
        requireUtf8();
        return;
      }
    }
  }

  /** Nothing but white space may follow. */
  void close() {
    while (at < bytes.length) {
      if (!isSpace(bytes[at++])) {
        throw Doubt.INSTANCE;
      }
    }
  }

  /** Opens an object or array; whether it has a first member. */
  boolean enter(char open, char close) {
    take(open);
    if (peek() != close) {
      return true;
    }
    at++;
    return false;
  }

  /** After a member: whether another follows. */
  boolean another(char close) {
    int next = peek();
    at++;
    if (next != ',' && next != close) {
      throw Doubt.INSTANCE;
    }
    return next == ',';
  }

  /** A member's name, up to its value; a name with escapes is doubtful. */
  String name() {
    string();
    if (text != bytes) {
      throw Doubt.INSTANCE;
    }
    String name = new String(text, textStart, textEnd - textStart, StandardCharsets.UTF_8);
    take(':');
    return name;
  }

  boolean isNull() {
    if (peek() != 'n') {
      return false;
    }
    literal("null");
    return true;
  }

  /** Reads a string into {@link #text}. */
  void string() {
    take('"');
    text = bytes;
    textStart = at;
    while (true) {
      byte b = byteAt(at);
      if (b == '"') {
        textEnd = at++;
        return;
      }
      if (b == '\\') {
        unescape();
        return;
      }
      if (b >= 0 && b < 0x20) {
        throw Doubt.INSTANCE;
      }
      at++;
    }
  }

  /** A whole number of at most 15 digits, spelled as one. */
  long integer() {
    int start = skipNumber();
    int first = bytes[start] == '-' ? start + 1 : start;
    if (at - first > MOST_DIGITS) {
      throw Doubt.INSTANCE;
    }
    long value = 0;
    for (int i = first; i < at; i++) {
      if (!isDigit(bytes[i])) {
        throw Doubt.INSTANCE;
      }
      value = 10 * value + bytes[i] - '0';
    }
    return first == start ? value : -value;
  }

  /** A number as the nearest double. */
  double number() {
    int start = skipNumber();
    long digits = 0;
    int point = at;
    for (int i = start; i < at; i++) {
      if (bytes[i] == '.') {
        point = i + 1;
      } else if (isDigit(bytes[i]) && i - start <= MOST_DIGITS) {
        digits = 10 * digits + bytes[i] - '0';
      } else {
        return Double.parseDouble(new String(bytes, start, at - start, StandardCharsets.US_ASCII));
      }
    }
    // Both are exact, so their quotient is rounded once: the nearest double.
    return digits / POWERS[at - point];
  }

  /** Passes over a value of any kind. */
  void skip(int depth) {
    if (depth > DEEPEST) {
      throw Doubt.INSTANCE;
    }
    switch (peek()) {
      case '"' -> string();
      case '{' -> skipMembers('{', '}', depth);
      case '[' -> skipMembers('[', ']', depth);
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> skipNumber();
    }
  }

  private void skipMembers(char open, char close, int depth) {
    if (!enter(open, close)) {
      return;
    }
    do {
      if (open == '{') {
        string();
        take(':');
      }
      skip(depth + 1);
    } while (another(close));
  }

  private int skipNumber() {
    peek();
    int start = at;
    if (byteAt(at) == '-') {
      at++;
    }
    if (byteAt(at) == '0') {
      at++;
    } else {
      digits();
    }
    if (at < bytes.length && bytes[at] == '.') {
      at++;
      digits();
    }
    if (at < bytes.length && (bytes[at] == 'e' || bytes[at] == 'E')) {
      at++;
      if (byteAt(at) == '+' || byteAt(at) == '-') {
        at++;
      }
      digits();
    }
    return start;
  }

  private void digits() {
    if (!isDigit(byteAt(at))) {
      throw Doubt.INSTANCE;
    }
    while (at < bytes.length && isDigit(bytes[at])) {
      at++;
    }
  }

  private void literal(String word) {
    for (int i = 0; i < word.length(); i++) {
      if (byteAt(at++) != word.charAt(i)) {
        throw Doubt.INSTANCE;
      }
    }
  }

  private void unescape() {
    int start = textStart;
    StringBuilder built =
        new StringBuilder(new String(bytes, start, at - start, StandardCharsets.UTF_8));
    int plain = at;
    while (byteAt(at) != '"') {
      if (bytes[at] == '\\') {
        built.append(new String(bytes, plain, at - plain, StandardCharsets.UTF_8));
        built.append(escaped());
        plain = at;
      } else if (bytes[at] >= 0 && bytes[at] < 0x20) {
        throw Doubt.INSTANCE;
      } else {
        at++;
      }
    }
    built.append(new String(bytes, plain, at - plain, StandardCharsets.UTF_8));
    at++;
    requirePairs(built);
    text = built.toString().getBytes(StandardCharsets.UTF_8);
    textStart = 0;
    textEnd = text.length;
  }

  private char escaped() {
    byte kind = byteAt(at + 1);
    at += 2;
    return switch (kind) {
      case '"', '\\', '/' -> (char) kind;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> codeUnit();
      default -> throw Doubt.INSTANCE;
    };
  }

  private char codeUnit() {
    int unit = 0;
    for (int i = 0; i < 4; i++) {
      int digit = Character.digit(byteAt(at++), 16);
      if (digit < 0) {
        throw Doubt.INSTANCE;
      }
      unit = 16 * unit + digit;
    }
    return (char) unit;
  }

  private static void requirePairs(CharSequence built) {
    if (built.codePoints().anyMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)) {
      throw Doubt.INSTANCE;
    }
  }

  private void requireUtf8() {
    try {
      utf8.decode(ByteBuffer.wrap(bytes));
    } catch (CharacterCodingException malformed) {
      throw Doubt.INSTANCE;
    }
  }

  private void take(char expected) {
    if (peek() != expected) {
      throw Doubt.INSTANCE;
    }
    at++;
  }

  private int peek() {
    while (isSpace(byteAt(at))) {
      at++;
    }
    return bytes[at];
  }

  private byte byteAt(int position) {
    if (position >= bytes.length) {
      throw Doubt.INSTANCE;
    }
    return bytes[position];
  }

  private static boolean isSpace(byte b) {
    return b == ' ' || b == '\n' || b == '\r' || b == '\t';
  }

  private static boolean isDigit(byte b) {
    return b >= '0' && b <= '9';
  }
}
