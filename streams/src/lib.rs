//! A Kafka Streams for Rust: keyed logs, state, event time, exactly-once results.
//!
//! It **is** a library that reads topics, processes them with state and writes topics, so that the results are
//! a function of the input alone: thread count, batch size, speed, restarts and kills change no byte of them.
//! The log is Kafka, or one directory on disk with no server at all. It **is not** a cluster, a database or an
//! async runtime; it knows bytes, keys and times, and never reads a clock to decide a result.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//! use std::time::Duration;
//!
//! use lobstream_streams::log::{self, ProducerOptions, TopicName, TopicSpec, Tp};
//! use lobstream_streams::record::{Codec, CodecError, OutRecord, Record};
//! use lobstream_streams::runtime::metrics::Progress;
//! use lobstream_streams::runtime::{App, Clock, Until};
//! use lobstream_streams::settings::Settings;
//! use lobstream_streams::store::{StoreRef, kv::Kv};
//! use lobstream_streams::time::{Mono, Ts};
//! use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
//! use lobstream_streams::topology::{Builder, Sink, Source};
//!
//! struct Text;
//! impl Codec<String> for Text {
//!     fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result<(), CodecError> {
//!         into.extend_from_slice(value.as_bytes());
//!         Ok(())
//!     }
//!     fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
//!         String::from_utf8(bytes.to_vec()).map_err(|e| CodecError::new(e.to_string()))
//!     }
//! }
//!
//! /// Numbers the records of each key.
//! struct Count(StoreRef<Kv>);
//! impl Processor<String> for Count {
//!     fn process(&mut self, ctx: &mut Context<'_, String>, mut record: Record<String>) -> Result<(), ProcessError> {
//!         let n = ctx.kv(self.0).get(&record.key).map_or(1, |n| n[0] + 1);
//!         ctx.kv(self.0).put(&record.key, &[n]);
//!         record.value = format!("{} {n}", record.value);
//!         ctx.forward(record);
//!         Ok(())
//!     }
//! }
//!
//! /// The engine has no clock: this one stands still, and commits come when the input ends.
//! struct Stopped;
//! impl Clock for Stopped {
//!     fn mono(&self) -> Mono {
//!         Mono::default()
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let log = log::open(&format!("embedded:{}", dir.path().display()))?;
//! let lines = TopicName::new("lines.in");
//! log.ensure_topic(&TopicSpec { name: lines.clone(), partitions: 1, retention: None, compact: false })?;
//! let (tp, mut producer) = (Tp::new(&lines, 0), log.producer(&ProducerOptions::default())?);
//! for (i, word) in ["red", "blue", "red"].iter().enumerate() {
//!     let (key, value) = (Some(word.as_bytes()), Some(word.as_bytes()));
//!     producer.send(OutRecord { tp: &tp, key, value, ts: Ts(i as i64), seq: 0, headers: &[] })?;
//! }
//! producer.drain(Duration::from_secs(10))?;
//!
//! let mut t = Builder::new("numbers");
//! let source = t.source("lines", Source::topic("lines.in", Arc::new(Text)));
//! let counts = t.store(Kv::new("counts"));
//! let count = t.processor("count", [source], [counts], move || Count(counts));
//! t.sink("numbered", [count], Sink::topic("lines.out", Arc::new(Text)));
//! let app = App::new(t.build()?, Arc::clone(&log), Settings::default(), Arc::new(Stopped));
//! app.run(Until::End, &AtomicBool::new(false), &Progress::default())?;
//!
//! # use lobstream_streams::log::{Answer, Assignment, ConsumerOptions};
//! # use lobstream_streams::record::{Batch, Offset};
//! # let mut consumer = log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual })?;
//! # let (out, mut batch) = (Tp::new(&TopicName::new("lines.out"), 0), Batch::default());
//! # consumer.answer(Answer::Start(&[(out.clone(), Offset(0))]))?;
//! # consumer.take(&out, 10, &mut batch)?;
//! # let values: Vec<_> = batch.iter().map(|r| String::from_utf8_lossy(r.value.unwrap_or_default()).into_owned()).collect();
//! assert_eq!(values, ["red 1", "blue 1", "red 2"]); // read back from `lines.out`
//! # Ok(())
//! # }
//! ```
//!
//! The map, from the top layer to the bottom one; a module uses what stands below it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`testing`] | drive a topology by hand, or under every fault by seed |
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
#![deny(unsafe_code)]

pub mod beacon;
pub mod digest;
pub mod error;
pub mod lmdb;
pub mod log;
mod lz4;
pub mod record;
pub mod replay;
pub mod runtime;
pub mod settings;
pub mod store;
pub mod testing;
pub mod time;
pub mod topology;
pub mod verify;
pub mod why;
mod wire;
