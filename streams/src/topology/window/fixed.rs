//! Tumbling and hopping windows at work.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::record::{Key, Record};
use crate::store::StoreRef;
use crate::store::window::Window;
use crate::time::Ts;
use crate::topology::processor::{Context, Note, ProcessError, Processor, To};
use crate::topology::stream::view;
use crate::topology::window::fold::{Fold, Pane};
use crate::topology::window::windowed::{After, Outlet};
use crate::topology::window::{Emit, Windowed};

/// The grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) size: i64,
    pub(super) hop: i64,
    pub(super) offset: i64,
    pub(super) grace: i64,
    /// Start of the window that the last record began in: the next one mostly does too.
    pub(super) at: i64,
}

impl Grid {
    /// Start of the last window that holds `ts`.
    fn last_start(&mut self, ts: i64) -> i64 {
        if ts < self.at || ts - self.at >= self.hop {
            self.at = (ts - self.offset).div_euclid(self.hop) * self.hop + self.offset;
        }
        self.at
    }

    /// Starts of all windows that hold `ts`: the first one, and how many follow it.
    fn starts(&mut self, ts: i64) -> (i64, i64) {
        let last = self.last_start(ts);
        let n = if self.size == self.hop { 0 } else { (self.size - 1 - (ts - last)) / self.hop };
        (last - n * self.hop, n)
    }

    /// Distance of a window's start and the instant at which it is over.
    fn length(&self) -> i64 {
        self.size + self.grace
    }
}

/// The operator.
pub(super) struct Fixed<V, L: Fold<V>> {
    pub(super) grid: Grid,
    pub(super) outlet: Outlet,
    pub(super) store: StoreRef<Window<Pane<L::State>>>,
    pub(super) fold: Arc<L>,
    pub(super) values: PhantomData<fn() -> V>,
}

impl<V, L: Fold<V>> Fixed<V, L> {
    /// Adds a record to one window and sends the result on, if that is asked for.
    fn enter<M>(&self, ctx: &mut Context<'_, M>, start: i64, record: &Record<V>, emit: Option<Note>)
    where
        M: From<Windowed<L::Out>>,
    {
        let (mut fresh, sends, ts) =
            (false, self.outlet.emit == Emit::OnUpdate || emit.is_some(), record.ts.0);
        let init = || {
            fresh = true;
            Pane { last: ts, revision: 0, state: self.fold.init() }
        };
        let update = ctx.window(self.store).edit(Ts(start), &record.key, init, |pane| {
            self.fold.add(&mut pane.state, record);
            pane.last = pane.last.max(ts);
            if let Some(Note::Revision(_)) = emit {
                pane.revision += 1;
            }
            sends.then(|| pane.clone())
        });
        if fresh {
            ctx.wake(Ts(start + self.grid.length()));
        }
        let Some(pane) = update else { return };
        match emit {
            Some(_) => {
                let note = Some(Note::Revision(pane.revision));
                self.send(ctx, start, record.key.clone(), pane, note);
            }
            None => {
                let ts = Ts(pane.last);
                self.send_at(ctx, start, ts, record.key.clone(), pane, None);
            }
        }
    }

    /// Sends the result of a window that is over.
    fn send<M>(
        &self,
        ctx: &mut Context<'_, M>,
        start: i64,
        key: Key,
        pane: Pane<L::State>,
        note: Option<Note>,
    ) where
        M: From<Windowed<L::Out>>,
    {
        self.send_at(ctx, start, Ts(start + self.grid.size - 1), key, pane, note);
    }

    fn send_at<M>(
        &self,
        ctx: &mut Context<'_, M>,
        start: i64,
        ts: Ts,
        key: Key,
        pane: Pane<L::State>,
        note: Option<Note>,
    ) where
        M: From<Windowed<L::Out>>,
    {
        let (start, end) = (Ts(start), Ts(start + self.grid.size));
        let value = M::from(Windowed { start, end, value: self.fold.out(pane.state) });
        ctx.forward_noted(self.outlet.to(), Record { key, value: Some(value), ts, seq: 0 }, note);
    }

    /// A record whose windows are all over.
    fn late<M>(&mut self, ctx: &mut Context<'_, M>, (first, n): (i64, i64), record: Record<V>)
    where
        M: From<V> + From<Windowed<L::Out>>,
    {
        ctx.count("late_total", 1);
        let time = ctx.time().0;
        match self.outlet.late {
            After::Count => {}
            After::SideOutput => self.outlet.put_aside(ctx, record),
            After::Revise { retention } => {
                let kept = |start: i64| start + self.grid.length() + retention > time;
                let starts = (0..=n).map(|i| first + i * self.grid.hop).filter(|start| kept(*start));
                for start in starts.collect::<Vec<_>>() {
                    self.enter(ctx, start, &record, Some(Note::Revision(0)));
                }
            }
        }
    }
}

impl<M, V, L> Processor<M> for Fixed<V, L>
where
    M: From<V> + From<Windowed<L::Out>>,
    V: TryFrom<M>,
    L: Fold<V>,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        let record: Record<V> = view(record)?;
        self.outlet.check_time(record.ts)?;
        let (first, n) = self.grid.starts(record.ts.0);
        let (time, length) = (ctx.time().0, self.grid.length());
        let mut entered = false;
        for i in 0..=n {
            let start = first + i * self.grid.hop;
            if start + length > time {
                self.enter(ctx, start, &record, None);
                entered = true;
            }
        }
        if !entered {
            self.late(ctx, (first, n), record);
        }
        Ok(())
    }

    fn due(&mut self, ctx: &mut Context<'_, M>) -> Option<Ts> {
        let (time, length) = (ctx.time().0, self.grid.length());
        let store = ctx.window(self.store);
        let open = store.first_after(Ts(time.saturating_sub(length))).map(|start| start.0 + length);
        let kept = match self.outlet.late {
            After::Revise { retention } => store.first().map(|start| start.0 + length + retention),
            After::Count | After::SideOutput => None,
        };
        open.into_iter().chain(kept).min().map(Ts)
    }

    fn settle(&mut self, ctx: &mut Context<'_, M>, due: Ts) -> Result<(), ProcessError> {
        let start = Ts(due.0 - self.grid.length());
        match self.outlet.late {
            After::Count | After::SideOutput => {
                for (key, pane) in ctx.window(self.store).take(start) {
                    self.send(ctx, start.0, key, pane, None);
                }
            }
            After::Revise { retention } => {
                let store = ctx.window(self.store);
                store.expire(Ts(start.0 - retention + 1));
                let over = store.window(start).into_iter().map(|(key, pane)| (key.clone(), pane.clone()));
                for (key, pane) in over.collect::<Vec<_>>() {
                    self.send(ctx, start.0, key, pane, None);
                }
            }
        }
        Ok(())
    }
}

impl Outlet {
    /// Which children get results.
    pub(super) fn to(&self) -> To {
        match self.late {
            After::SideOutput => To::From(1),
            After::Count | After::Revise { .. } => To::Each,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(size: i64, hop: i64, offset: i64, ts: i64) -> Vec<i64> {
        let mut grid = Grid { size, hop, offset, grace: 0, at: offset };
        let (first, n) = grid.starts(ts);
        let starts = (0..=n).map(|i| first + i * hop).collect();
        assert_eq!(grid.starts(ts), (first, n), "asked again");
        starts
    }

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        assert_eq!(starts(10, 4, 0, 9), [0, 4, 8]);
        assert_eq!(starts(10, 4, 0, 10), [4, 8]);
        assert_eq!(starts(10, 4, 0, -1), [-8, -4]);
        assert_eq!((starts(10, 10, 0, -11), starts(10, 10, 0, -1)), (vec![-20], vec![-10]));
        assert_eq!(starts(10, 10, 0, 0), [0]);
        assert_eq!((starts(10, 10, 3, 5), starts(10, 10, 3, 2)), (vec![3], vec![-7]));
    }

    #[test]
    fn windows_of_a_record_are_those_that_hold_it() {
        for (size, hop, offset) in [(1, 1, 0), (7, 3, 1), (10, 10, 3), (9, 2, 5), (8, 8, 0)] {
            for ts in -40..40 {
                let naive: Vec<i64> = (-100i64..100)
                    .filter(|start| (start - offset).rem_euclid(hop) == 0)
                    .filter(|start| *start <= ts && ts < start + size)
                    .collect();
                assert_eq!(starts(size, hop, offset, ts), naive, "{size} {hop} {offset} {ts}");
            }
        }
    }
}
