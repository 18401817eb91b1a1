package millrace.sink;

import java.io.Serializable;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;

/** What a sink table says of itself in SQL; `streaming/sinks.py` writes all of it. */
record SinkOptions(
    String store,
    String kind,
    String address,
    String namespace,
    String entity,
    Map<Long, Level> levels,
    long epoch,
    long generation,
    long generations,
    String statement,
    String schema,
    int kept,
    long livesS,
    String traces,
    int batch,
    long lingerMs)
    implements Serializable {

  private static final int SEQUENCE_BITS = 43;

  private static final ConfigOption<String> STORE = text("store");
  private static final ConfigOption<String> KIND = text("kind");
  private static final ConfigOption<String> ADDRESS = text("address");
  private static final ConfigOption<String> NAMESPACE = text("namespace");
  private static final ConfigOption<String> ENTITY = text("entity");
  private static final ConfigOption<String> LEVELS = text("levels");
  private static final ConfigOption<Long> EPOCH = number("epoch");
  private static final ConfigOption<Long> GENERATION = number("generation");
  private static final ConfigOption<Long> GENERATIONS = number("generations");
  private static final ConfigOption<String> STATEMENT = text("statement");
  private static final ConfigOption<String> SCHEMA = text("schema");
  private static final ConfigOption<Long> KEPT = number("kept");
  private static final ConfigOption<Long> LIVES_S = number("lives-s");
  private static final ConfigOption<String> TRACES = text("traces");
  private static final ConfigOption<Long> BATCH = number("batch");
  private static final ConfigOption<Long> LINGER_MS = number("linger-ms");

  static final Set<ConfigOption<?>> ALL =
      Set.of(
          STORE, KIND, ADDRESS, NAMESPACE, ENTITY, LEVELS, EPOCH, GENERATION, GENERATIONS, STATEMENT,
          SCHEMA, KEPT, LIVES_S, TRACES, BATCH, LINGER_MS);

  static SinkOptions of(ReadableConfig stated) {
    return new SinkOptions(
        stated.get(STORE),
        stated.get(KIND),
        stated.get(ADDRESS),
        stated.get(NAMESPACE),
        stated.get(ENTITY),
        Level.parse(stated.get(LEVELS)),
        stated.get(EPOCH),
        stated.get(GENERATION),
        stated.get(GENERATIONS),
        stated.get(STATEMENT),
        stated.get(SCHEMA),
        stated.get(KEPT).intValue(),
        stated.get(LIVES_S),
        stated.get(TRACES),
        stated.get(BATCH).intValue(),
        stated.get(LINGER_MS));
  }

  String key(String kind, String name) {
    return namespace + ":" + kind + ":" + name;
  }

  Level level(long ms) {
    return levels.get(ms);
  }

  /** The generation counts least: see `Version.of_tile` in `feature_store/tiles.py`. */
  long sequence(long applied) {
    return applied * generations + generation;
  }

  String version(long start, long applied) {
    return Version.encode(start, epoch, sequence(applied));
  }

  /** (epoch, sequence) as a write timestamp, as `feature_store/stores/cassandra.py` makes it. */
  long timestamp(long applied) {
    return epoch << SEQUENCE_BITS | sequence(applied);
  }

  boolean tracksChanges() {
    return entity.equals("item");
  }

  private static ConfigOption<String> text(String name) {
    return ConfigOptions.key(name).stringType().defaultValue("");
  }

  private static ConfigOption<Long> number(String name) {
    return ConfigOptions.key(name).longType().defaultValue(0L);
  }
}
