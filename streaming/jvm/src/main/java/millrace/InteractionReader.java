package millrace;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * Reads one message of `user-interactions` into its fields, if it surely keeps the contract.
 *
 * <p>The contract itself is `feature_store/events.py`. This reader never refuses a message: what it
 * is not sure of goes to the contract, which accepts it or says why not. A test holds the two
 * together: whatever is read here, the contract reads the same.
 */
final class InteractionReader {
  private static final long LATEST_MS = 253_402_300_799_000L;
  private static final int LONGEST_ID = 256;
  private static final int LONGEST_QUERY = 512;
  private static final int LONGEST_CONTEXT = 64;
  private static final long MOST_QUANTITY = 100_000;
  private static final double HIGHEST_PRICE = 1e6;
  private static final BinaryStringData EMPTY = BinaryStringData.fromString("");

  private final JsonScanner json = new JsonScanner();
  private final MessageDigest md5;
  private final Map<String, StringData> types = new HashMap<>();
  private final Map<String, ? extends Number> weights;
  private final String anonymous;
  private final long maxFutureMs;

  private BinaryStringData userId;
  private BinaryStringData sessionId;
  private boolean rated;
  private int said;

  BinaryStringData eventId;
  BinaryStringData actor;
  BinaryStringData itemId;
  BinaryStringData query;
  BinaryStringData country;
  StringData type;
  String typeName;
  long eventTime;
  long quantity;
  long priceMinor;

  /** `anonymous` begins the actor of a session; `weights` are the types and their weights. */
  InteractionReader(Map<String, ? extends Number> weights, String anonymous, long maxFutureMs) {
    this.weights = weights;
    this.anonymous = anonymous;
    this.maxFutureMs = maxFutureMs;
    weights.keySet().forEach(name -> types.put(name, BinaryStringData.fromString(name)));
    try {
      md5 = MessageDigest.getInstance("MD5");
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** Whether the message surely is a valid interaction; then its fields are set. */
  boolean read(byte[] message, long appendTime) {
    if (message == null) {
      return false;
    }
    try {
      clear();
      json.open(message);
      if (json.enter('{', '}')) {
        do {
          field(json.name());
        } while (json.another('}'));
      }
      json.close();
      return agrees(appendTime);
    } catch (JsonScanner.Doubt doubt) {
      return false;
    }
  }

  long weight() {
    return weights.get(typeName).longValue();
  }

  /** The first 63 bits of the actor's MD5: what sketches of distinct actors are made of. */
  long actorHash() {
    byte[] digest = md5.digest(actor.toBytes());
    long hash = 0;
    for (int i = 0; i < Long.BYTES; i++) {
      hash = hash << 8 | digest[i] & 0xff;
    }
    return hash >>> 1;
  }

  private void clear() {
    eventId = userId = sessionId = itemId = null;
    actor = null;
    typeName = null;
    query = country = EMPTY;
    eventTime = -1;
    quantity = 1;
    priceMinor = 0;
    rated = false;
    said = 0;
  }

  private void field(String name) {
    switch (name) {
      case "event_id" -> {
        once(0);
        eventId = identifier();
      }
      case "user_id" -> {
        once(1);
        userId = identifierOrNull();
      }
      case "session_id" -> {
        once(2);
        sessionId = identifierOrNull();
      }
      case "item_id" -> {
        once(3);
        itemId = identifierOrNull();
      }
      case "type" -> {
        once(4);
        type();
      }
      case "event_time" -> {
        once(5);
        eventTime = within(0, LATEST_MS);
      }
      case "quantity" -> {
        once(6);
        quantity = within(1, MOST_QUANTITY);
      }
      case "price" -> {
        once(7);
        price();
      }
      case "value" -> {
        once(8);
        value();
      }
      case "query" -> {
        once(9);
        query = textOrEmpty(LONGEST_QUERY);
      }
      case "context" -> {
        once(10);
        context();
      }
      case "schema_version" -> within(1, 1);
      default -> json.skip(0);
    }
  }

  /** A field said twice is doubtful: parsers differ in which one counts. */
  private void once(int field) {
    require((said & 1 << field) == 0);
    said |= 1 << field;
  }

  private void type() {
    json.string();
    typeName = new String(json.text, json.textStart, json.textEnd - json.textStart, StandardCharsets.UTF_8);
    type = types.get(typeName);
    require(type != null);
  }

  private void price() {
    double price = json.isNull() ? 0 : json.number();
    require(price >= 0 && price <= HIGHEST_PRICE);
    priceMinor = (long) Math.floor(price * 100 + 0.5);
  }

  private void value() {
    rated = !json.isNull();
    require(!rated || Double.isFinite(json.number()));
  }

  private void context() {
    if (!json.enter('{', '}')) {
      return;
    }
    do {
      switch (json.name()) {
        case "country" -> {
          once(11);
          country = textOrEmpty(LONGEST_CONTEXT);
        }
        case "device", "page" -> textOrEmpty(LONGEST_CONTEXT);
        default -> json.skip(1);
      }
    } while (json.another('}'));
  }

  /** What the fields say together, and against the clock. */
  private boolean agrees(long appendTime) {
    if (eventId == null || typeName == null || eventTime < 0 || eventTime > appendTime + maxFutureMs) {
      return false;
    }
    boolean search = typeName.equals("search");
    if (search ? query.getSizeInBytes() == 0 : itemId == null) {
      return false;
    }
    if (typeName.equals("rating") && !rated) {
      return false;
    }
    itemId = itemId == null ? EMPTY : itemId;
    return hasActor();
  }

  private boolean hasActor() {
    if (userId != null) {
      actor = userId;
      return !userId.toString().startsWith(anonymous);
    }
    if (sessionId == null) {
      return false;
    }
    actor = BinaryStringData.fromString(anonymous + sessionId);
    return true;
  }

  private BinaryStringData identifierOrNull() {
    return json.isNull() ? null : identifier();
  }

  private BinaryStringData identifier() {
    json.string();
    for (int i = json.textStart; i < json.textEnd; i++) {
      byte b = json.text[i];
      require((b < 0 || b >= 0x20) && b != 0x7f);
    }
    require(json.textEnd > json.textStart);
    return text(LONGEST_ID);
  }

  private BinaryStringData textOrEmpty(int longest) {
    if (json.isNull()) {
      return EMPTY;
    }
    json.string();
    return text(longest);
  }

  private BinaryStringData text(int longest) {
    int characters = 0;
    for (int i = json.textStart; i < json.textEnd; i++) {
      characters += (json.text[i] & 0xc0) == 0x80 ? 0 : 1;
    }
    require(characters <= longest);
    return BinaryStringData.fromBytes(json.text, json.textStart, json.textEnd - json.textStart);
  }

  private long within(long lowest, long highest) {
    long value = json.integer();
    require(value >= lowest && value <= highest);
    return value;
  }

  private static void require(boolean sure) {
    if (!sure) {
      throw JsonScanner.Doubt.INSTANCE;
    }
  }
}
