//! What the messages of one partition do to its position, and how they become records.

use rdkafka::error::RDKafkaErrorCode;

use super::passes;
use super::queue::Message;
use crate::record::{Batch, Header, Offset, header};
use crate::time::Ts;

/// Where a partition is being read.
pub(super) struct Reading {
    /// Next offset.
    pub(super) position: Offset,
    /// The broker said that nothing lies beyond.
    pub(super) at_end: bool,
    pub(super) failure: Option<Failure>,
    /// The client may have passed over the record at `position`: it must be moved back there.
    pub(super) astray: bool,
    /// Headers are looked at.
    pub(super) headers: bool,
}

/// librdkafka cannot go on with this partition.
pub(super) struct Failure {
    pub(super) code: RDKafkaErrorCode,
    pub(super) words: String,
}

impl Reading {
    pub(super) fn at(position: Offset, headers: bool) -> Reading {
        Reading { position, at_end: false, failure: None, astray: false, headers }
    }

    pub(super) fn see(&mut self, message: &Message<'_>, into: &mut Batch) {
        let offset = Offset(u64::try_from(message.offset()).unwrap_or(0));
        match message.event() {
            // The next record after an end need not have the next offset, but if it has not, it may also be that
            // the client went on one too far. Once it is moved back there is no doubt.
            None if self.at_end && offset > self.position => self.astray = true,
            _ if self.astray => {}
            None if offset >= self.position => {
                push(message, offset, self.headers, into);
                self.position = Offset(offset.0 + 1);
                self.at_end = false;
            }
            // Fetched before the partition was moved.
            None => {}
            Some(RDKafkaErrorCode::PartitionEOF) if offset >= self.position => {
                self.position = offset;
                self.at_end = true;
            }
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            // Of these librdkafka recovers by itself.
            Some(code) if passes(code) => {}
            Some(code) => {
                let words = String::from_utf8_lossy(message.value().unwrap_or_default()).into_owned();
                self.failure = Some(Failure { code, words });
            }
        }
    }
}

fn push(message: &Message<'_>, offset: Offset, headers: bool, into: &mut Batch) {
    let (mut ts, mut seq) = (Ts::from_millis(message.create_time().max(0)), 0);
    if !headers {
        into.push(offset, ts, seq, message.key(), message.value(), std::iter::empty());
        return;
    }
    let headers = message.headers();
    for h in headers.clone() {
        match own(&h) {
            Some(Own::Ts(t)) => ts = t,
            Some(Own::Seq(s)) => seq = s,
            None => {}
        }
    }
    let others = headers.filter(|h| own(h).is_none());
    into.push(offset, ts, seq, message.key(), message.value(), others);
}

/// Headers that are fields of a record.
enum Own {
    Ts(Ts),
    Seq(u64),
}

/// A header of that name but of another length is a stranger's and stays with the record.
fn own(h: &Header<'_>) -> Option<Own> {
    let bytes: [u8; 8] = h.value.try_into().ok()?;
    match h.name {
        header::TS => Some(Own::Ts(Ts(i64::from_be_bytes(bytes)))),
        header::SEQ => Some(Own::Seq(u64::from_be_bytes(bytes))),
        _ => None,
    }
}
