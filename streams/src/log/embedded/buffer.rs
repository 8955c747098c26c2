//! Records on their way to the writer: one batch being filled per partition, sealed when it is full.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Core;
use super::layout::{BATCH_HEAD, PartitionId, put_record, record_len};
use crate::error::{LogError, SendError, TxnClass, TxnError};
use crate::log::Tp;
use crate::lz4;
use crate::record::OutRecord;

/// A batch is sealed before it grows past this, so that reading one record never costs more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Longest record as stored.
pub(super) const RECORD_BYTES_MAX: usize = 16 << 20;
const HEADER_NAME_MAX: usize = 255;
const HEADERS_MAX: usize = 65_535;

/// A finished batch; its offsets and the first bytes of its value are the writer's to fill in.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) tp: Tp,
    pub(super) at: PartitionId,
    pub(super) n: u32,
    pub(super) ts_max: i64,
    pub(super) retention: Option<Duration>,
    /// Room for the head, then the frame.
    pub(super) value: Vec<u8>,
}

/// Batches being filled.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    filling: BTreeMap<Tp, Filling>,
}

#[derive(Debug)]
struct Filling {
    at: PartitionId,
    retention: Option<Duration>,
    n: u32,
    ts_max: i64,
    plain: Vec<u8>,
}

impl Buffer {
    /// Takes a record in. A batch comes back when the record does not fit into it any more.
    pub(super) fn push(&mut self, core: &Core, record: &OutRecord<'_>) -> Result<Option<Sealed>, SendError> {
        let bytes = record_len(record);
        check(record, bytes)?;
        if !self.filling.contains_key(record.tp) {
            let filling = Filling::of(core, record.tp).map_err(|e| refused(&e.to_string()))?;
            self.filling.insert(record.tp.clone(), filling);
        }
        let Some(filling) = self.filling.get_mut(record.tp) else { return Ok(None) };
        let full = filling.n > 0 && filling.plain.len() + bytes > BATCH_BYTES_MAX;
        let sealed = full.then(|| filling.seal(record.tp)).transpose()?;
        put_record(&mut filling.plain, record);
        filling.n += 1;
        filling.ts_max = filling.ts_max.max(record.ts.0);
        Ok(sealed)
    }

    /// Everything that is not sealed yet.
    pub(super) fn seal_all(&mut self) -> Result<Vec<Sealed>, TxnError> {
        let open = self.filling.iter_mut().filter(|(_, filling)| filling.n > 0);
        open.map(|(tp, filling)| filling.seal(tp)).collect()
    }

    /// Forgets the records, keeps the memory.
    pub(super) fn clear(&mut self) {
        for filling in self.filling.values_mut() {
            filling.reset();
        }
    }
}

impl Filling {
    fn of(core: &Core, tp: &Tp) -> Result<Filling, LogError> {
        let (topic, at) = core.partition(tp)?;
        Ok(Filling { at, retention: topic.retention, n: 0, ts_max: i64::MIN, plain: Vec::new() })
    }

    fn seal(&mut self, tp: &Tp) -> Result<Sealed, TxnError> {
        let mut value = vec![0; BATCH_HEAD];
        lz4::compress(&self.plain, &mut value).map_err(|e| refused(&e.to_string()))?;
        let (at, n, ts_max, retention) = (self.at, self.n, self.ts_max, self.retention);
        let sealed = Sealed { tp: tp.clone(), at, n, ts_max, retention, value };
        self.reset();
        Ok(sealed)
    }

    fn reset(&mut self) {
        self.plain.clear();
        self.n = 0;
        self.ts_max = i64::MIN;
    }
}

fn check(record: &OutRecord<'_>, bytes: usize) -> Result<(), SendError> {
    if bytes > RECORD_BYTES_MAX {
        let topic = record.tp.topic.as_str().to_owned();
        return Err(SendError::TooLarge { topic, bytes, max: RECORD_BYTES_MAX });
    }
    let named_well = record.headers.iter().all(|h| h.name.len() <= HEADER_NAME_MAX);
    if !named_well || record.headers.len() > HEADERS_MAX {
        let rule = format!("{}: at most {HEADERS_MAX} headers, names of at most 255 bytes", record.tp);
        return Err(refused(&rule).into());
    }
    Ok(())
}

fn refused(why: &str) -> TxnError {
    TxnError::new("send", TxnClass::Fatal { fenced: false }, why)
}
