package millrace.sink;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.ThreadSafeSimpleCounter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The span of each traced event that a store has: below the one that its message's header names,
 * from its append by Kafka to its acknowledgement by the store.
 *
 * <p>Sent as OTLP over HTTP, in JSON, by a thread of its own. A collector that is slow or out costs
 * spans, which are counted; the rows behind never wait for it.
 */
final class Spans implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Spans.class);
  private static final int QUEUED = 4096;
  private static final long PERIOD_MS = 500;
  private static final Duration PATIENCE = Duration.ofSeconds(2);
  /** Written later than this it is no news of a click: a job is folding the log again. */
  private static final long LONGEST_MS = 3_600_000;

  /** A `traceparent` (W3C Trace Context) whose trace is kept: its last flag is set. */
  private static final Pattern SAMPLED =
      Pattern.compile(
          "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})"
              + "-[0-9a-f][13579bdf](-.*)?");

  /** OTLP in JSON: ids are hex, 64-bit numbers are strings, 5 is `SPAN_KIND_CONSUMER`. */
  private static final String MESSAGE =
      """
      {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",\
      "value":{"stringValue":"millrace-streaming"}}]},\
      "scopeSpans":[{"scope":{"name":"streaming"},"spans":[%s]}]}]}""";
  private static final String SPAN =
      """
      {"traceId":"%s","spanId":"%016x","parentSpanId":"%s","name":"feature written","kind":5,\
      "startTimeUnixNano":"%d000000","endTimeUnixNano":"%d000000","attributes":[\
      {"key":"millrace.event_id","value":{"stringValue":%s}},\
      {"key":"millrace.store","value":{"stringValue":"%s"}}]}""";

  private record Written(Recent event, Matcher parent, long at) {}

  private final String store;
  private final HttpRequest.Builder request;
  private final Counter lost;
  private final BlockingQueue<Written> queue = new ArrayBlockingQueue<>(QUEUED);
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(PATIENCE).build();
  private final ScheduledExecutorService sender =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "spans");
            thread.setDaemon(true);
            return thread;
          });
  private boolean out;

  Spans(SinkOptions options, MetricGroup group) {
    store = options.store();
    lost = group.counter("millrace_spans_lost", new ThreadSafeSimpleCounter());
    request =
        HttpRequest.newBuilder(URI.create(options.traces()))
            .timeout(PATIENCE)
            .header("Content-Type", "application/json");
    sender.scheduleWithFixedDelay(this::send, PERIOD_MS, PERIOD_MS, TimeUnit.MILLISECONDS);
  }

  /** The store has had the event since `at` (ms). */
  void add(Recent event, long at) {
    if (event.traceparent() == null || at - event.appended() > LONGEST_MS) {
      return;
    }
    Matcher parent = SAMPLED.matcher(event.traceparent());
    if (parent.matches() && !queue.offer(new Written(event, parent, at))) {
      lost.inc();
    }
  }

  /** What is left is still sent, and nobody waits for that. */
  @Override
  public void close() {
    sender.execute(this::send);
    sender.shutdown();
  }

  private void send() {
    List<Written> some = new ArrayList<>();
    queue.drainTo(some);
    if (some.isEmpty()) {
      return;
    }
    try {
      post(some);
      out = false;
    } catch (IOException | RuntimeException failure) {
      lost.inc(some.size());
      if (!out) {
        LOG.warn("spans are lost until the collector takes them again: {}", failure.toString());
      }
      out = true;
    } catch (InterruptedException ending) {
      Thread.currentThread().interrupt();
    }
  }

  private void post(List<Written> some) throws IOException, InterruptedException {
    String spans = some.stream().map(this::spelled).collect(joining(","));
    String message = String.format(MESSAGE, spans);
    HttpRequest made = request.copy().POST(BodyPublishers.ofString(message)).build();
    int status = http.send(made, BodyHandlers.discarding()).statusCode();
    if (status / 100 != 2) {
      throw new IOException("it answers " + status);
    }
  }

  private String spelled(Written written) {
    StringBuilder eventId = new StringBuilder();
    Recent.quote(eventId, written.event.eventId());
    long appended = written.event.appended();
    return String.format(
        Locale.ROOT,
        SPAN,
        written.parent.group(1),
        ThreadLocalRandom.current().nextLong(1, Long.MAX_VALUE),
        written.parent.group(2),
        appended,
        // Kafka's clock may be ahead of ours.
        Math.max(appended, written.at),
        eventId,
        store);
  }
}
