//! Windows on a typed stream: when results leave, and what becomes of late records.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::log::topic;
use crate::record::{Codec, Record};
use crate::store::Stored;
use crate::store::window::Window;
use crate::time::Ts;
use crate::topology::processor::{Context, Note, ProcessError, Processor, To};
use crate::topology::stream::Stream;
use crate::topology::window::fixed::{Fixed, Grid};
use crate::topology::window::fold::{Aggregate, Count, Fold, Pane, Reduce};
use crate::topology::window::session::Session;
use crate::topology::window::{Emit, FARTHEST, LIMIT, Plan, Windowed, Windows, nanos};
use crate::topology::{MakeProcessor, NodeId, NodeKind, Sink};

/// A stream cut into windows, key by key. An aggregate makes a stream of it again, which must be
/// [`named`](Stream::named): its state is found by that name.
pub struct WindowedStream<M, V> {
    pub(in crate::topology) stream: Stream<M, V>,
    pub(in crate::topology) windows: Windows,
    pub(in crate::topology) emit: Emit,
    pub(in crate::topology) late: Late<M>,
}

/// What becomes of a record that comes when all its windows are over. It is always counted, as `late_total`.
pub(in crate::topology) enum Late<M> {
    Count,
    SideOutput(Arc<dyn Codec<M>>),
    Revise { retention: Duration },
}

/// The same, as a node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Count,
    /// The first child takes it.
    SideOutput,
    Revise {
        retention: i64,
    },
}

/// Where results and late records go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlet {
    pub(super) emit: Emit,
    pub(super) late: After,
}

impl Outlet {
    /// Times near the ends of what an i64 holds have no windows.
    pub(super) fn check_time(&self, ts: Ts) -> Result<(), ProcessError> {
        match (-FARTHEST..=FARTHEST).contains(&ts.0) {
            true => Ok(()),
            false => Err(ProcessError::Poison("its time is more than 146 years from 1970".to_owned())),
        }
    }

    /// Hands a late record to the child that keeps them.
    pub(super) fn put_aside<M: From<V>, V>(&self, ctx: &mut Context<'_, M>, record: Record<V>) {
        let Record { key, value, ts, seq } = record;
        let late_by = ctx.time().0.saturating_sub(ts.0);
        let record = Record { key, value: Some(M::from(value)), ts, seq };
        ctx.forward_noted(To::One(0), record, Some(Note::LateBy(late_by)));
    }
}

impl<M, V> WindowedStream<M, V>
where
    M: From<V> + 'static,
    V: TryFrom<M> + 'static,
{
    /// Results leave after every record of a window, not once when it is over.
    pub fn on_update(self) -> WindowedStream<M, V> {
        WindowedStream { emit: Emit::OnUpdate, ..self }
    }

    /// Late records go to `<app>-late`, each with how late it was in the header `late_by`.
    pub fn late_to(self, codec: Arc<dyn Codec<M>>) -> WindowedStream<M, V> {
        WindowedStream { late: Late::SideOutput(codec), ..self }
    }

    /// Windows that are over are kept for `retention` longer. A late record makes its result leave once more,
    /// with a count in the header `revision`. Not for sessions: one that grows together with another has no
    /// single result to correct.
    pub fn revise(self, retention: Duration) -> WindowedStream<M, V> {
        WindowedStream { late: Late::Revise { retention }, ..self }
    }

    /// How many records each window has.
    pub fn count(self) -> Stream<M, Windowed<u64>>
    where
        M: From<Windowed<u64>>,
    {
        self.fold("count", Count)
    }

    /// One value of all values of a window; `f` adds a later one to what there is.
    pub fn reduce(self, f: impl Fn(&mut V, &V) + Send + Sync + 'static) -> Stream<M, Windowed<V>>
    where
        V: Stored,
        M: From<Windowed<V>>,
    {
        self.fold("reduce", Reduce(f, PhantomData))
    }

    /// What `add` makes of the records of a window, beginning with `init`. Sessions need
    /// [`aggregate_merging`](Self::aggregate_merging).
    pub fn aggregate<A: Stored>(
        self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&mut A, &Record<V>) + Send + Sync + 'static,
    ) -> Stream<M, Windowed<A>>
    where
        M: From<Windowed<A>>,
    {
        let is_session = matches!(self.windows.plan(), Ok(Plan::Session { .. }));
        let stream = self.aggregate_merging(init, add, |_, _| {});
        if is_session {
            stream.fault("sessions grow together: say how their aggregates do, with aggregate_merging");
        }
        stream
    }

    /// As [`aggregate`](Self::aggregate); `merge` adds the aggregate of a later session to that of an earlier
    /// one when a record between them makes them one.
    pub fn aggregate_merging<A: Stored>(
        self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&mut A, &Record<V>) + Send + Sync + 'static,
        merge: impl Fn(&mut A, A) + Send + Sync + 'static,
    ) -> Stream<M, Windowed<A>>
    where
        M: From<Windowed<A>>,
    {
        self.fold("aggregate", Aggregate { init, add, merge })
    }

    fn fold<L: Fold<V>>(self, what: &'static str, fold: L) -> Stream<M, Windowed<L::Out>>
    where
        M: From<Windowed<L::Out>>,
    {
        let is_session = matches!(self.windows.plan(), Ok(Plan::Session { .. }));
        let store = Window::<Pane<L::State>>::new("");
        let store = self.stream.store(if is_session { store.by_key() } else { store });
        let (fold, emit) = (Arc::new(fold), self.emit);
        let late = match &self.late {
            Late::Count => After::Count,
            Late::SideOutput(_) => After::SideOutput,
            Late::Revise { retention } => After::Revise { retention: nanos(*retention) },
        };
        let outlet = Outlet { emit, late };
        let make: MakeProcessor<M> = match self.windows.plan() {
            Ok(Plan::Session { gap, grace }) => Arc::new(move || {
                let (fold, dues) = (Arc::clone(&fold), BTreeSet::new());
                Box::new(Session { gap, grace, outlet, store, fold, dues, values: PhantomData })
            }),
            Ok(Plan::Fixed { size, hop, offset, grace }) => Arc::new(move || {
                let grid = Grid { size, hop, offset, grace, at: offset };
                Box::new(Fixed { grid, outlet, store, fold: Arc::clone(&fold), values: PhantomData })
            }),
            // Never run: build() refuses it.
            Err(_) => Arc::new(|| Box::new(Refused)),
        };
        let stream = self.stream.stateful(what, self.detail(), (store.into(), "windows"), make);
        self.check(&stream);
        self.add_late_sink(&stream);
        stream
    }

    fn detail(&self) -> String {
        let emit = match self.emit {
            Emit::OnClose => "on close",
            Emit::OnUpdate => "on update",
        };
        let late = match &self.late {
            Late::Count => String::new(),
            Late::SideOutput(_) => ", late aside".to_owned(),
            Late::Revise { retention } => format!(", revised for {retention:?}"),
        };
        format!("{}, {emit}{late}", self.windows)
    }

    fn check<W>(&self, stream: &Stream<M, W>) {
        let rule = match (self.windows.plan(), &self.late) {
            (Err(rule), _) => rule,
            (Ok(Plan::Session { .. }), Late::Revise { .. }) => "results of sessions cannot be revised",
            (Ok(_), Late::Revise { retention }) if nanos(*retention) > LIMIT => {
                "the retention ends at 36 years"
            }
            (Ok(_), Late::Count | Late::SideOutput(_) | Late::Revise { .. }) => return,
        };
        stream.fault(rule);
    }

    /// The sink of late records is the first child.
    fn add_late_sink<W>(&self, stream: &Stream<M, W>) {
        let Late::SideOutput(codec) = &self.late else { return };
        stream.part("late", |app, parent: NodeId| {
            let sink = Sink { derived: true, ..Sink::topic(topic::late(app).as_str(), Arc::clone(codec)) };
            (vec![parent], NodeKind::Sink(sink))
        });
    }
}

/// Stands where windows cannot be.
struct Refused;

impl<M> Processor<M> for Refused {
    fn process(&mut self, _: &mut Context<'_, M>, _: Record<M>) -> Result<(), ProcessError> {
        Err(ProcessError::Fatal("windows that cannot be".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_our_century_have_windows_and_those_that_would_overflow_have_none() {
        let outlet = Outlet { emit: Emit::OnClose, late: After::Count };
        let second = 1_000_000_000;
        for ts in [0, 1_700_000_000 * second, 4_102_444_800 * second, -2_000_000_000 * second] {
            assert_eq!(outlet.check_time(Ts(ts)), Ok(()), "{ts}");
        }
        for ts in [i64::MAX, i64::MIN, i64::MAX / 2 + 1] {
            assert!(outlet.check_time(Ts(ts)).is_err(), "{ts}");
        }
    }
}
