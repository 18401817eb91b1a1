import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends lines of standard input, "key TAB value", to a topic, and ends when all are acknowledged.
 *
 * <p>Kafka's own client, because a benchmark preloads millions of messages and the Python one
 * would take minutes. Run as a source file: {@code java -cp … Preload.java SERVERS TOPIC}.
 */
public final class Preload {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.putAll(Map.of(
            "bootstrap.servers", arguments[0], "acks", "all", "linger.ms", "20",
            "batch.size", "262144", "buffer.memory", "67108864"));
        AtomicReference<Exception> failure = new AtomicReference<>();
        StringSerializer text = new StringSerializer();
        var input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
        try (var lines = new BufferedReader(input, 1 << 20);
                var producer = new KafkaProducer<>(settings, text, text)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int tab = line.indexOf('\t');
                var record = new ProducerRecord<>(
                    arguments[1], line.substring(0, tab), line.substring(tab + 1));
                producer.send(record, (sent, error) -> failure.compareAndSet(null, error));
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }
}
