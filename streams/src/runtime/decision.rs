//! What a run chose that its input does not fix, one record for each task and epoch, written in the same
//! transaction as the epoch's outputs. A recovery follows it and compares itself with it.
//!
//! ```text
//! decision  4c 44 · version u8 · epoch u64 · list{from u64} · position · list{channel u16 · pos u64 · ts i64}
//!           · option{state digest u128} · tail · program
//! position  n u64 · option{T i64} · option{last key} · list{channel} · list{tick} · list{output}
//! key       ts i64 · rank u16 · seq u64 · topic rank u16 · partition u32 · pos u64
//! channel   topic text · partition u32 · option{ts i64 · seq u64} · next u64 · left u8
//! tick      node u32 · number u32 · interval u64 ns · align i64 · catch-up u8 · firing u8 [· at i64]
//! output    topic text · partition u32 · count u64 · chain 32 bytes
//! tail      origin of the last key u16 · list{topic text · partition u32 · offset u64} · bye u8
//! program   topology 32 bytes · config 32 bytes · list{channel u16 · last u64}
//! ```
//! Version 1 has no tail, version 2 no program. The list of the tail holds the first unprocessed offset of each partition that
//! several writers share; its channels come one after the other, and their `next` is the writer's number.
//! Integers big-endian; `list` begins with its length u32, `text` too, `option` with 0 or 1. `from` are the
//! offsets at which the epoch began, in order of the channels; `next` are those at which it ended. The list
//! of the program are the joints that the epoch crossed, see [`Joint`].

use std::time::Duration;

use crate::digest::{Chain, StateDigest};
use crate::log::{TopicName, Tp};
use crate::record::{CodecError, Offset};
use crate::runtime::merge::{CanonicalKey, Eff, Progress, VirtualBeacon};
use crate::runtime::tick::{Due, Firing};
use crate::time::Ts;
use crate::topology::processor::{CatchUp, Schedule};
use crate::wire::{Reader, Writer};

const MAGIC: [u8; 2] = *b"LD";
const VERSION: u8 = 3;

/// Where a task stands between two records: with its stores, all there is to know about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Records and beacons processed since its first epoch.
    pub n: u64,
    /// Stream time; `None` before any record.
    pub time: Option<Ts>,
    /// Key of the record processed last.
    pub last: Option<CanonicalKey>,
    /// Its inputs.
    pub channels: Vec<(Tp, Progress)>,
    /// Its schedules.
    pub ticks: Vec<Due>,
    /// What it has written, per partition.
    pub outputs: Vec<Output>,
    /// First unprocessed offset of each partition that several writers share.
    pub fetched: Vec<(Tp, Offset)>,
    /// It has told those below it that it leaves.
    pub bye: bool,
}

/// What a task has written to one partition since its first epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The partition.
    pub tp: Tp,
    /// How many records.
    pub count: u64,
    /// Which ones.
    pub chain: Chain,
}

/// What a task was made of when it wrote a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Shape of its sub-topology, its stores, its application.
    pub topology: Chain,
    /// What [`Builder::config`](crate::topology::Builder::config) was given.
    pub config: Chain,
}

/// Where an input goes over from an archive to the live log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joint {
    /// Number of the channel.
    pub channel: u16,
    /// The last record that was read from the archive; the next one came from the live log.
    pub last: Offset,
}

/// The record of one epoch of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Numbered from 1.
    pub epoch: u64,
    /// Offsets at which it began, in order of the channels.
    pub from: Vec<Offset>,
    /// Where it ended.
    pub position: Position,
    /// Lifts it made.
    pub virtual_beacons: Vec<VirtualBeacon>,
    /// Digest of all stores, if a checkpoint was due.
    pub state: Option<StateDigest>,
    /// Who wrote it; `None` before version 3.
    pub program: Option<Program>,
    /// Where its inputs went over from an archive to the live log.
    pub joints: Vec<Joint>,
}

impl Decision {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.raw(&MAGIC);
        w.u8(if self.program.is_some() { VERSION } else { 2 });
        w.u64(self.epoch);
        w.list(self.from.iter(), |w, from| w.u64(from.0));
        self.position.encode_body(&mut w);
        w.list(self.virtual_beacons.iter(), |w, beacon| {
            w.u16(beacon.channel);
            w.u64(beacon.pos.0);
            w.i64(beacon.ts.0);
        });
        w.option(self.state, |w, state| w.u128(state.0));
        self.position.encode_tail(&mut w);
        if let Some(Program { topology, config }) = &self.program {
            w.raw(&topology.0);
            w.raw(&config.0);
            w.list(self.joints.iter(), |w, joint| {
                w.u16(joint.channel);
                w.u64(joint.last.0);
            });
        }
        w.0
    }

    /// The decision that these bytes say.
    ///
    /// # Errors
    /// They say none that this version understands.
    pub fn decode(bytes: &[u8]) -> Result<Decision, CodecError> {
        let mut r = Reader(bytes);
        let (magic, version) = (r.array::<2>()?, r.u8()?);
        if magic != MAGIC || !(1..=VERSION).contains(&version) {
            return Err(CodecError::new("not a decision record of this version"));
        }
        let mut decision = Decision {
            epoch: r.u64()?,
            from: r.list(|r| r.u64().map(Offset))?,
            position: Position::decode_body(&mut r)?,
            virtual_beacons: r
                .list(|r| Ok(VirtualBeacon { channel: r.u16()?, pos: Offset(r.u64()?), ts: Ts(r.i64()?) }))?,
            state: r.option(|r| r.u128().map(StateDigest))?,
            program: None,
            joints: Vec::new(),
        };
        if version > 1 {
            decision.position.decode_tail(&mut r)?;
        }
        if version > 2 {
            decision.program = Some(Program { topology: Chain(r.array()?), config: Chain(r.array()?) });
            decision.joints = r.list(|r| Ok(Joint { channel: r.u16()?, last: Offset(r.u64()?) }))?;
        }
        r.end()?;
        Ok(decision)
    }
}

impl Position {
    /// First unprocessed offset of each input partition.
    pub fn offsets(&self) -> Vec<(Tp, Offset)> {
        let mut offsets: Vec<(Tp, Offset)> = Vec::new();
        for (tp, progress) in &self.channels {
            if offsets.last().is_some_and(|(last, _)| last == tp) {
                continue;
            }
            let shared = self.fetched.iter().find(|(known, _)| known == tp);
            offsets.push((tp.clone(), shared.map_or(progress.next, |(_, offset)| *offset)));
        }
        offsets
    }

    /// Next number of each writer of a shared partition; empty if it is not shared.
    pub fn numbers(&self, tp: &Tp) -> Vec<u64> {
        if self.fetched.iter().all(|(shared, _)| shared != tp) {
            return Vec::new();
        }
        let channels = self.channels.iter().filter(|(known, _)| known == tp);
        channels.map(|(_, progress)| progress.next.0).collect()
    }

    pub(crate) fn encode(&self, w: &mut Writer) {
        self.encode_body(w);
        self.encode_tail(w);
    }

    /// What [`Position::encode`] wrote, or what version 1 did.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Position, CodecError> {
        let mut position = Position::decode_body(r)?;
        if !r.0.is_empty() {
            position.decode_tail(r)?;
        }
        Ok(position)
    }

    fn encode_tail(&self, w: &mut Writer) {
        w.u16(self.last.map_or(0, |last| last.origin));
        w.list(self.fetched.iter(), |w, (tp, offset)| {
            write_tp(w, tp);
            w.u64(offset.0);
        });
        w.u8(u8::from(self.bye));
    }

    fn decode_tail(&mut self, r: &mut Reader<'_>) -> Result<(), CodecError> {
        let origin = r.u16()?;
        if let Some(last) = &mut self.last {
            last.origin = origin;
        }
        self.fetched = r.list(|r| Ok((read_tp(r)?, Offset(r.u64()?))))?;
        self.bye = flag(r)?;
        Ok(())
    }

    fn encode_body(&self, w: &mut Writer) {
        w.u64(self.n);
        w.option(self.time, |w, time| w.i64(time.0));
        w.option(self.last, write_key);
        w.list(self.channels.iter(), |w, (tp, progress)| {
            write_tp(w, tp);
            w.option(progress.eff, |w, eff| {
                w.i64(eff.ts.0);
                w.u64(eff.seq);
            });
            w.u64(progress.next.0);
            w.u8(u8::from(progress.left));
        });
        w.list(self.ticks.iter(), write_due);
        w.list(self.outputs.iter(), |w, output| {
            write_tp(w, &output.tp);
            w.u64(output.count);
            w.raw(&output.chain.0);
        });
    }

    fn decode_body(r: &mut Reader<'_>) -> Result<Position, CodecError> {
        Ok(Position {
            n: r.u64()?,
            time: r.option(|r| r.i64().map(Ts))?,
            last: r.option(read_key)?,
            channels: r.list(|r| {
                let tp = read_tp(r)?;
                let eff = r.option(|r| Ok(Eff { ts: Ts(r.i64()?), seq: r.u64()? }))?;
                Ok((tp, Progress { eff, next: Offset(r.u64()?), left: flag(r)? }))
            })?,
            ticks: r.list(read_due)?,
            outputs: r.list(|r| Ok(Output { tp: read_tp(r)?, count: r.u64()?, chain: Chain(r.array()?) }))?,
            fetched: Vec::new(),
            bye: false,
        })
    }
}

fn write_tp(w: &mut Writer, tp: &Tp) {
    w.bytes(tp.topic.as_str().as_bytes());
    w.u32(tp.partition);
}

fn read_tp(r: &mut Reader<'_>) -> Result<Tp, CodecError> {
    Ok(Tp { topic: TopicName::new(r.text()?), partition: r.u32()? })
}

fn write_key(w: &mut Writer, key: CanonicalKey) {
    w.i64(key.ts.0);
    w.u16(key.rank);
    w.u64(key.seq);
    w.u16(key.topic_rank);
    w.u32(key.partition);
    w.u64(key.pos.0);
}

fn read_key(r: &mut Reader<'_>) -> Result<CanonicalKey, CodecError> {
    Ok(CanonicalKey {
        ts: Ts(r.i64()?),
        rank: r.u16()?,
        seq: r.u64()?,
        topic_rank: r.u16()?,
        partition: r.u32()?,
        origin: 0,
        pos: Offset(r.u64()?),
    })
}

fn write_due(w: &mut Writer, due: &Due) {
    w.u32(due.node);
    w.u32(due.number);
    w.u64(due.schedule.interval.as_nanos() as u64);
    w.i64(due.schedule.align.0);
    w.u8(match due.schedule.catch_up {
        CatchUp::Every => 0,
        CatchUp::Last => 1,
    });
    match due.next {
        Firing::Unset => w.u8(0),
        Firing::At(at) => {
            w.u8(1);
            w.i64(at.0);
        }
        Firing::Stopped => w.u8(2),
    }
}

fn read_due(r: &mut Reader<'_>) -> Result<Due, CodecError> {
    let (node, number) = (r.u32()?, r.u32()?);
    let (interval, align) = (Duration::from_nanos(r.u64()?), Ts(r.i64()?));
    let catch_up = if flag(r)? { CatchUp::Last } else { CatchUp::Every };
    let next = match r.u8()? {
        0 => Firing::Unset,
        1 => Firing::At(Ts(r.i64()?)),
        2 => Firing::Stopped,
        odd => return Err(CodecError::new(format!("a firing of {odd}"))),
    };
    Ok(Due { node, number, schedule: Schedule { interval, align, catch_up }, next })
}

fn flag(r: &mut Reader<'_>) -> Result<bool, CodecError> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        odd => Err(CodecError::new(format!("a flag of {odd}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision() -> Decision {
        let topic = TopicName::new("market.okx");
        let eff = Eff { ts: Ts(-7), seq: 3 };
        let key = CanonicalKey {
            ts: Ts(-7),
            rank: 1,
            seq: 3,
            topic_rank: 2,
            partition: 4,
            origin: 6,
            pos: Offset(8),
        };
        let schedule = |catch_up| Schedule { interval: Duration::from_secs(1), align: Ts(5), catch_up };
        let due = |number, catch_up, next| Due { node: 9, number, schedule: schedule(catch_up), next };
        Decision {
            epoch: 42,
            from: vec![Offset(1), Offset(2)],
            position: Position {
                n: 17,
                time: Some(Ts(-7)),
                last: Some(key),
                channels: vec![
                    (Tp::new(&topic, 4), Progress { eff: Some(eff), next: Offset(9), left: true }),
                    (Tp::new(&topic, 5), Progress { eff: None, next: Offset(0), left: false }),
                ],
                ticks: vec![
                    due(0, CatchUp::Every, Firing::Unset),
                    due(1, CatchUp::Last, Firing::At(Ts(11))),
                    due(2, CatchUp::Every, Firing::Stopped),
                ],
                outputs: vec![Output { tp: Tp::new(&topic, 0), count: 6, chain: Chain([7; 32]) }],
                fetched: vec![(Tp::new(&topic, 5), Offset(77))],
                bye: true,
            },
            virtual_beacons: vec![VirtualBeacon { channel: 1, pos: Offset(2), ts: Ts(3) }],
            state: Some(StateDigest(u128::MAX - 1)),
            program: Some(Program { topology: Chain([3; 32]), config: Chain([4; 32]) }),
            joints: vec![Joint { channel: 1, last: Offset(8) }],
        }
    }

    #[test]
    fn a_decision_survives_its_bytes() {
        let full = decision();
        assert_eq!(Decision::decode(&full.encode()), Ok(full));
        let empty = Decision {
            epoch: 1,
            from: Vec::new(),
            position: Position::default(),
            virtual_beacons: Vec::new(),
            state: None,
            program: None,
            joints: Vec::new(),
        };
        assert_eq!(Decision::decode(&empty.encode()), Ok(empty));
    }

    /// Bytes of version 1, put together by hand from the drawing: they must be read for ever.
    #[test]
    fn version_1_is_as_drawn() {
        let fields: [&[u8]; 20] = [
            b"LD",
            &[1],
            &[0, 0, 0, 0, 0, 0, 0, 9],
            // one channel, begun at 5
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5],
            // n = 2, no stream time, no last key
            &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0],
            // topic a, partition 3, no eff, next 7, left
            &[0, 0, 0, 1, 0, 0, 0, 1],
            b"a",
            &[0, 0, 0, 3, 0],
            &[0, 0, 0, 0, 0, 0, 0, 7, 1],
            // a schedule: node 4, number 0, every 256 ns from 1 on, the newest only, next at 257
            &[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 1, 0],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[1, 1, 0, 0, 0, 0, 0, 0, 1, 1],
            // one output, of 6 records
            &[0, 0, 0, 1, 0, 0, 0, 1],
            b"o",
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6],
            &[8; 32],
            // one virtual beacon: channel 0 before offset 6 to time 10
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6],
            &[0, 0, 0, 0, 0, 0, 0, 10],
            // no state digest
            &[0],
        ];
        let schedule =
            Schedule { interval: Duration::from_nanos(256), align: Ts(1), catch_up: CatchUp::Last };
        let channel = Progress { eff: None, next: Offset(7), left: true };
        let expected = Decision {
            epoch: 9,
            from: vec![Offset(5)],
            position: Position {
                n: 2,
                time: None,
                last: None,
                channels: vec![(Tp::new(&TopicName::new("a"), 3), channel)],
                ticks: vec![Due { node: 4, number: 0, schedule, next: Firing::At(Ts(257)) }],
                outputs: vec![Output {
                    tp: Tp::new(&TopicName::new("o"), 0),
                    count: 6,
                    chain: Chain([8; 32]),
                }],
                fetched: Vec::new(),
                bye: false,
            },
            virtual_beacons: vec![VirtualBeacon { channel: 0, pos: Offset(6), ts: Ts(10) }],
            state: None,
            program: None,
            joints: Vec::new(),
        };
        assert_eq!(Decision::decode(&fields.concat()), Ok(expected.clone()));
        // Version 2 adds a tail: no origin, nothing shared, no bye.
        let tail = [0; 7];
        let version_2 = [b"LD\x02", &fields.concat()[3..], &tail].concat();
        assert_eq!(Decision::decode(&version_2), Ok(expected.clone()));
        assert_eq!(expected.encode(), version_2);
        // Version 3 adds who wrote it, and here one joint: channel 0 after offset 6.
        let program: [&[u8]; 4] = [&[1; 32], &[2; 32], &[0, 0, 0, 1, 0, 0], &[0, 0, 0, 0, 0, 0, 0, 6]];
        let version_3 = [b"LD\x03", &version_2[3..], &program.concat()].concat();
        let program = Program { topology: Chain([1; 32]), config: Chain([2; 32]) };
        let joints = vec![Joint { channel: 0, last: Offset(6) }];
        let expected = Decision { program: Some(program), joints, ..expected };
        assert_eq!(Decision::decode(&version_3), Ok(expected.clone()));
        assert_eq!(expected.encode(), version_3);
    }

    #[test]
    fn a_restart_reads_every_partition_from_what_is_not_processed() {
        let mut position = decision().position;
        let shared = position.channels[1].clone();
        position.channels.push(shared);
        let offsets: Vec<(u32, u64)> =
            position.offsets().iter().map(|(tp, offset)| (tp.partition, offset.0)).collect();
        assert_eq!(offsets, [(4, 9), (5, 77)]);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = decision().encode();
        for cut in 0..bytes.len() {
            assert!(Decision::decode(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        assert!(Decision::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Decision::decode(&[&[bytes[0], bytes[1], 99], &bytes[3..]].concat()).is_err());
    }
}
