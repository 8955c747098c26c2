//! Session windows at work.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{Key, Record};
use crate::store::StoreRef;
use crate::store::window::Window;
use crate::time::Ts;
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::stream::view;
use crate::topology::window::fold::{Fold, Pane};
use crate::topology::window::windowed::{After, Outlet};
use crate::topology::window::{Emit, Windowed};

/// The operator. A session lies in the store under the time of its first record.
pub(super) struct Session<V, L: Fold<V>> {
    pub(super) gap: i64,
    pub(super) grace: i64,
    pub(super) outlet: Outlet,
    pub(super) store: StoreRef<Window<Pane<L::State>>>,
    pub(super) fold: Arc<L>,
    /// (due, first, key): every open session has an entry that is not later than it is due. Entries of
    /// sessions that are gone or have grown are put right when they come up. Made anew from the store.
    pub(super) dues: BTreeSet<(i64, Ts, Key)>,
    pub(super) values: PhantomData<fn() -> V>,
}

impl<V, L: Fold<V>> Session<V, L> {
    fn due_of(&self, last: i64) -> i64 {
        last + self.gap + self.grace + 1
    }

    /// Open sessions of a key that a record at `ts` belongs to, earliest first.
    fn touched<M>(&self, ctx: &mut Context<'_, M>, key: &Key, ts: i64) -> Vec<Ts> {
        let store = ctx.window(self.store);
        let near = |(first, pane): &(Ts, &Pane<L::State>)| {
            first.0 - self.gap <= ts && ts <= pane.last.saturating_add(self.gap)
        };
        store.of_key(key).filter(near).map(|(first, _)| first).collect()
    }

    /// Makes one session of those touched and the record: its first instant and what it holds.
    fn enter<M>(&mut self, ctx: &mut Context<'_, M>, touched: &[Ts], record: &Record<V>) -> Ts {
        let (fold, ts) = (Arc::clone(&self.fold), record.ts);
        let store = ctx.window(self.store);
        let mut merged: Option<Pane<L::State>> = None;
        for first in touched {
            let Some(next) = store.remove(*first, &record.key) else { continue };
            match &mut merged {
                None => merged = Some(next),
                Some(pane) => {
                    fold.merge(&mut pane.state, next.state);
                    pane.last = pane.last.max(next.last);
                }
            }
        }
        let first = touched.first().copied().map_or(ts, |first| first.min(ts));
        let mut pane = merged.unwrap_or_else(|| Pane { last: ts.0, revision: 0, state: fold.init() });
        fold.add(&mut pane.state, record);
        pane.last = pane.last.max(ts.0);
        let due = self.due_of(pane.last);
        store.put(first, &record.key, pane);
        self.dues.insert((due, first, record.key.clone()));
        ctx.wake(Ts(due));
        first
    }

    fn send<M>(&self, ctx: &mut Context<'_, M>, first: Ts, key: Key, pane: Pane<L::State>)
    where
        M: From<Windowed<L::Out>>,
    {
        let last = Ts(pane.last);
        let value = M::from(Windowed { start: first, end: last, value: self.fold.out(pane.state) });
        ctx.forward_noted(self.outlet.to(), Record { key, value: Some(value), ts: last, seq: 0 }, None);
    }
}

impl<M, V, L> Processor<M> for Session<V, L>
where
    M: From<V> + From<Windowed<L::Out>>,
    V: TryFrom<M>,
    L: Fold<V>,
{
    fn init(&mut self, ctx: &mut Context<'_, M>) -> Result<(), ProcessError> {
        let open = ctx.window(self.store).iter();
        let dues: Vec<_> = open.map(|(first, key, pane)| (pane.last, first, key.clone())).collect();
        self.dues = dues.into_iter().map(|(last, first, key)| (self.due_of(last), first, key)).collect();
        Ok(())
    }

    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        let record: Record<V> = view(record)?;
        self.outlet.check_time(record.ts)?;
        let touched = self.touched(ctx, &record.key, record.ts.0);
        if touched.is_empty() && self.due_of(record.ts.0) <= ctx.time().0 {
            ctx.count("late_total", 1);
            match self.outlet.late {
                After::SideOutput => self.outlet.put_aside(ctx, record),
                After::Count | After::Revise { .. } => {}
            }
            return Ok(());
        }
        let grows = |first: &Ts| *first <= record.ts;
        let first = match touched[..] {
            // The most frequent case by far leaves the session where it is.
            [only] if grows(&only) => {
                let fold = &*self.fold;
                let init = || Pane { last: record.ts.0, revision: 0, state: fold.init() };
                ctx.window(self.store).edit(only, &record.key, init, |pane| {
                    fold.add(&mut pane.state, &record);
                    pane.last = pane.last.max(record.ts.0);
                });
                only
            }
            _ => self.enter(ctx, &touched, &record),
        };
        if self.outlet.emit == Emit::OnUpdate {
            let pane = ctx.window(self.store).get(first, &record.key).cloned();
            if let Some(pane) = pane {
                self.send(ctx, first, record.key, pane);
            }
        }
        Ok(())
    }

    fn due(&mut self, ctx: &mut Context<'_, M>) -> Option<Ts> {
        loop {
            let (due, first, key) = self.dues.first()?.clone();
            let actual = ctx.window(self.store).get(first, &key).map(|pane| self.due_of(pane.last));
            if actual == Some(due) {
                return Some(Ts(due));
            }
            self.dues.pop_first();
            self.dues.extend(actual.map(|due| (due, first, key)));
        }
    }

    fn settle(&mut self, ctx: &mut Context<'_, M>, due: Ts) -> Result<(), ProcessError> {
        // All sessions of one due have one last instant: the order of the entries is that of the sessions.
        while Processor::<M>::due(self, ctx) == Some(due) {
            let Some((_, first, key)) = self.dues.pop_first() else { break };
            if let Some(pane) = ctx.window(self.store).remove(first, &key) {
                self.send(ctx, first, key, pane);
            }
        }
        Ok(())
    }
}
