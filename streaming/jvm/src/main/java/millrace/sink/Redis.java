package millrace.sink;

import java.io.Serializable;
import java.net.URI;
import java.util.List;
import java.util.function.Consumer;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.exceptions.JedisConnectionException;
import redis.clients.jedis.exceptions.JedisDataException;

/** One connection to Redis, made when first needed and again after a failure. */
final class Redis implements Serializable, AutoCloseable {
  private static final int TIMEOUT_MS = 5000;
  /** Failures that pass: loading, out of memory, a replica for now, no snapshot possible. */
  private static final List<String> PASSING =
      List.of("LOADING", "OOM", "READONLY", "MISCONF", "BUSY", "MASTERDOWN", "NOREPLICAS");

  private final String address;
  private transient Jedis connection;

  Redis(String address) {
    this.address = address;
  }

  /** One round trip with all the commands that `work` adds. */
  void pipelined(Consumer<Pipeline> work) throws Unavailable {
    try {
      if (connection == null) {
        connection = connect();
      }
      Pipeline pipeline = connection.pipelined();
      work.accept(pipeline);
      for (Object answer : pipeline.syncAndReturnAll()) {
        if (answer instanceof JedisDataException refusal) {
          throw refusal;
        }
      }
    } catch (JedisConnectionException gone) {
      close();
      throw new Unavailable(gone);
    } catch (JedisDataException refusal) {
      close();
      if (PASSING.stream().anyMatch(refusal.getMessage()::startsWith)) {
        throw new Unavailable(refusal);
      }
      throw refusal;
    }
  }

  @Override
  public void close() {
    if (connection != null) {
      connection.close();
      connection = null;
    }
  }

  private Jedis connect() {
    DefaultJedisClientConfig patience =
        DefaultJedisClientConfig.builder()
            .connectionTimeoutMillis(TIMEOUT_MS)
            .socketTimeoutMillis(TIMEOUT_MS)
            .build();
    Jedis made = new Jedis(URI.create(address), patience);
    made.connect();
    return made;
  }
}
