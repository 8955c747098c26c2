//! A verification as a person reads it: counts, then each first difference with both records.

use std::fmt;

use crate::log::TopicName;
use crate::verify::{Difference, Input, KeyDifference, Sample, Side, Verified, What};

/// Bytes of a value that are shown in hex.
const HEX_MAX: usize = 96;
/// Store keys that are named.
const KEYS_MAX: usize = 20;

/// What the bytes of a topic's values say, in words; `None`: only their hex is shown.
pub type Decode<'a> = dyn Fn(&TopicName, &[u8]) -> Option<String> + 'a;

/// A verification with the words for its values.
pub struct Show<'a> {
    /// What was found.
    pub verified: &'a Verified,
    /// What values say.
    pub decode: &'a Decode<'a>,
}

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.verified;
        let Verified { tasks, epochs, records, outputs, digests, .. } = v;
        writeln!(
            f,
            "{tasks} tasks, {epochs} epochs, {records} records again: {outputs} outputs and {digests} state digests compared"
        )?;
        for (n, what) in [
            (v.decisions, "lifts of late channels were decided live and followed"),
            (v.unread, "outputs are no longer kept: only their sums were compared"),
            (v.strangers, "records of other writers or sub-topologies were passed over"),
        ] {
            if n > 0 {
                writeln!(f, "{n} {what}")?;
            }
        }
        for difference in &v.differences {
            self.difference(f, difference)?;
        }
        match v.differences.len() {
            0 => write!(f, "equal"),
            1 => write!(f, "different in 1 task"),
            n => write!(f, "different in {n} tasks, the earliest first"),
        }
    }
}

impl Show<'_> {
    fn difference(&self, f: &mut fmt::Formatter<'_>, d: &Difference) -> fmt::Result {
        write!(f, "task {} epoch {}: ", d.task, d.epoch)?;
        match &d.what {
            What::Output { tp, index, log, again } => {
                writeln!(f, "output {index} of {tp} differs")?;
                self.side(f, "log", &tp.topic, log.as_ref())?;
                self.side(f, "again", &tp.topic, again.as_ref())?;
            }
            What::Position(what) => writeln!(f, "{what}")?,
            What::State { logged, again } => {
                writeln!(f, "outputs are equal, the state digest is {again}, it was {logged}")?;
            }
            What::Cost { n, first } => {
                writeln!(f, "without the decisions {n} outputs are others")?;
                for (tp, sample, side) in first {
                    let side = match side {
                        Side::Log => "live",
                        Side::Again => "pure",
                    };
                    self.side(f, side, &tp.topic, Some(sample))?;
                }
                return Ok(());
            }
        }
        if let Some(cause) = &d.cause {
            self.cause(f, cause)?;
        }
        keys(f, &d.keys)
    }

    fn side(
        &self,
        f: &mut fmt::Formatter<'_>,
        side: &str,
        topic: &TopicName,
        s: Option<&Sample>,
    ) -> fmt::Result {
        match s {
            None => writeln!(f, "  {side:<6} no record"),
            Some(sample) => {
                write!(f, "  {side:<6} ")?;
                self.sample(f, topic, sample)
            }
        }
    }

    fn cause(&self, f: &mut fmt::Formatter<'_>, cause: &Input) -> fmt::Result {
        write!(f, "  cause  {} (its output {}) ", cause.tp, cause.k)?;
        self.sample(f, &cause.tp.topic, &cause.record)
    }

    fn sample(&self, f: &mut fmt::Formatter<'_>, topic: &TopicName, s: &Sample) -> fmt::Result {
        if let Some(offset) = s.offset {
            write!(f, "offset {} ", offset.0)?;
        }
        match &s.key {
            None => writeln!(f, "ts {} no key", s.ts.0)?,
            Some(key) => writeln!(f, "ts {} key {} {:?}", s.ts.0, hex(key), String::from_utf8_lossy(key))?,
        }
        let Some(value) = &s.value else { return writeln!(f, "         tombstone") };
        writeln!(f, "         {} bytes {}", value.len(), hex(value))?;
        let text = (self.decode)(topic, value).or_else(|| String::from_utf8(value.clone()).ok());
        text.map_or(Ok(()), |text| writeln!(f, "         {text}"))
    }
}

fn keys(f: &mut fmt::Formatter<'_>, keys: &Result<Vec<KeyDifference>, String>) -> fmt::Result {
    match keys {
        Err(why) => writeln!(f, "  stores not compared: {why}"),
        Ok(keys) if keys.is_empty() => Ok(()),
        Ok(keys) => {
            for key in keys.iter().take(KEYS_MAX) {
                let (store, side) = (&key.store, key.only);
                let side = match side {
                    None => "differs",
                    Some(Side::Log) => "only live",
                    Some(Side::Again) => "only again",
                };
                writeln!(
                    f,
                    "  store  {store} key {} {:?} {side}",
                    hex(&key.key),
                    String::from_utf8_lossy(&key.key)
                )?;
            }
            match keys.len().saturating_sub(KEYS_MAX) {
                0 => Ok(()),
                more => writeln!(f, "  store  and {more} more keys"),
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(HEX_MAX).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > HEX_MAX { format!("{shown}…") } else { shown }
}
