package millrace.sink;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import redis.clients.jedis.Pipeline;

/** A script of `feature_store/stores/redis.py`, sent whole once per round trip, then by its hash. */
final class Guard implements Serializable {
  private final String script;
  private final String hash;

  Guard(String script) {
    this.script = script;
    try {
      byte[] digest = MessageDigest.getInstance("SHA-1").digest(script.getBytes(StandardCharsets.UTF_8));
      hash = HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  Call in(Pipeline pipeline) {
    return new Call(pipeline);
  }

  /** The script in one round trip: a server that restarted never misses it. */
  final class Call {
    private final Pipeline pipeline;
    private boolean known;

    private Call(Pipeline pipeline) {
      this.pipeline = pipeline;
    }

    void run(String key, long first, List<String> rest) {
      List<String> arguments = new ArrayList<>(rest.size() + 1);
      arguments.add(Long.toString(first));
      arguments.addAll(rest);
      if (known) {
        pipeline.evalsha(hash, List.of(key), arguments);
      } else {
        pipeline.eval(script, List.of(key), arguments);
        known = true;
      }
    }
  }
}
