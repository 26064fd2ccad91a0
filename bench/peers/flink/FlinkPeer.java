package floorwatch.bench;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * The reduced job on Flink's embedded MiniCluster: labels, audited, wrong and handle time by (queue, minute) and
 * (vendor, minute), one final row a window once the watermark says that no audit can change it.
 *
 * <p>Arguments: brokers topic out group checkpointSeconds parallelism checkpointFolder hashmap|rocksdb.
 */
public final class FlinkPeer {
  private static final long MINUTE_MS = 60_000;
  /** Audits come up to ten minutes after their label: a window is final a minute and ten after it began. */
  private static final long FINAL_AFTER_MS = 11 * MINUTE_MS;

  private FlinkPeer() {}

  /** Runs the job over what the topic holds now, then says so. */
  public static void main(String[] args) throws Exception {
    Configuration settings = new Configuration();
    settings.set(StateBackendOptions.STATE_BACKEND, args[7]);
    settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + args[6]);
    settings.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(64));
    settings.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(64));
    settings.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(256));
    StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(settings);
    flink.setParallelism(Integer.parseInt(args[5]));
    flink.enableCheckpointing(Long.parseLong(args[4]) * 1000);
    flink.getConfig().enableObjectReuse();

    KafkaSource<BenchEvent> source = KafkaSource.<BenchEvent>builder()
        .setBootstrapServers(args[0])
        .setTopics(args[1])
        .setGroupId(args[3])
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.latest())
        .setValueOnlyDeserializer(new Decoder())
        .build();
    KafkaSink<String> sink = KafkaSink.<String>builder()
        .setBootstrapServers(args[0])
        .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(KafkaRecordSerializationSchema.builder()
            .setTopic(args[2])
            .setValueSerializationSchema(new SimpleStringSchema())
            .build())
        .build();
    WatermarkStrategy<BenchEvent> time = WatermarkStrategy
        .<BenchEvent>forBoundedOutOfOrderness(Duration.ofSeconds(1))
        .withTimestampAssigner((event, kafkaMs) -> event.timeMs);
    flink.fromSource(source, time, "events")
        .keyBy(event -> event.subject)
        .process(new Join())
        .keyBy(change -> change.f0, Types.STRING)
        .process(new Sum())
        .sinkTo(sink);
    flink.execute("reduced");
    Progress.done();
    System.exit(0);
  }

  /** Reads events and says when the first is read. */
  static final class Decoder extends AbstractDeserializationSchema<BenchEvent> {
    @Override
    public BenchEvent deserialize(byte[] message) {
      Progress.first();
      return BenchEvent.parse(message);
    }
  }

  /** Turns events into changes of (window key: labels, audited, wrong, handle ms). */
  static final class Join
      extends KeyedProcessFunction<String, BenchEvent, Tuple5<String, Long, Long, Long, Long>> {
    private transient ValueState<String> label;

    @Override
    public void open(OpenContext context) {
      label = getRuntimeContext().getState(new ValueStateDescriptor<>("label", Types.STRING));
    }

    @Override
    public void processElement(
        BenchEvent event, Context context, Collector<Tuple5<String, Long, Long, Long, Long>> out) throws Exception {
      if (event.label) {
        String minute = "|" + event.minute();
        String queue = "queue|" + event.queue + minute;
        String vendor = "vendor|" + event.vendor + minute;
        label.update(queue + "\n" + vendor);
        long handleMs = event.timeMs - event.startedMs;
        out.collect(Tuple5.of(queue, 1L, 0L, 0L, handleMs));
        out.collect(Tuple5.of(vendor, 1L, 0L, 0L, handleMs));
      } else if (event.audit && label.value() != null) {
        for (String key : label.value().split("\n")) {
          out.collect(Tuple5.of(key, 0L, 1L, event.wrong ? 1L : 0L, 0L));
        }
      }
    }
  }

  /** Sums the changes of one window and gives the sum once, when it is final. */
  static final class Sum extends KeyedProcessFunction<String, Tuple5<String, Long, Long, Long, Long>, String> {
    private transient ValueState<long[]> sums;

    @Override
    public void open(OpenContext context) {
      sums = getRuntimeContext().getState(
          new ValueStateDescriptor<>("sums", TypeInformation.of(long[].class)));
    }

    @Override
    public void processElement(
        Tuple5<String, Long, Long, Long, Long> change, Context context, Collector<String> out) throws Exception {
      long[] sum = sums.value();
      if (sum == null) {
        sum = new long[4];
        long minute = Long.parseLong(change.f0.substring(change.f0.lastIndexOf('|') + 1));
        context.timerService().registerEventTimeTimer(minute * MINUTE_MS + FINAL_AFTER_MS);
      }
      sum[0] += change.f1;
      sum[1] += change.f2;
      sum[2] += change.f3;
      sum[3] += change.f4;
      sums.update(sum);
    }

    @Override
    public void onTimer(long atMs, OnTimerContext context, Collector<String> out) throws Exception {
      long[] sum = sums.value();
      out.collect(context.getCurrentKey() + "=" + sum[0] + "," + sum[1] + "," + sum[2] + "," + sum[3]);
      sums.clear();
    }
  }
}
