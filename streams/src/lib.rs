//! A Kafka Streams for Rust: keyed logs, state, event time, exactly-once results.
//!
//! It **is** a library that reads topics, processes them with state and writes topics, so that the results are
//! a function of the input alone: thread count, batch size, speed, restarts and kills change no byte of them.
//! The log is Kafka, or one directory on disk with no server at all. It **is not** a cluster, a database or an
//! async runtime; it knows bytes, keys and times, and never reads a clock to decide a result.
//!
//! # A first topology
//!
//! Words counted per minute. All records of a topology have one type; a [`Stream`] is a typed view of those that are
//! one of its kinds. Here it is the [`Text`](text::Text) of this crate, which holds words and numbers alike, with its
//! codec. Types of your own are mostly an enum: each kind needs a [`From`] and, where an operator reads it, a
//! [`TryFrom`], and a [`Codec`] says how they become bytes.
//!
//! ```
//! use std::time::Duration;
//!
//! use lobstream_streams::record::Record;
//! use lobstream_streams::testing::TestDriver;
//! use lobstream_streams::text::{Text, text};
//! use lobstream_streams::time::Ts;
//! use lobstream_streams::topology::repartition::Repartition;
//! use lobstream_streams::topology::window::Windows;
//! use lobstream_streams::topology::{Builder, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut t = Builder::<Text>::new("words");
//! let lines = t.stream::<String>("lines", Source::topic("lines", text()));
//! let words = lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
//! let by_word = words.key_by(Repartition::new("by-word", text()), |record| record.value.as_str().into());
//! let minutes = Windows::tumbling(Duration::from_secs(60), Duration::from_secs(5)); // size, grace
//! by_word.windowed(minutes).count().named("counts").to("counts", text());
//! let topology = t.build()?; // an error names the rule that is broken
//! println!("{}", topology.describe());
//!
//! // The driver needs no log, no disk and no clock: pipe in, read out.
//! let mut driver = TestDriver::new(topology)?;
//! driver.pipe("lines", Record::new("ann".into(), Text::from("to be or not to be"), Ts::from_millis(1_000)))?;
//! driver.pipe("lines", Record::new("bob".into(), Text::from("to do"), Ts::from_millis(59_000)))?;
//! assert!(driver.read("counts")?.is_empty(), "the minute and its grace are not over");
//! driver.advance(Ts::from_millis(66_000))?; // "nothing older than this follows"
//! let counts = driver.read("counts")?;
//! let counts: Vec<_> = counts.iter().map(|r| (String::from_utf8_lossy(&r.key), r.value.clone())).collect();
//! let expected = [("be", "2"), ("do", "1"), ("not", "1"), ("or", "1"), ("to", "3")];
//! assert_eq!(counts, expected.map(|(word, n)| (word.into(), Text::from(n))));
//! # Ok(())
//! # }
//! ```
//!
//! Beneath the operators lies the [`Processor`] API: three ways to be called (a record, a tick of event time, a
//! record that was refused) and typed stores; [`topology`] shows it. Both mix freely ([`Stream::process`],
//! [`Builder::view`]).
//!
//! # Running it
//!
//! An [`App`] is a topology on a log. The log is chosen by its URI: `embedded:DIR`, `kafka://host:port`, or
//! `memory:`, which is gone with its last handle. The engine has no clock of its own; the one it is given decides
//! *when* it commits, never what comes out. Inputs must exist; outputs are made with as many partitions as the input.
//!
//! ```
//! # use lobstream_streams::text::{Text, text};
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//! use std::time::{Duration, Instant};
//!
//! use lobstream_streams::log::{self, ProducerOptions, TopicName, TopicSpec, Tp, topic};
//! use lobstream_streams::record::OutRecord;
//! use lobstream_streams::runtime::metrics::Progress;
//! use lobstream_streams::runtime::{App, Clock, Until};
//! use lobstream_streams::settings::Settings;
//! use lobstream_streams::time::{Mono, Ts};
//! use lobstream_streams::topology::{Builder, Source};
//!
//! struct Machine(Instant);
//! impl Clock for Machine {
//!     fn mono(&self) -> Mono {
//!         Mono(self.0.elapsed())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let log = log::open(&format!("embedded:{}", dir.path().display()))?;
//! let lines = TopicName::new("lines");
//! log.ensure_topic(&TopicSpec { name: lines.clone(), partitions: 2, retention: None, compact: false })?;
//! let mut producer = log.producer(&ProducerOptions::default())?;
//! producer.init()?;
//! for (i, text) in ["red", "blue", "red"].iter().enumerate() {
//!     let tp = Tp::new(&lines, topic::partition(text.as_bytes(), 2));
//!     let (key, value) = (Some(text.as_bytes()), Some(text.as_bytes()));
//!     producer.send(OutRecord { tp: &tp, key, value, ts: Ts::from_millis(i as i64), seq: 0, headers: &[] })?;
//! }
//! producer.drain(Duration::from_secs(10))?; // now it is durable
//!
//! let mut t = Builder::<Text>::new("shout");
//! let lines = t.stream::<String>("lines", Source::topic("lines", text()));
//! lines.map(|text| text.to_uppercase()).to("shouts", text());
//! let app = App::new(t.build()?, log, Settings::default(), Arc::new(Machine(Instant::now())));
//! let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
//! app.run(Until::End, &shutdown, &progress)?; // `Until::Shutdown` runs until the flag is set
//! assert_eq!(progress.snapshot().records_in, 3);
//! let again = Progress::default();
//! app.run(Until::End, &shutdown, &again)?; // goes on where the last run ended
//! assert_eq!(again.snapshot().records_in, 0, "nothing is done twice");
//! # Ok(())
//! # }
//! ```
//!
//! # Time and windows
//!
//! A record carries its event time, ns since 1970. **Stream time** of a task is the greatest one it has processed;
//! it alone moves windows and ticks. Inputs of a task are merged by time, then by the rank of their source, in one
//! documented order ([`runtime::merge`]). An input that has nothing to read **holds the others**, because its next
//! record might be older: whoever writes a topic that can be quiet also writes beacons, records that carry only time
//! ([`beacon`]). For topics of others, [`Source::idle`] says how long to wait. A run with [`Until::End`] does not wait
//! for an input that is at its end.
//!
//! [`Windows`] are tumbling, hopping or sessions; `grace`, how long a window waits for late records, is always said.
//! Results leave once, when the window is over, or after every record ([`WindowedStream::on_update`]). A record too
//! late for all its windows is counted as `late_total`, and kept ([`WindowedStream::late_to`]) or used to correct the
//! result ([`WindowedStream::revise`]) if you say so.
//!
//! # Joins and tables
//!
//! [`Builder::table`] has the latest value of each key; [`Stream::join`] looks rows up, [`Stream::join_asof`] finds the
//! last record of another stream before this one in time, [`Stream::join_window`] all that are near. Both sides
//! must be in the same task: equally many partitions, partitioned by the key ([`Stream::key_by`] sees to it).
//!
//! ```
//! # use lobstream_streams::text::{Text, text};
//! use lobstream_streams::record::Record;
//! use lobstream_streams::testing::TestDriver;
//! use lobstream_streams::time::Ts;
//! use lobstream_streams::topology::join::Missing;
//! use lobstream_streams::topology::{Builder, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut t = Builder::<Text>::new("pages");
//! let users = t.table::<String>("users", Source::topic("users", text()).rank(0));
//! let clicks = t.stream::<String>("clicks", Source::topic("clicks", text()).rank(1));
//! let named = clicks.join(&users, Missing::Null, |page, user| format!("{} reads {page}", user.unwrap_or("?".into())));
//! named.to("named", text());
//!
//! let mut driver = TestDriver::new(t.build()?)?;
//! let said = |key: &str, text: &str, ts| Record::new(key.into(), Text::from(text), Ts(ts));
//! driver.pipe("users", said("u1", "Ann", 1))?;
//! driver.pipe("clicks", said("u1", "/a", 2))?;
//! driver.pipe("clicks", said("u2", "/b", 3))?;
//! assert!(driver.read("named")?.is_empty(), "an older user may still come");
//! driver.advance(Ts(4))?;
//! let named: Vec<_> = driver.read("named")?.into_iter().map(|record| record.value).collect();
//! assert_eq!(named, [Text::from("Ann reads /a"), Text::from("? reads /b")]);
//! assert!(driver.store("users-rows").contains_key(&b"u1"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # State, and where it lies
//!
//! Stores live in RAM; a task writes what has changed to LMDB at checkpoints. [`Kv`] holds bytes, [`Window`] values by
//! window and key, [`Hot`] typed objects that are changed in place. Keys have at most [`KEY_MAX`](store::KEY_MAX)
//! bytes. A restart does not load a large state: keys come from the checkpoint when they are first touched
//! ([`Settings::load_entries_max`]; `Hot` stores, sessions and windowed joins are loaded whole).
//!
//! | log | checkpoints | changelog topic |
//! |---|---|---|
//! | `embedded:` | beside the records, in the transaction of the outputs | not needed: off |
//! | `kafka:`, `memory:` | `<state_dir>/<app>/<task>/`, after the transaction | on for `Kv` and `Window`, off for `Hot`; [`Changelog`] changes it |
//!
//! After a crash a checkpoint is rolled forward, from the changelogs or, where a store has none, by processing the
//! input since then again without writing. State is never thrown away because of a crash.
//!
//! # Guarantees, and their limits
//!
//! | log | guarantee | how |
//! |---|---|---|
//! | `embedded:` | exactly-once, log to log, also through power cuts | outputs, positions and state are one LMDB transaction, synced |
//! | `kafka:` | exactly-once, log to log, for readers with `read_committed` | one Kafka transaction; the checkpoint comes after it and is never ahead |
//! | `kafka:` with [`Guarantee::AtLeastOnce`] | at-least-once | outputs, then a checkpoint, then positions: after a crash outputs may stand there twice, and state from a changelog may count twice |
//! | what you write yourself without a transactional id | at-least-once | a producer without transactions may repeat records after a crash |
//!
//! Not promised:
//! - **Side effects.** A closure or processor that writes anywhere but to its stores and outputs does so again after
//!   a crash. Bring results out of the log by a reader that keeps its cursor with what it writes.
//! - **Processors that are not deterministic.** A clock, a random number or an unordered map in a processor breaks
//!   recovery; where outputs are replayed it is found and the task stops ([`Error::StateDiverged`]).
//! - **Lost input.** Where a store has no changelog, the input since the last checkpoint must still be there.
//! - **A changed topology.** A checkpoint of another topology is refused; names of operators and stores are part of
//!   it. Where there is none, because the earlier topology kept nothing, a new store is rebuilt from the whole input
//!   if it has no changelog, and refused if it has one, which would be empty. A topology with one more input needs a
//!   new application name.
//! - **Other partition counts.** A topic keeps the count it was made with; another one is an error at the start.
//! - **[`Idle::Skip`].** Which records are late then depends on when they came. The decision is logged, so that a
//!   second run comes to the same.
//! - **Records beyond reason.** An output of more than [`OUTPUT_BYTES_MAX`](runtime::outbox::OUTPUT_BYTES_MAX) bytes,
//!   a record without key, a key that begins with byte 0, a codec or processor that panics: the input
//!   becomes a dead letter in `<app>-dead-letter`, with its reason, and every node below is told
//!   ([`Processor::poisoned`]). More than [`Settings::poison_percent_max`] of them stop the application.
//!
//! # Testing your own topology
//!
//! [`TestDriver`] answers "what comes of this record?". [`Sim`] answers "is it still right when the process is killed
//! between any two steps, a reply is lost, the disk is full?": the engine itself over a broker and a disk in memory that
//! fail by seed. A failure names its seed.
//!
//! ```
//! # use lobstream_streams::text::{Text, text};
//! use std::time::Duration;
//!
//! use lobstream_streams::testing::{Feed, Plan, Sim};
//! use lobstream_streams::time::Ts;
//! use lobstream_streams::topology::window::Windows;
//! use lobstream_streams::topology::{Builder, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut t = Builder::<Text>::new("words");
//! let words = t.stream::<String>("words", Source::topic("words", text()));
//! let windows = Windows::tumbling(Duration::from_nanos(10), Duration::ZERO);
//! words.windowed(windows).count().named("counts").to("counts", text());
//!
//! let mut feed = Feed::default().topic("words", 2);
//! for i in 0..100 {
//!     feed.record("words", format!("key {}", i % 7).as_bytes(), Some(b"word"), Ts(i), 0);
//! }
//! feed.beacon(Ts(200), true); // the end of the input
//! let counts = Sim::new(t.build()?, feed).plan(Plan::ALL).check(0..3)?;
//! assert!(counts.deaths > 0, "outputs are those of a calm run all the same");
//! # Ok(())
//! # }
//! ```
//!
//! # Several threads, several processes
//!
//! A **task** is a part of the topology without a topic between ([`Topology::describe`] shows them) on one partition;
//! a thread has some of them. [`Settings::n_threads`] is at most the number of partitions. On Kafka, processes of one
//! application share the partitions as a group; each has an [`instance`](settings::Settings::instance) name and a
//! [`state_dir`](settings::Settings::state_dir) of its own, and partitions move without stopping those that stay. Of two
//! processes of one name the older one ends with [`Error::Fenced`]. With [`Settings::standby`] a process keeps copies
//! of tasks that others have, so that it has only the tail to read when it takes one over. An embedded log has one process per application;
//! other applications may use it at the same time.
//!
//! Records from Kafka are made by the client's threads and given back by yours, which many allocators do slowly: a
//! binary does well to choose one, as `benches/ticks` does.
//!
//! # Looking inside
//!
//! - [`Progress`] has the counters and states of a running application, those of your nodes
//!   ([`Context::count`]) too.
//! - [`App::view`] reads stores while they are at work, as of the last checkpoint, and never holds LMDB up.
//! - [`why`] tells why a window has no row; [`verify`] runs the inputs of a live run again and names the first record
//!   that differs.
//! - `<app>-dead-letter` has what was refused, `<app>-decisions` one record per task and epoch
//!   ([`runtime::decision`]).
//!
//! # What differs from Kafka Streams
//!
//! | | Kafka Streams | here |
//! |---|---|---|
//! | order across inputs | best effort, ties are open | one total order, equal in every run |
//! | a quiet input | skipped after `max.task.idle.ms` of wall time | holds the others until a beacon; skipping is opt-in and logged |
//! | a window's result | carries the time of its greatest record | the last instant of the window, so that it counts there if windowed again |
//! | windows and ticks of one instant | – | windows first, then ticks, then the record that lifted time |
//! | state after a crash | kept by opt-in | always kept |
//! | records that fail | handlers that may drop them | dead letters, and the nodes are told: a state that missed a change can say so |
//! | without a broker | the test driver | embedded log, for production too |
//! | not here | | global tables, foreign-key joins, versioned tables, interactive queries across processes, Connect |
//!
//! # The map
//!
//! From the top layer to the bottom one; a module uses what stands below it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`testing`] | drive a topology by hand, or under every fault by seed |
//! | [`text`] | a message and codec for topics of text and numbers |
//! | [`verify`] | runs a live run's inputs again and names the first difference |
//! | [`why`] | explains why a window has no row |
//! | [`replay`] | pacing of recordings on an absolute schedule, orders meanwhile, archives joined to live logs |
//! | [`runtime`] | how a topology runs: tasks, merge order, ticks, epochs, commits, recovery |
//! | [`topology`] | what runs: sources, processors, stores and sinks as a value |
//! | [`store`] | what a processor remembers, and its checkpoints |
//! | [`log`] | topics, partitions, offsets, transactions: [`log::embedded`], and Kafka with the feature `kafka` |
//! | [`lmdb`], [`digest`] | environments on disk; sums that tell whether two runs did the same |
//! | [`beacon`], [`record`], [`time`], [`settings`] | the words of all the others |
//! | [`error`] | what can go wrong, and the questions an error answers |
//!
//! [`App`]: runtime::App
//! [`App::view`]: runtime::App::view
//! [`Builder::table`]: topology::Builder::table
//! [`Builder::view`]: topology::Builder::view
//! [`Changelog`]: store::Changelog
//! [`Codec`]: record::Codec
//! [`Context::count`]: topology::processor::Context::count
//! [`Error::Fenced`]: error::Error::Fenced
//! [`Error::StateDiverged`]: error::Error::StateDiverged
//! [`Guarantee::AtLeastOnce`]: settings::Guarantee::AtLeastOnce
//! [`Hot`]: store::hot::Hot
//! [`Idle::Skip`]: topology::Idle::Skip
//! [`Kv`]: store::kv::Kv
//! [`Processor`]: topology::processor::Processor
//! [`Processor::poisoned`]: topology::processor::Processor::poisoned
//! [`Progress`]: runtime::metrics::Progress
//! [`Settings::load_entries_max`]: settings::Settings::load_entries_max
//! [`Settings::n_threads`]: settings::Settings::n_threads
//! [`Settings::poison_percent_max`]: settings::Settings::poison_percent_max
//! [`Settings::standby`]: settings::Settings::standby
//! [`Sim`]: testing::Sim
//! [`Source::idle`]: topology::Source::idle
//! [`Stream`]: topology::stream::Stream
//! [`Stream::join`]: topology::stream::Stream::join
//! [`Stream::join_asof`]: topology::stream::Stream::join_asof
//! [`Stream::join_window`]: topology::stream::Stream::join_window
//! [`Stream::key_by`]: topology::stream::Stream::key_by
//! [`Stream::process`]: topology::stream::Stream::process
//! [`TestDriver`]: testing::TestDriver
//! [`Topology::describe`]: topology::Topology::describe
//! [`Until::End`]: runtime::Until::End
//! [`Window`]: store::window::Window
//! [`WindowedStream::late_to`]: topology::window::WindowedStream::late_to
//! [`WindowedStream::on_update`]: topology::window::WindowedStream::on_update
//! [`WindowedStream::revise`]: topology::window::WindowedStream::revise
//! [`Windows`]: topology::window::Windows
#![deny(unsafe_code)]

pub mod beacon;
pub mod digest;
pub mod error;
pub mod lmdb;
pub mod log;
pub mod lz4;
pub mod record;
pub mod replay;
pub mod runtime;
pub mod settings;
pub mod store;
pub mod testing;
pub mod text;
pub mod time;
pub mod topology;
pub mod verify;
pub mod why;
mod wire;
