//! Tables: the latest value of each key, in merge order.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{CodecError, Record, Tombstone};
use crate::store::kv::Kv;
use crate::store::{StoreRef, Stored};
use crate::time::Ts;
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::stream::{Stream, view};
use crate::topology::{Builder, MakeProcessor, NodeId, NodeKind, Source};

/// The latest value per key of a topic. A record without value deletes its key.
pub struct Table<M, V> {
    changes: Stream<M, V>,
    rows: Rows<V>,
}

impl<M: 'static> Builder<M> {
    /// Reads a topic as a table; its rows lie in the store `<name>-rows`.
    pub fn table<V>(&mut self, name: &str, source: Source<M>) -> Table<M, V>
    where
        M: From<V>,
        V: TryFrom<M> + Stored,
    {
        let source = self.source(name, source);
        let store = self.store(Kv::new(&format!("{name}-rows")));
        let rows = Rows { store, values: PhantomData };
        let make: MakeProcessor<M> = Arc::new(move || Box::new(Keep(rows)));
        let kind = NodeKind::Processor { stores: vec![store.into()], make, terminal: false };
        let node = self.node(&format!("{name}-table"), vec![source], kind);
        Table { changes: self.view(node), rows }
    }
}

impl<M: 'static, V: Stored> Table<M, V> {
    /// Every change, after it was made; deletions too.
    pub fn changes(&self) -> &Stream<M, V> {
        &self.changes
    }

    /// Reads rows in a processor that declares [`Rows::store`].
    pub fn rows(&self) -> Rows<V> {
        self.rows
    }

    pub(in crate::topology) fn node(&self) -> NodeId {
        self.changes.node()
    }
}

/// Reads the rows of a table inside a processor.
pub struct Rows<V> {
    store: StoreRef<Kv>,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for Rows<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Rows<V> {}

impl<V: Stored> Rows<V> {
    /// For a processor that has no store yet.
    pub(in crate::topology) fn of(store: StoreRef<Kv>) -> Rows<V> {
        Rows { store, values: PhantomData }
    }

    /// The store to declare.
    pub fn store(&self) -> StoreRef<Kv> {
        self.store
    }

    /// The row of a key and its time; `None` if there is none now.
    ///
    /// # Errors
    /// [`ProcessError::Fatal`]: the store holds what this version did not write.
    pub fn get<M>(&self, ctx: &mut Context<'_, M>, key: &[u8]) -> Result<Option<(Ts, V)>, ProcessError> {
        let row = ctx.kv(self.store).get(key).map(decode);
        row.transpose().map_err(|e| ProcessError::Fatal(format!("row of {}: {e}", key.escape_ascii())))
    }

    pub(in crate::topology) fn put<M>(&self, ctx: &mut Context<'_, M>, record: &Record<V>) {
        let mut row = record.ts.0.to_be_bytes().to_vec();
        record.value.encode(&mut row);
        ctx.kv(self.store).put(&record.key, &row);
    }

    pub(in crate::topology) fn delete<M>(&self, ctx: &mut Context<'_, M>, key: &[u8]) {
        ctx.kv(self.store).delete(key);
    }
}

/// A row is its time, i64 big-endian, and its value.
fn decode<V: Stored>(row: &[u8]) -> Result<(Ts, V), CodecError> {
    let (ts, value) = row.split_first_chunk().ok_or_else(|| CodecError::new("cut short"))?;
    Ok((Ts(i64::from_be_bytes(*ts)), V::decode(value)?))
}

/// Keeps the latest value of each key and passes every record on.
struct Keep<V>(Rows<V>);

impl<M, V> Processor<M> for Keep<V>
where
    M: From<V>,
    V: TryFrom<M> + Stored,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        let record: Record<V> = view(record)?;
        self.0.put(ctx, &record);
        let Record { key, value, ts, seq } = record;
        ctx.forward(Record { key, value: M::from(value), ts, seq });
        Ok(())
    }

    fn tombstone(&mut self, ctx: &mut Context<'_, M>, tombstone: Tombstone) -> Result<(), ProcessError> {
        self.0.delete(ctx, &tombstone.key);
        ctx.forward_tombstone(tombstone);
        Ok(())
    }
}
