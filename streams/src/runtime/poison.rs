//! Inputs that cannot be processed: what is kept of them, and how many are too many.

use crate::log::Tp;
use crate::record::{InRecord, header};
use crate::runtime::outbox::Outbox;
use crate::topology::processor::Poison;

/// Records over which the share of refused ones is taken.
const WINDOW: u64 = 10_000;
/// Longest reason that is kept, in bytes: a decoder may quote its whole input.
const REASON_MAX: usize = 1_024;

/// Keeps a refused record with its reason. Its own headers stay.
pub(crate) fn dead_letter(
    outbox: &mut Outbox,
    to: usize,
    (tp, record): (&Tp, &InRecord<'_>),
    why: &Poison,
    epoch: u64,
) {
    let place = format!("{}/{}/{}", tp.topic, tp.partition, record.offset.0);
    let mut headers: Vec<(String, Vec<u8>)> =
        record.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect();
    headers.extend([
        (header::DLQ_REASON.to_owned(), shortened(&why.reason).into()),
        (header::DLQ_NODE.to_owned(), why.node.clone().into()),
        (header::DLQ_SRC.to_owned(), place.into()),
        (header::DLQ_EPOCH.to_owned(), epoch.to_string().into()),
    ]);
    outbox.push_named(to, record.key, record.value, (record.ts, record.seq), headers);
}

fn shortened(reason: &str) -> &str {
    let end = (0..=REASON_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}

/// Counts refused records, window by window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    pub(crate) seen: u64,
    pub(crate) refused: u64,
}

impl Rate {
    pub(crate) fn record(&mut self) {
        if self.seen == WINDOW {
            *self = Rate::default();
        }
        self.seen += 1;
    }

    /// One more was refused: are these too many? `percent` of a full window is the limit.
    pub(crate) fn refuse(&mut self, percent: u64) -> bool {
        self.refused += 1;
        self.refused.saturating_mul(100) > percent.saturating_mul(WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_too_large_as_soon_as_a_full_window_could_not_mend_it() {
        let mut rate = Rate::default();
        for i in 0..501 {
            rate.record();
            assert_eq!(rate.refuse(5), i == 500, "record {i}");
        }
        for _ in 501..10_000 {
            rate.record();
        }
        rate.record();
        assert!(!rate.refuse(5), "a new window forgets the old one");
        assert!(!rate.refuse(u64::MAX), "no share is too large");
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(600)).len(), 1_024);
        assert_eq!(shortened(&format!("x{}", "é".repeat(600))).len(), 1_023);
    }
}
