//! What the application must write: one thread, one sort, maps. Shares nothing with the engine but the
//! partitioner, whose numbers are checked elsewhere, and the beacon's bytes.

use std::collections::BTreeMap;

use lobstream_streams::beacon::Beacon;
use lobstream_streams::log::topic;

use crate::feed::PARTITIONS;
use crate::fixture::TICK;

/// A record as read from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) offset: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) ts: i64,
    pub(crate) seq: u64,
    /// The `src` header, or `dlq.src`, the reason and the node of a dead letter.
    pub(crate) origin: Vec<u8>,
}

/// Everything of one partition of the inputs, and what must come of it. Offsets of results do not count.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) out: Vec<Row>,
    pub(crate) dead: Vec<Row>,
    pub(crate) sums: BTreeMap<Vec<u8>, [i64; 4]>,
    pub(crate) last: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) numbers: u64,
    src: [u64; 3],
    k: u32,
}

/// An input and the place the merge must give it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    ts: i64,
    rank: u16,
    seq: u64,
    topic_rank: u16,
    offset: u64,
    beacon: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    raw_ts: i64,
    raw_seq: u64,
}

fn place(rows: &[Row], rank: u16, topic_rank: u16, into: &mut Vec<Placed>) {
    let mut eff = (i64::MIN, 0);
    for row in rows {
        let beacon = Beacon::decode(Some(&row.key), Some(&row.value));
        eff = eff.max(beacon.map_or((row.ts, row.seq), |beacon| (beacon.bound.0, 0)));
        into.push(Placed {
            ts: eff.0,
            rank,
            seq: eff.1,
            topic_rank,
            offset: row.offset,
            beacon: beacon.is_some(),
            key: row.key.clone(),
            value: row.value.clone(),
            raw_ts: row.ts,
            raw_seq: row.seq,
        });
    }
}

/// What must come of partition `p` of inputs `a` (rank 1) and `b` (rank 0).
pub(crate) fn first(p: u32, a: &[Row], b: &[Row]) -> Expected {
    let mut placed = Vec::new();
    place(a, 1, 0, &mut placed);
    place(b, 0, 1, &mut placed);
    placed.sort();
    let mut expected = Expected::default();
    let mut time: Option<i64> = None;
    for one in &placed {
        expected.src = [u64::from(one.topic_rank), u64::from(p), one.offset];
        expected.k = 0;
        if let Some(before) = time {
            let mut tick = before.div_euclid(TICK as i64) * TICK as i64 + TICK as i64;
            while tick <= one.ts {
                expected.tick(tick);
                tick += TICK as i64;
            }
        }
        time = time.max(Some(one.ts));
        if !one.beacon {
            expected.record(one, time.expect("set above"));
        }
    }
    expected
}

impl Expected {
    fn emit(&mut self, key: &[u8], text: &str, ts: i64, seq: u64) {
        for value in [text.to_owned(), format!("echo {text}")] {
            let origin = self.src();
            self.k += 1;
            self.out.push(Row { offset: 0, key: key.to_vec(), value: value.into(), ts, seq, origin });
        }
    }

    fn src(&self) -> Vec<u8> {
        let [topic_rank, partition, offset] = self.src;
        let mut bytes = (topic_rank as u16).to_be_bytes().to_vec();
        bytes.extend((partition as u32).to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(self.k.to_be_bytes());
        bytes
    }

    fn tick(&mut self, tick: i64) {
        let due: Vec<_> =
            self.sums.iter().filter(|(_, sum)| sum[2] > 0).map(|(k, s)| (k.clone(), s[2])).collect();
        for (key, since) in due {
            self.emit(&key, &format!("tick {tick} {since}"), tick - 1, 0);
            self.sums.get_mut(&key).expect("just seen")[2] = 0;
        }
    }

    fn record(&mut self, one: &Placed, time: i64) {
        let text = String::from_utf8(one.value.clone()).ok();
        let number = text.as_deref().and_then(|text| text.parse::<i64>().ok());
        let Some(number) = number else {
            let (node, reason) = match text.as_deref() {
                None => (["a", "b"][usize::from(one.topic_rank)], "not UTF-8"),
                Some("panic") => ("sum", "panicked: asked to"),
                Some(_) => ("sum", "not a number"),
            };
            return self.poison(one, time, node, reason);
        };
        self.numbers += 1;
        let before = self.last.insert(one.key.clone(), one.value.clone());
        let sum = self.sums.entry(one.key.clone()).or_default();
        *sum = [sum[0] + 1, sum[1] + number, sum[2] + 1, sum[3]];
        let before = before.map_or("nothing".to_owned(), |text| String::from_utf8_lossy(&text).into_owned());
        let text = format!("{} {} after {before}", sum[0], sum[1]);
        if number % 7 == 0 {
            self.last.remove(&one.key);
        }
        self.emit(&one.key, &text, one.raw_ts, one.raw_seq);
    }

    fn poison(&mut self, one: &Placed, time: i64, node: &str, reason: &str) {
        let topic = ["a", "b"][usize::from(one.topic_rank)];
        let [_, partition, offset] = self.src;
        let origin = format!("{topic}/{partition}/{offset} {node} {reason}").into_bytes();
        let (key, value) = (one.key.clone(), one.value.clone());
        self.dead.push(Row { offset: 0, key, value, ts: one.raw_ts, seq: one.raw_seq, origin });
        if reason.starts_with("panicked") {
            self.sums.remove(&one.key);
        }
        let sum = self.sums.entry(one.key.clone()).or_default();
        sum[3] += 1;
        let text = format!("poisoned {} by {node}", sum[3]);
        self.emit(&one.key.clone(), &text, time, 0);
    }
}

/// What the second sub-topology must write from a partition of `out`, and the counts it must keep.
pub(crate) fn second(p: u32, out: &[Row]) -> (Vec<Row>, BTreeMap<Vec<u8>, u64>) {
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    for row in out {
        assert_eq!(topic::partition(&row.key, PARTITIONS), p, "a key has one partition");
        let n = counts.entry(row.key.clone()).or_default();
        *n += 1;
        let value = format!("{n}: {}", String::from_utf8_lossy(&row.value)).into_bytes();
        let mut origin = [0; 18];
        origin[2..6].copy_from_slice(&p.to_be_bytes());
        origin[6..14].copy_from_slice(&row.offset.to_be_bytes());
        rows.push(Row { value, origin: origin.to_vec(), ..row.clone() });
    }
    (rows, counts)
}
