//! What a task wants written: outputs of the record in hand, which can still be taken back, and of those
//! before it, which wait for the producer.

use std::collections::VecDeque;

use crate::beacon::{self, Beacon};
use crate::digest::Chain;
use crate::log::Tp;
use crate::record::{Header, Key, Offset, OutRecord, header};
use crate::runtime::decision::Output;
use crate::time::Ts;
use crate::topology::processor::Note;

/// Largest output: key and value together. Kafka's default limit with room for the headers, the same on
/// every log, so that a record is refused everywhere or nowhere.
pub const OUTPUT_BYTES_MAX: usize = 999_000;

/// The input record that causes outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Index of its topic among the source topics of the sub-topology, sorted bytewise.
    pub topic_rank: u16,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Offset,
}

/// Identity of an output, as the `src` header carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Src {
    /// Which input caused it.
    pub cause: Cause,
    /// The how manieth output of that input, from 0.
    pub k: u32,
}

impl Src {
    /// Bytes of the header.
    pub fn encode(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[..2].copy_from_slice(&self.cause.topic_rank.to_be_bytes());
        bytes[2..6].copy_from_slice(&self.cause.partition.to_be_bytes());
        bytes[6..14].copy_from_slice(&self.cause.offset.0.to_be_bytes());
        bytes[14..].copy_from_slice(&self.k.to_be_bytes());
        bytes
    }

    /// The identity that a header says.
    pub fn decode(bytes: &[u8]) -> Option<Src> {
        let bytes: &[u8; 18] = bytes.try_into().ok()?;
        let (topic_rank, rest) = bytes.split_first_chunk()?;
        let (partition, rest) = rest.split_first_chunk()?;
        let (offset, k) = rest.split_first_chunk()?;
        let cause = Cause {
            topic_rank: u16::from_be_bytes(*topic_rank),
            partition: u32::from_be_bytes(*partition),
            offset: Offset(u64::from_be_bytes(*offset)),
        };
        Some(Src { cause, k: u32::from_be_bytes(k.try_into().ok()?) })
    }
}

/// A record that waits.
#[derive(Debug)]
struct Entry {
    /// Which partition of the outbox.
    to: usize,
    key: Option<Key>,
    /// Length of the value, `None` = tombstone.
    value: Option<usize>,
    ts: Ts,
    seq: u64,
    headers: Headers,
    /// Its number among the outputs of this task in its partition, once it is settled.
    number: u64,
}

#[derive(Debug)]
enum Headers {
    None,
    Src(Src, Option<Note>),
    Named(Vec<(String, Vec<u8>)>),
}

/// A partition that a task writes to.
#[derive(Debug)]
struct Target {
    tp: Tp,
    count: u64,
    chain: Chain,
    /// This task is one of several writers of the partition: its records say so.
    origin: Option<u16>,
}

/// Records on their way out, oldest first.
#[derive(Debug, Default)]
pub struct Outbox {
    targets: Vec<Target>,
    entries: VecDeque<Entry>,
    /// Values of the entries, one behind the other.
    bytes: Vec<u8>,
    sent_bytes: usize,
    /// Entries from here on belong to the record in hand.
    settled: usize,
    settled_bytes: usize,
    cause: Cause,
    k: u32,
    /// Outputs are counted and chained but not kept: an earlier run has written them.
    pub muted: bool,
}

impl Outbox {
    /// The number by which records name a partition. Two sinks of one topic share its chains.
    pub fn target(&mut self, tp: Tp) -> usize {
        if let Some(known) = self.targets.iter().position(|target| target.tp == tp) {
            return known;
        }
        self.targets.push(Target { tp, count: 0, chain: Chain::default(), origin: None });
        self.targets.len() - 1
    }

    /// This task is the writer `origin` of a partition that it shares with others.
    pub(crate) fn share(&mut self, to: usize, origin: u16) {
        self.targets[to].origin = Some(origin);
    }

    /// Adds a beacon: an output that no record causes.
    pub(crate) fn push_beacon(&mut self, to: usize, bound: Ts, bye: bool) {
        let Some(origin) = self.targets[to].origin else { return };
        let beacon = Beacon { origin, bound, bye };
        let value = beacon.value();
        self.bytes.extend_from_slice(&value);
        let (key, value) = (Some(Key::new(&beacon.key())), Some(value.len()));
        let headers = Headers::None;
        self.entries.push_back(Entry { to, key, value, ts: bound, seq: 0, headers, number: 0 });
    }

    /// Outputs from now on are caused by this record.
    pub fn begin(&mut self, cause: Cause) {
        (self.cause, self.k) = (cause, 0);
    }

    /// Adds an output of this key, time and sequence number, whose value `encode` appends; without it a
    /// tombstone.
    ///
    /// # Errors
    /// That of `encode`, that the record is larger than logs take, or that its key is reserved; nothing was added.
    pub(crate) fn push(
        &mut self,
        to: usize,
        (key, ts, seq): (Key, Ts, u64),
        note: Option<Note>,
        encode: Option<impl FnOnce(&mut Vec<u8>) -> Result<(), String>>,
    ) -> Result<(), String> {
        if beacon::is_reserved(&key) {
            return Err("the key of an output begins with byte 0, which is reserved".to_owned());
        }
        let start = self.bytes.len();
        let value = encode.map(|encode| {
            let encoded = encode(&mut self.bytes);
            // Else the values of earlier outputs would be gone: better to end than to write others.
            assert!(
                self.bytes.len() >= start,
                "a codec removed bytes that it did not write: encode only appends"
            );
            encoded.map(|()| self.bytes.len() - start)
        });
        let fitting = value.transpose().and_then(|value| {
            let size = value.unwrap_or(0) + key.len();
            match size <= OUTPUT_BYTES_MAX {
                true => Ok(value),
                false => Err(format!("output of {size} bytes is larger than {OUTPUT_BYTES_MAX}")),
            }
        });
        let value = fitting.inspect_err(|_| self.bytes.truncate(start))?;
        let headers = Headers::Src(Src { cause: self.cause, k: self.k }, note);
        self.k += 1;
        self.entries.push_back(Entry { to, key: Some(key), value, ts, seq, headers, number: 0 });
        Ok(())
    }

    /// Adds a record with headers of its own that counts as output: a dead letter.
    pub fn push_named(
        &mut self,
        to: usize,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        (ts, seq): (Ts, u64),
        headers: Vec<(String, Vec<u8>)>,
    ) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let (key, value) = (key.map(Key::new), value.map(<[u8]>::len));
        self.entries.push_back(Entry {
            to,
            key,
            value,
            ts,
            seq,
            headers: Headers::Named(headers),
            number: 0,
        });
    }

    /// Adds a record of the engine's own: neither counted nor chained.
    pub fn push_own(&mut self, to: usize, key: &[u8], value: Option<&[u8]>, ts: Ts) {
        debug_assert_eq!(self.settled, self.entries.len(), "between records");
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let (key, value) = (Some(Key::new(key)), value.map(<[u8]>::len));
        self.entries.push_back(Entry { to, key, value, ts, seq: 0, headers: Headers::None, number: 0 });
        (self.settled, self.settled_bytes) = (self.entries.len(), self.bytes.len());
    }

    /// Takes back what the record in hand has added since [`Outbox::settle`].
    pub fn undo(&mut self, k: u32) {
        self.entries.truncate(self.settled);
        self.bytes.truncate(self.settled_bytes);
        self.k = k;
    }

    /// Number of the next output of the record in hand, for [`Outbox::undo`].
    pub fn k(&self) -> u32 {
        self.k
    }

    /// What was added cannot be taken back any more: it is counted and chained.
    pub fn settle(&mut self) {
        if self.settled == self.entries.len() {
            return;
        }
        let mut at = self.settled_bytes;
        for entry in self.entries.iter_mut().skip(self.settled) {
            let value = entry.value.map(|len| &self.bytes[at..at + len]);
            at += entry.value.unwrap_or(0);
            let target = &mut self.targets[entry.to];
            entry.number = target.count;
            target.count += 1;
            target.chain.push(entry.key.as_deref(), value, entry.ts);
        }
        if self.muted {
            self.entries.truncate(self.settled);
            self.bytes.truncate(self.settled_bytes);
        }
        (self.settled, self.settled_bytes) = (self.entries.len(), self.bytes.len());
    }

    /// Hands waiting records to `send`, oldest first, until it refuses one.
    ///
    /// # Errors
    /// That of `send`; the refused record waits on.
    pub fn flush<E>(&mut self, mut send: impl FnMut(OutRecord<'_>) -> Result<(), E>) -> Result<(), E> {
        debug_assert_eq!(self.settled, self.entries.len(), "between records");
        while let Some(entry) = self.entries.front() {
            let end = self.sent_bytes + entry.value.unwrap_or(0);
            let value = entry.value.map(|_| &self.bytes[self.sent_bytes..end]);
            entry.send(&self.targets[entry.to], value, &mut send)?;
            self.entries.pop_front();
            (self.sent_bytes, self.settled) = (end, self.entries.len());
        }
        self.bytes.clear();
        (self.sent_bytes, self.settled_bytes) = (0, 0);
        Ok(())
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of values that wait.
    pub fn bytes(&self) -> usize {
        self.bytes.len() - self.sent_bytes
    }

    /// What was written to each partition, where anything was.
    pub fn outputs(&self) -> Vec<Output> {
        let used = self.targets.iter().filter(|target| target.count > 0);
        used.map(|t| Output { tp: t.tp.clone(), count: t.count, chain: t.chain }).collect()
    }

    /// Goes on from what an earlier run had written. `Err` names a partition that this task does not write.
    ///
    /// # Errors
    /// The partition.
    pub fn restore(&mut self, outputs: &[Output]) -> Result<(), Tp> {
        for output in outputs {
            let target = self.targets.iter_mut().find(|target| target.tp == output.tp);
            let target = target.ok_or_else(|| output.tp.clone())?;
            (target.count, target.chain) = (output.count, output.chain);
        }
        Ok(())
    }
}

impl Entry {
    fn send<E>(
        &self,
        target: &Target,
        value: Option<&[u8]>,
        send: &mut impl FnMut(OutRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (tp, key, ts, seq) = (&target.tp, self.key.as_deref(), self.ts, self.seq);
        let mut sending = |headers: &[Header<'_>]| send(OutRecord { tp, key, value, ts, seq, headers });
        let src = match &self.headers {
            Headers::Named(named) => {
                let named: Vec<Header<'_>> =
                    named.iter().map(|(name, value)| Header { name, value }).collect();
                return sending(&named);
            }
            Headers::None if target.origin.is_none() => return sending(&[]),
            Headers::None => None,
            Headers::Src(src, note) => Some((src.encode(), note)),
        };
        let (mut room, mut n) = ([Header { name: "", value: &[] }; 4], 0);
        let mut add = |name, value| {
            room[n] = Header { name, value };
            n += 1;
        };
        let (revision, late_by, origin, oseq);
        if let Some((src, note)) = &src {
            add(header::SRC, src);
            match note {
                None => {}
                Some(Note::Revision(n)) => {
                    revision = n.to_be_bytes();
                    add(header::REVISION, &revision);
                }
                Some(Note::LateBy(by)) => {
                    late_by = by.to_be_bytes();
                    add(header::LATE_BY, &late_by);
                }
            }
        }
        if let Some(writer) = target.origin {
            (origin, oseq) = (writer.to_be_bytes(), self.number.to_be_bytes());
            add(header::ORIGIN, &origin);
            add(header::OSEQ, &oseq);
        }
        sending(&room[..n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicName;

    fn outbox() -> (Outbox, usize, usize) {
        let mut outbox = Outbox::default();
        let tp = |p| Tp::new(&TopicName::new("out"), p);
        let (a, b) = (outbox.target(tp(0)), outbox.target(tp(1)));
        assert_eq!(outbox.target(tp(0)), a, "one partition, one chain");
        (outbox, a, b)
    }

    fn push(outbox: &mut Outbox, to: usize, text: &str) {
        let encode = |into: &mut Vec<u8>| {
            into.extend_from_slice(text.as_bytes());
            Ok(())
        };
        outbox.push(to, ("k".into(), Ts(1), 0), None, Some(encode)).expect("small");
    }

    /// Sends at most `n` records: (partition, value, k).
    fn send(outbox: &mut Outbox, n: usize) -> Vec<(u32, String, Option<u32>)> {
        let mut sent = Vec::new();
        let _ = outbox.flush(|record| {
            if sent.len() == n {
                return Err(());
            }
            let src = record.headers.first().and_then(|h| Src::decode(h.value));
            let value = String::from_utf8_lossy(record.value.unwrap_or(b"null")).into_owned();
            sent.push((record.tp.partition, value, src.map(|src| src.k)));
            Ok(())
        });
        sent
    }

    #[test]
    fn records_leave_in_order_and_survive_a_refusal() {
        let (mut outbox, a, b) = outbox();
        outbox.begin(Cause::default());
        push(&mut outbox, a, "one");
        push(&mut outbox, b, "two");
        outbox.settle();
        assert_eq!(send(&mut outbox, 1), [(0, "one".to_owned(), Some(0))]);
        outbox.begin(Cause::default());
        push(&mut outbox, a, "three");
        outbox.settle();
        outbox.push_own(b, b"task", None, Ts(9));
        let rest =
            [(1, "two".to_owned(), Some(1)), (0, "three".to_owned(), Some(0)), (1, "null".to_owned(), None)];
        assert_eq!(send(&mut outbox, 9), rest);
        assert!(outbox.is_empty() && outbox.bytes.is_empty());
        let counts: Vec<u64> = outbox.outputs().iter().map(|output| output.count).collect();
        assert_eq!(counts, [2, 1], "the engine's own record is no output");
    }

    #[test]
    fn what_is_taken_back_is_neither_sent_nor_counted() {
        let (mut outbox, a, _) = outbox();
        outbox.begin(Cause::default());
        push(&mut outbox, a, "tick");
        outbox.settle();
        let k = outbox.k();
        push(&mut outbox, a, "wrong");
        outbox.undo(k);
        push(&mut outbox, a, "right");
        outbox.settle();
        let sent = send(&mut outbox, 9);
        assert_eq!(sent, [(0, "tick".to_owned(), Some(0)), (0, "right".to_owned(), Some(1))]);
        let mut chain = Chain::default();
        chain.push(Some(b"k"), Some(b"tick"), Ts(1));
        chain.push(Some(b"k"), Some(b"right"), Ts(1));
        assert_eq!(outbox.outputs()[0].chain, chain);
    }

    #[test]
    fn a_muted_outbox_counts_and_chains_the_same_and_sends_nothing() {
        let (mut loud, a, _) = outbox();
        let (mut muted, ..) = outbox();
        muted.muted = true;
        for outbox in [&mut loud, &mut muted] {
            push(outbox, a, "one");
            outbox.settle();
            push(outbox, a, "two");
            outbox.settle();
        }
        assert_eq!(muted.outputs(), loud.outputs());
        assert_eq!((send(&mut muted, 9).len(), send(&mut loud, 9).len()), (0, 2));
    }

    #[test]
    fn an_identity_survives_its_bytes() {
        let cause = Cause { topic_rank: 1, partition: 2, offset: Offset(3) };
        let src = Src { cause, k: 4 };
        assert_eq!(src.encode(), [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4]);
        assert_eq!(Src::decode(&src.encode()), Some(src));
        assert_eq!(Src::decode(&src.encode()[1..]), None);
    }
}
