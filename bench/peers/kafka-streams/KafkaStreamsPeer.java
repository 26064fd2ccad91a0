package floorwatch.bench;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The reduced job on Kafka Streams: labels, audited, wrong and handle time by (queue, minute) and (vendor, minute).
 *
 * <p>Written for speed: the Processor API, sums kept per source partition (no repartition topic), both stores cached,
 * changed sums sent on once a second. Arguments: brokers topic out group guarantee threads stateDir rocksdb|memory.
 */
public final class KafkaStreamsPeer {
  static final String LABELS = "labels";
  static final String SUMS = "sums";

  private KafkaStreamsPeer() {}

  /** Starts the job and runs until the process is told to stop. */
  public static void main(String[] args) throws InterruptedException {
    boolean inMemory = args[7].equals("memory");
    Topology topology = new Topology();
    topology.addSource("events", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), args[1]);
    topology.addProcessor("count", Counter::new, "events");
    topology.addStateStore(store(LABELS, inMemory), "count");
    topology.addStateStore(store(SUMS, inMemory), "count");
    topology.addSink("out", args[2], Serdes.String().serializer(), Serdes.String().serializer(), "count");

    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(args[5]));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[6]);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    KafkaStreams streams = new KafkaStreams(topology, settings);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      streams.close(Duration.ofSeconds(10));
      stopped.countDown();
    }));
    streams.start();
    stopped.await();
  }

  private static StoreBuilder<KeyValueStore<String, byte[]>> store(String name, boolean inMemory) {
    var supplier = inMemory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name);
    return Stores.keyValueStoreBuilder(supplier, Serdes.String(), Serdes.ByteArray())
        .withCachingEnabled()
        .withLoggingEnabled(Map.of());
  }

  /** Remembers labels by id, so that an audit finds its queue, vendor and minute. */
  static final class Counter implements Processor<byte[], byte[], String, String> {
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, byte[]> labels;
    private KeyValueStore<String, byte[]> sums;
    private final Set<String> changed = new HashSet<>();

    @Override
    public void init(ProcessorContext<String, String> given) {
      context = given;
      labels = given.getStateStore(LABELS);
      sums = given.getStateStore(SUMS);
      given.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, this::sendChanged);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      Progress.first();
      BenchEvent event = BenchEvent.parse(record.value());
      if (event.label) {
        String minute = Long.toString(event.minute());
        String queue = "queue|" + event.queue + "|" + minute;
        String vendor = "vendor|" + event.vendor + "|" + minute;
        labels.put(event.labelId, (queue + "\n" + vendor).getBytes());
        long handleMs = event.timeMs - event.startedMs;
        add(queue, 1, 0, 0, handleMs);
        add(vendor, 1, 0, 0, handleMs);
      } else if (event.audit) {
        byte[] known = labels.get(event.labelId);
        if (known == null) {
          return;
        }
        String[] keys = new String(known).split("\n");
        add(keys[0], 0, 1, event.wrong ? 1 : 0, 0);
        add(keys[1], 0, 1, event.wrong ? 1 : 0, 0);
      }
    }

    private void add(String key, long labelCount, long audited, long wrong, long handleMs) {
      byte[] held = sums.get(key);
      ByteBuffer old = held == null ? ByteBuffer.allocate(32) : ByteBuffer.wrap(held);
      ByteBuffer sum = ByteBuffer.allocate(32);
      sum.putLong(old.getLong() + labelCount);
      sum.putLong(old.getLong() + audited);
      sum.putLong(old.getLong() + wrong);
      sum.putLong(old.getLong() + handleMs);
      sums.put(key, sum.array());
      changed.add(key);
    }

    private void sendChanged(long nowMs) {
      for (String key : changed) {
        ByteBuffer sum = ByteBuffer.wrap(sums.get(key));
        String value = sum.getLong() + "," + sum.getLong() + "," + sum.getLong() + "," + sum.getLong();
        context.forward(new Record<>(key + "|" + context.taskId().partition(), value, nowMs));
      }
      changed.clear();
    }
  }
}
