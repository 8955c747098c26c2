import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The topology of streams/benches/ticks in Kafka Streams: per key and second count, sum and last, written when the
 * second closes; or one counter per key, for restarts. Prints the same marks, ends when standard input is closed.
 *
 * <pre>Peer run|count BROKERS IN OUT APP THREADS GUARANTEE STATE_DIR FORM [NAME=VALUE ...]</pre>
 *
 * FORM: dsl (windowed aggregate, emitted on close) | processor (the same by hand, which is quicker).
 */
public final class Peer {
    static final long MARK_EVERY = 1_000_000;

    /** Records that were read, over all threads; each thread adds its own now and then. */
    static final AtomicLong READ = new AtomicLong();
    static volatile boolean first = false;

    record Tick(long px, long qty) {}

    record Row(long start, long n, long sum, long last) {
        Row add(Tick tick) {
            return new Row(start, n + 1, sum + tick.qty, tick.px);
        }
    }

    public static void main(String[] args) throws Exception {
        String what = args[0], input = args[2], output = args[3], form = args[8];
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[1]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[4]);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[5]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[6]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[7]);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        config.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        for (int i = 9; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            config.put(pair[0], pair[1]);
        }
        Topology topology = what.equals("count") ? counts(input, output)
            : form.equals("dsl") ? windows(input, output) : seconds(input, output);
        KafkaStreams streams = new KafkaStreams(topology, config);
        CountDownLatch over = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.ERROR) over.countDown();
        });
        Thread marks = new Thread(() -> mark());
        marks.setDaemon(true);
        marks.start();
        Thread end = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException ended) {
                // An error is an end, too.
            }
            over.countDown();
        });
        end.setDaemon(true);
        end.start();
        streams.start();
        over.await();
        boolean failed = streams.state() == KafkaStreams.State.ERROR;
        streams.close(Duration.ofSeconds(30));
        System.exit(failed ? 1 : 0);
    }

    static void mark() {
        long next = MARK_EVERY;
        boolean told = false;
        while (true) {
            if (first && !told) {
                System.out.println("first");
                told = true;
            }
            while (READ.get() >= next) {
                System.out.println("mark " + next);
                next += MARK_EVERY;
            }
            System.out.flush();
            try {
                Thread.sleep(1);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** Counts on its thread and tells the others every hundred records. */
    static final ThreadLocal<long[]> OWN = ThreadLocal.withInitial(() -> new long[1]);

    static void count() {
        long[] own = OWN.get();
        if (++own[0] == 100) {
            READ.addAndGet(100);
            own[0] = 0;
        }
        if (!first) first = true;
    }

    // ---- per key and second -------------------------------------------------------------------------------------

    static Topology windows(String input, String output) {
        StreamsBuilder b = new StreamsBuilder();
        b.stream(input, Consumed.with(Serdes.String(), tick()))
            .groupByKey(Grouped.with(Serdes.String(), tick()))
            .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofSeconds(1)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(() -> new Row(0, 0, 0, 0), (key, tick, row) -> {
                count();
                return row.add(tick);
            }, Materialized.with(Serdes.String(), row()))
            .toStream((window, row) -> window)
            .map((window, row) -> KeyValue.pair(window.key(), new Row(window.window().start() / 1000, row.n, row.sum, row.last)))
            .to(output, Produced.with(Serdes.String(), json()));
        return b.build();
    }

    static Topology seconds(String input, String output) {
        StreamsBuilder b = new StreamsBuilder();
        StoreBuilder<KeyValueStore<String, Row>> rows =
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("rows"), Serdes.String(), row()).withCachingEnabled();
        b.addStateStore(rows);
        b.stream(input, Consumed.with(Serdes.String(), tick()))
            .process(Seconds::new, "rows")
            .to(output, Produced.with(Serdes.String(), json()));
        return b.build();
    }

    static final class Seconds implements Processor<String, Tick, String, Row> {
        private ProcessorContext<String, Row> ctx;
        private KeyValueStore<String, Row> rows;
        private long time = Long.MIN_VALUE;

        @Override
        public void init(ProcessorContext<String, Row> ctx) {
            this.ctx = ctx;
            rows = ctx.getStateStore("rows");
            ctx.schedule(Duration.ofSeconds(1), PunctuationType.STREAM_TIME, now -> close(time));
        }

        @Override
        public void process(Record<String, Tick> r) {
            count();
            long second = Math.floorDiv(r.timestamp(), 1000);
            // The punctuation comes only after the record that reached it.
            if (second > time) {
                close(second);
                time = second;
            }
            Row row = rows.get(r.key());
            rows.put(r.key(), (row == null ? new Row(second, 0, 0, 0) : row).add(r.value()));
        }

        /** Writes and forgets every row of a second before this one. */
        private void close(long second) {
            List<KeyValue<String, Row>> closed = new ArrayList<>();
            try (KeyValueIterator<String, Row> all = rows.all()) {
                all.forEachRemaining(entry -> {
                    if (entry.value.start < second) closed.add(entry);
                });
            }
            for (KeyValue<String, Row> entry : closed) {
                ctx.forward(new Record<>(entry.key, entry.value, entry.value.start * 1000 + 999));
                rows.delete(entry.key);
            }
        }
    }

    // ---- per key ------------------------------------------------------------------------------------------------

    static Topology counts(String input, String output) {
        StreamsBuilder b = new StreamsBuilder();
        StoreBuilder<KeyValueStore<String, Long>> counts =
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("counts"), Serdes.String(), Serdes.Long()).withCachingEnabled();
        b.addStateStore(counts);
        b.stream(input, Consumed.with(Serdes.String(), tick()))
            .process(Counts::new, "counts")
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
        return b.build();
    }

    static final class Counts implements Processor<String, Tick, String, String> {
        private ProcessorContext<String, String> ctx;
        private KeyValueStore<String, Long> counts;

        @Override
        public void init(ProcessorContext<String, String> ctx) {
            this.ctx = ctx;
            counts = ctx.getStateStore("counts");
        }

        @Override
        public void process(Record<String, Tick> r) {
            count();
            Long known = counts.get(r.key());
            long n = known == null ? 1 : known + 1;
            counts.put(r.key(), n);
            if (n % 100 == 0) ctx.forward(r.withValue(Long.toString(n)));
        }
    }

    // ---- bytes: the same one-pass reader as in streams/benches/ticks/tick.rs --------------------------------------

    static Serde<Tick> tick() {
        return Serdes.serdeFrom((topic, tick) -> {
            throw new SerializationException("ticks are not written");
        }, (topic, bytes) -> parse(bytes));
    }

    static Tick parse(byte[] json) {
        long px = -1, qty = -1;
        int i = 1;
        while (true) {
            if (json[i] != '"') throw new SerializationException("not a tick");
            int name = ++i;
            while (json[i] != '"') i++;
            int len = i - name;
            if (json[++i] != ':') throw new SerializationException("not a tick");
            i++;
            if (len == 2 && json[name] == 'p' && json[name + 1] == 'x') {
                px = 0;
                for (; json[i] >= '0' && json[i] <= '9'; i++) px = px * 10 + (json[i] - '0');
            } else if (len == 3 && json[name] == 'q' && json[name + 1] == 't' && json[name + 2] == 'y') {
                qty = 0;
                for (; json[i] >= '0' && json[i] <= '9'; i++) qty = qty * 10 + (json[i] - '0');
            } else if (json[i] == '"') {
                i++;
                while (json[i] != '"') i++;
                i++;
            } else {
                while (json[i] != ',' && json[i] != '}') i++;
            }
            if (json[i] == '}') break;
            if (json[i++] != ',') throw new SerializationException("not a tick");
        }
        if (px < 0 || qty < 0) throw new SerializationException("not a tick");
        return new Tick(px, qty);
    }

    static Serde<Row> row() {
        return Serdes.serdeFrom((topic, row) -> row == null ? null
            : ByteBuffer.allocate(32).putLong(row.start).putLong(row.n).putLong(row.sum).putLong(row.last).array(), (topic, bytes) -> {
            if (bytes == null) return null;
            ByteBuffer b = ByteBuffer.wrap(bytes);
            return new Row(b.getLong(), b.getLong(), b.getLong(), b.getLong());
        });
    }

    static Serde<Row> json() {
        return Serdes.serdeFrom((topic, row) ->
            ("{\"start\":" + row.start + ",\"n\":" + row.n + ",\"sum\":" + row.sum + ",\"last\":" + row.last + "}")
                .getBytes(StandardCharsets.UTF_8), (topic, bytes) -> {
            throw new SerializationException("rows are not read");
        });
    }
}
