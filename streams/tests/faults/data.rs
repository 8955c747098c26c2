//! F8, F9: records that are corrupt, come twice or come late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lobstream_streams::log::topic;
use lobstream_streams::record::{Codec, CodecError, Record};
use lobstream_streams::store::StoreRef;
use lobstream_streams::store::hot::{Hot, HotState};
use lobstream_streams::testing::{Feed, Plan, Sim, TestDriver, Written};
use lobstream_streams::time::Ts;
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::window::{Windowed, Windows};
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use crate::bed::{WORKLOAD, ask_oracle, hush, sim};
use crate::feed::{PARTITIONS, Random, Workload};
use crate::fixture::Protocol;
use crate::process::factor;

#[test]
fn f8_every_corrupt_record_is_a_dead_letter_and_the_rest_is_as_if_it_were_not_there() {
    hush();
    for (seed, protocol) in [(0, Protocol::A), (1, Protocol::B)] {
        let records = 5_000 * factor();
        let workload = Workload { seed: seed + 1, records, poison_every: 100, ..WORKLOAD };
        let plan = Plan { turns: 400, kill: 150, ..Plan::CALM };
        let outcome = sim(protocol, workload, plan).run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        ask_oracle(seed, &outcome).unwrap_or_else(|what| panic!("{what}"));
        let dead: usize = outcome.written("app-dead-letter").iter().map(Vec::len).sum();
        assert!(dead as u64 > records / 150, "only {dead} of {records} were corrupt");
    }
}

/// How many records a key had.
struct Seen(u8);

impl HotState for Seen {
    fn new(_: &[u8]) -> Seen {
        Seen(0)
    }

    fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.0);
    }

    fn decode(_: &[u8], bytes: &[u8]) -> Result<Seen, CodecError> {
        bytes.first().map(|n| Seen(*n)).ok_or_else(|| CodecError::new("no byte"))
    }
}

struct Count(StoreRef<Hot<Seen>>);

impl Processor<Message> for Count {
    fn process(
        &mut self,
        ctx: &mut Context<'_, Message>,
        record: Record<Message>,
    ) -> Result<(), ProcessError> {
        ctx.hot(self.0).edit(&record.key, |seen| seen.0 += 1);
        ctx.forward(record);
        Ok(())
    }
}

/// Takes every text but one.
struct Picky;

impl Codec<Message> for Picky {
    fn encode(&self, message: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            Message::Text(text) if text == "bad" => Err(CodecError::new("not this one")),
            message => Text.encode(message, into),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        Text.decode(bytes)
    }
}

/// The sink refuses when the node before it has changed its object already: nobody knows how to take that back.
#[test]
fn f8_an_output_that_is_refused_drops_what_its_record_has_changed() {
    let mut t = Builder::<Message>::new("app");
    let lines = t.source("lines", Source::topic("app.in", Arc::new(Text)));
    let seen = t.store(Hot::<Seen>::new("seen"));
    let count = t.processor("count", [lines], [seen], move || Count(seen));
    t.sink("out", [count], Sink::topic("app.out", Arc::new(Picky)));
    let mut driver = TestDriver::new(t.build().expect("valid")).expect("started");
    for (key, text) in [("a", "good"), ("b", "good"), ("a", "bad")] {
        let record = Record::new(key.into(), Message::Text(text.to_owned()), Ts(1));
        driver.pipe("app.in", record).expect("processed");
    }
    assert_eq!(driver.store("seen").into_iter().collect::<Vec<_>>(), [(b"b".to_vec(), vec![1])]);
    assert_eq!(driver.read_bytes("app-dead-letter").expect("readable").len(), 1);
}

const SIZE: i64 = 1_000;
const GRACE: i64 = 300;

/// What flows through the counting topology.
#[derive(Clone)]
enum Message {
    Text(String),
    Count(Windowed<u64>),
}

impl From<String> for Message {
    fn from(text: String) -> Message {
        Message::Text(text)
    }
}

impl From<Windowed<u64>> for Message {
    fn from(count: Windowed<u64>) -> Message {
        Message::Count(count)
    }
}

impl TryFrom<Message> for String {
    type Error = &'static str;

    fn try_from(message: Message) -> Result<String, &'static str> {
        match message {
            Message::Text(text) => Ok(text),
            Message::Count(_) => Err("a count"),
        }
    }
}

struct Text;

impl Codec<Message> for Text {
    fn encode(&self, message: &Message, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let text = match message {
            Message::Text(text) => text.clone(),
            Message::Count(count) => format!("{} {}", count.start.0, count.value),
        };
        into.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, CodecError> {
        String::from_utf8(bytes.to_vec()).map(Message::Text).map_err(|e| CodecError::new(e.to_string()))
    }
}

fn counting() -> Topology<Message> {
    let mut t = Builder::<Message>::new("app");
    let lines = t.stream::<String>("lines", Source::topic("app.in", Arc::new(Text)));
    let windows = Windows::tumbling(Duration::from_nanos(SIZE as u64), Duration::from_nanos(GRACE as u64));
    let counted = lines.windowed(windows).late_to(Arc::new(Text)).count().named("counts");
    counted.to("app.out", Arc::new(Text));
    t.build().expect("valid")
}

/// One record in twenty comes again, one in twenty belongs to a window that is long over.
fn disorder(seed: u64, records: u64) -> Vec<Record<()>> {
    let mut random = Random(seed + 1);
    let (mut now, mut all) = (10 * SIZE, Vec::<Record<()>>::new());
    for _ in 0..records {
        now += random.below(40) as i64;
        let late = random.below(20) == 0;
        let back = if late { SIZE + GRACE } else { 0 } + random.below(200) as i64;
        let key = format!("key-{}", random.below(20));
        all.push(Record::new(key.as_str().into(), (), Ts(now - back)));
        if random.below(20) == 0 {
            all.extend(all.last().cloned());
        }
    }
    all
}

/// Records of each window, by its start and key.
type Counted = BTreeMap<(i64, Vec<u8>), u64>;

/// Per partition: windows with their counts, and the number of late records, counted one by one.
fn recount(records: &[Record<()>]) -> Vec<(Counted, usize)> {
    let mut parts = vec![(i64::MIN, BTreeMap::new(), 0); PARTITIONS as usize];
    for record in records {
        let (time, windows, late) = &mut parts[topic::partition(&record.key, PARTITIONS) as usize];
        *time = (*time).max(record.ts.0);
        let start = record.ts.0.div_euclid(SIZE) * SIZE;
        if start + SIZE <= *time - GRACE {
            *late += 1;
        } else {
            *windows.entry((start, record.key.to_vec())).or_default() += 1;
        }
    }
    parts.into_iter().map(|(_, windows, late)| (windows, late)).collect()
}

fn window_of(row: &Written) -> ((i64, Vec<u8>), u64) {
    let text = String::from_utf8_lossy(row.value.as_deref().unwrap_or_default()).into_owned();
    let numbers: Vec<i64> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
    ((numbers[0], row.key.clone()), numbers[1] as u64)
}

#[test]
fn f9_late_records_are_counted_exactly_and_repeated_ones_as_often_as_they_come() {
    for seed in 0..4 * factor() {
        let records = disorder(seed, 1_500);
        let mut feed = Feed::default().topic("app.in", PARTITIONS);
        for record in &records {
            feed.record("app.in", &record.key, Some(b"x"), record.ts, 0);
        }
        feed.beacon(Ts(1_000_000_000), true);
        let plan = Plan { turns: 300, kill: 60, power: 3, ..Plan::CALM };
        let run = Sim::new(counting(), feed).plan(plan).run(seed);
        let outcome = run.unwrap_or_else(|failure| panic!("{failure}"));
        let (out, late) = (outcome.written("app.out"), outcome.written("app-late"));
        for (p, (windows, n_late)) in recount(&records).into_iter().enumerate() {
            let found: BTreeMap<_, _> = out[p].iter().map(window_of).collect();
            assert_eq!((found.len(), &found), (out[p].len(), &windows), "seed {seed}, partition {p}");
            assert!(n_late > 5, "only {n_late} late records");
            assert_eq!(late[p].len(), n_late, "seed {seed}, partition {p}");
        }
    }
}
