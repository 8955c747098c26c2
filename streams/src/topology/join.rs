//! Joins: a record meets what another stream or a table has for its key.
//!
//! ```text
//! join          the row that a table has when the left record is processed
//! join_asof     the last right record before the left one in merge order, if 0 ≤ left.ts − right.ts ≤ tolerance
//! join_window   every right record with left.ts − before ≤ right.ts ≤ left.ts + after, whichever comes first
//! ```
//! Which of two records of one instant comes first is decided by the ranks of their sources.

mod window;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{Record, Tombstone};
use crate::store::Stored;
use crate::store::kv::Kv;
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::stream::{Stream, view};
use crate::topology::table::{Rows, Table};
use crate::topology::{MakeProcessor, NodeKind};

pub use window::JoinWindow;

/// What becomes of a left record that finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It goes on with `None`.
    #[default]
    Null,
    /// It ends here.
    Drop,
}

/// How old what an as-of join finds may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Greatest age of the right record at the time of the left one.
    pub tolerance: Duration,
    /// If there is none, or an older one.
    pub missing: Missing,
}

impl<M, V> Stream<M, V>
where
    M: From<V> + 'static,
    V: TryFrom<M> + 'static,
{
    /// Each record with the row that a table has for its key when the record is processed.
    pub fn join<R, W>(
        &self,
        table: &Table<M, R>,
        missing: Missing,
        f: impl Fn(V, Option<R>) -> W + Send + Sync + 'static,
    ) -> Stream<M, W>
    where
        M: From<R> + From<W>,
        R: TryFrom<M> + Stored,
    {
        let (rows, f, n_left) = (table.rows(), Arc::new(f), self.nodes.len());
        let make: MakeProcessor<M> = Arc::new(move || {
            let f = Arc::clone(&f);
            Box::new(Lookup { rows, f, missing, n_left, tolerance: None, keeps: false, values: PhantomData })
        });
        let parents = self.nodes.iter().copied().chain([table.node()]).collect();
        let mut parts = self.parts.borrow_mut();
        let name = format!("join-{}", parts.nodes.len());
        let kind = NodeKind::Processor { stores: vec![rows.store().into()], make, terminal: false };
        let node = parts.node(&name, parents, kind);
        parts.nodes[node.0].detail = format!("join, missing {missing:?}").to_lowercase();
        drop(parts);
        self.at(node)
    }

    /// Each record with the last one of `right` that has its key, if that is not too old. The stream must be
    /// [`named`](Stream::named): what it keeps is found by that name.
    pub fn join_asof<R, W>(
        &self,
        right: &Stream<M, R>,
        how: AsOf,
        f: impl Fn(V, Option<R>) -> W + Send + Sync + 'static,
    ) -> Stream<M, W>
    where
        M: From<R> + From<W>,
        R: TryFrom<M> + Stored,
    {
        let AsOf { tolerance, missing } = how;
        let (store, f, n_left) = (self.store(Kv::new("")), Arc::new(f), self.nodes.len());
        let rows = Rows::of(store);
        let tolerance_ns = i64::try_from(tolerance.as_nanos()).unwrap_or(i64::MAX);
        let make: MakeProcessor<M> = Arc::new(move || {
            let (f, tolerance) = (Arc::clone(&f), Some(tolerance_ns));
            Box::new(Lookup { rows, f, missing, n_left, tolerance, keeps: true, values: PhantomData })
        });
        let detail = format!("as of {tolerance:?}, missing {}", format!("{missing:?}").to_lowercase());
        let joined = self.beside(right).stateful("join-asof", detail, (store.into(), "right"), make);
        self.check_sides(right, &joined);
        joined
    }

    /// The nodes of both sides, those of `self` first.
    fn beside<R>(&self, right: &Stream<M, R>) -> Stream<M, V> {
        let nodes = self.nodes.iter().chain(&right.nodes).copied().collect();
        Stream { nodes, ..self.clone() }
    }

    fn check_sides<R, W>(&self, right: &Stream<M, R>, joined: &Stream<M, W>) {
        if self.nodes.iter().any(|node| right.nodes.contains(node)) {
            joined.fault("a node is on both sides of the join: put a map between");
        }
    }
}

/// Finds the row of a left record; keeps the right ones, unless a table does.
struct Lookup<V, R, F> {
    rows: Rows<R>,
    f: Arc<F>,
    missing: Missing,
    /// Parents before this one are on the left side.
    n_left: usize,
    /// In ns; `None`: a row may have any age.
    tolerance: Option<i64>,
    keeps: bool,
    values: PhantomData<fn() -> V>,
}

impl<V, R: Stored, F> Lookup<V, R, F> {
    fn find<M, T>(&self, ctx: &mut Context<'_, M>, left: &Record<T>) -> Result<Option<R>, ProcessError> {
        let row = self.rows.get(ctx, &left.key)?;
        let fresh = |age: i64| self.tolerance.is_none_or(|tolerance| (0..=tolerance).contains(&age));
        Ok(row.filter(|(ts, _)| fresh(left.ts.0.saturating_sub(ts.0))).map(|(_, row)| row))
    }
}

impl<M, V, R, W, F> Processor<M> for Lookup<V, R, F>
where
    M: From<W>,
    V: TryFrom<M>,
    R: TryFrom<M> + Stored,
    F: Fn(V, Option<R>) -> W + Send + Sync,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        if ctx.parent() >= self.n_left {
            if self.keeps {
                self.rows.put(ctx, &view(record)?);
            }
            return Ok(());
        }
        let Record { key, value, ts, seq } = view::<M, V>(record)?;
        let left = Record { key, value: (), ts, seq };
        let found = self.find(ctx, &left)?;
        if found.is_some() || self.missing == Missing::Null {
            ctx.forward(Record { key: left.key, value: M::from((self.f)(value, found)), ts, seq });
        }
        Ok(())
    }

    fn tombstone(&mut self, ctx: &mut Context<'_, M>, tombstone: Tombstone) -> Result<(), ProcessError> {
        match (ctx.parent() < self.n_left, self.keeps) {
            (true, _) => ctx.forward_tombstone(tombstone),
            (false, true) => self.rows.delete(ctx, &tombstone.key),
            (false, false) => {}
        }
        Ok(())
    }
}
