//! The windowed join: two streams whose records meet if they are near in time, whichever comes first.
//!
//! A record on either side counts if it is at most `grace` older than stream time. It waits in the store until
//! no record that counts can meet it any more:
//! a left one until `ts + after + grace + 1`, a right one until `ts + before + grace + 1`.

use std::sync::Arc;
use std::time::Duration;

use crate::record::{CodecError, Key, Record};
use crate::store::window::Window;
use crate::store::{StoreRef, Stored};
use crate::time::Ts;
use crate::topology::MakeProcessor;
use crate::topology::processor::{Context, ProcessError, Processor};
use crate::topology::stream::{Stream, view};
use crate::topology::window::{FARTHEST, LIMIT};
use crate::wire::{Reader, Writer};

/// Which right records a left one meets: those from `before` earlier to `after` later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindow {
    before: Duration,
    after: Duration,
    grace: Duration,
    left: bool,
}

impl JoinWindow {
    /// Only pairs leave. `grace` has no default: it is how old a record may be and still count.
    pub fn inner(before: Duration, after: Duration, grace: Duration) -> JoinWindow {
        JoinWindow { before, after, grace, left: false }
    }

    /// A left record that met none leaves alone, when its window is over.
    pub fn left(before: Duration, after: Duration, grace: Duration) -> JoinWindow {
        JoinWindow { before, after, grace, left: true }
    }

    fn detail(&self) -> String {
        let JoinWindow { before, after, grace, left } = self;
        let kind = if *left { "left" } else { "inner" };
        format!("{kind} join from -{before:?} to +{after:?}, grace {grace:?}")
    }
}

impl<M, V> Stream<M, V>
where
    M: From<V> + 'static,
    V: TryFrom<M> + Stored,
{
    /// Every pair of a record of this stream and one of `right` that have one key and are near in time. A pair
    /// has the later time of the two; a left record alone has the last instant of its window. The stream must
    /// be [`named`](Stream::named): what it keeps is found by that name.
    pub fn join_window<R, W>(
        &self,
        right: &Stream<M, R>,
        window: JoinWindow,
        f: impl Fn(&V, Option<&R>) -> W + Send + Sync + 'static,
    ) -> Stream<M, W>
    where
        M: From<R> + From<W>,
        R: TryFrom<M> + Stored,
    {
        let (store, f, n_left) = (self.store(Window::new("").by_key()), Arc::new(f), self.nodes.len());
        let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let limits = [window.before, window.after, window.grace].map(ns);
        let [before, after, grace] = limits;
        let left = window.left;
        let make: MakeProcessor<M> =
            Arc::new(move || Box::new(Near { before, after, grace, left, n_left, store, f: Arc::clone(&f) }));
        let stream = self.beside(right);
        let joined = stream.stateful("join-window", window.detail(), (store.into(), "waiting"), make);
        self.check_sides(right, &joined);
        if limits.iter().any(|limit| *limit > LIMIT) {
            joined.fault("before, after and grace end at 36 years");
        }
        joined
    }
}

/// What waits at one instant for one key.
#[derive(Clone, Debug)]
struct Waiting<L, R> {
    left: Vec<Left<L>>,
    right: Vec<R>,
}

#[derive(Clone, Debug)]
struct Left<L> {
    value: L,
    /// It has met one.
    met: bool,
}

impl<L, R> Waiting<L, R> {
    fn empty() -> Waiting<L, R> {
        Waiting { left: Vec::new(), right: Vec::new() }
    }
}

/// ```text
/// list{met u8 · len u32 · value} · list{len u32 · value}          big-endian, a list begins with its length u32
/// ```
impl<L: Stored, R: Stored> Stored for Waiting<L, R> {
    fn encode(&self, into: &mut Vec<u8>) {
        let mut w = Writer::default();
        let bytes = |w: &mut Writer, encode: &dyn Fn(&mut Vec<u8>)| {
            let mut value = Vec::new();
            encode(&mut value);
            w.bytes(&value);
        };
        w.list(self.left.iter(), |w, left| {
            w.u8(u8::from(left.met));
            bytes(w, &|into| left.value.encode(into));
        });
        w.list(self.right.iter(), |w, right| bytes(w, &|into| right.encode(into)));
        into.extend_from_slice(&w.0);
    }

    fn decode(bytes: &[u8]) -> Result<Waiting<L, R>, CodecError> {
        let mut r = Reader(bytes);
        let left = r.list(|r| Ok(Left { met: r.u8()? != 0, value: L::decode(r.bytes()?)? }))?;
        let right = r.list(|r| R::decode(r.bytes()?))?;
        r.end()?;
        Ok(Waiting { left, right })
    }
}

/// The operator.
struct Near<L, R, F> {
    before: i64,
    after: i64,
    grace: i64,
    left: bool,
    n_left: usize,
    store: StoreRef<Window<Waiting<L, R>>>,
    f: Arc<F>,
}

impl<L: Stored, R: Stored, F> Near<L, R, F> {
    /// From a left record's time to the instant at which its window is over.
    fn left_due(&self) -> i64 {
        self.after + self.grace + 1
    }

    /// From a right record's time to the instant at which nothing can meet it any more.
    fn right_due(&self) -> i64 {
        self.before + self.grace + 1
    }

    /// Instants at which something of this key waits, within a span.
    fn near<M>(&self, ctx: &mut Context<'_, M>, key: &Key, from: i64, to: i64) -> Vec<Ts> {
        let starts = ctx.window(self.store).starts(key);
        let first = starts.partition_point(|start| start.0 < from);
        starts[first..].iter().take_while(|start| start.0 <= to).copied().collect()
    }

    fn take_left<M, W>(&mut self, ctx: &mut Context<'_, M>, record: Record<L>)
    where
        M: From<W>,
        F: Fn(&L, Option<&R>) -> W,
    {
        let Record { key, value, ts, .. } = record;
        let mut met = false;
        for at in self.near(ctx, &key, ts.0 - self.before, ts.0 + self.after) {
            let waiting = ctx.window(self.store).get(at, &key);
            let pairs: Vec<W> = waiting
                .map(|waiting| waiting.right.iter().map(|right| (self.f)(&value, Some(right))).collect())
                .unwrap_or_default();
            met |= !pairs.is_empty();
            for pair in pairs {
                ctx.forward(Record::new(key.clone(), M::from(pair), ts.max(at)));
            }
        }
        let left = Left { value, met };
        ctx.window(self.store).edit(ts, &key, Waiting::empty, |waiting| waiting.left.push(left));
    }

    fn take_right<M, W>(&mut self, ctx: &mut Context<'_, M>, record: Record<R>)
    where
        M: From<W>,
        F: Fn(&L, Option<&R>) -> W,
    {
        let Record { key, value, ts, .. } = record;
        for at in self.near(ctx, &key, ts.0 - self.after, ts.0 + self.before) {
            let waits = ctx.window(self.store).get(at, &key).is_some_and(|waiting| !waiting.left.is_empty());
            if !waits {
                continue;
            }
            let f = &self.f;
            let pairs: Vec<W> = ctx.window(self.store).edit(at, &key, Waiting::empty, |waiting| {
                let met = waiting.left.iter_mut().map(|left| {
                    left.met = true;
                    f(&left.value, Some(&value))
                });
                met.collect()
            });
            for pair in pairs {
                ctx.forward(Record::new(key.clone(), M::from(pair), ts.max(at)));
            }
        }
        ctx.window(self.store).edit(ts, &key, Waiting::empty, |waiting| waiting.right.push(value));
    }

    /// Lets what waits at one instant go, on one side.
    fn release<M>(&self, ctx: &mut Context<'_, M>, at: Ts, side: impl Fn(&mut Waiting<L, R>)) {
        let store = ctx.window(self.store);
        let keys: Vec<Key> = store.window(at).into_iter().map(|(key, _)| key.clone()).collect();
        for key in keys {
            let empty = store.edit(at, &key, Waiting::empty, |waiting| {
                side(waiting);
                waiting.left.is_empty() && waiting.right.is_empty()
            });
            if empty {
                store.remove(at, &key);
            }
        }
    }
}

impl<M, L, R, W, F> Processor<M> for Near<L, R, F>
where
    M: From<W>,
    L: TryFrom<M> + Stored,
    R: TryFrom<M> + Stored,
    F: Fn(&L, Option<&R>) -> W + Send + Sync,
{
    fn process(&mut self, ctx: &mut Context<'_, M>, record: Record<M>) -> Result<(), ProcessError> {
        if !(-FARTHEST..=FARTHEST).contains(&record.ts.0) {
            return Err(ProcessError::Poison("its time is more than 146 years from 1970".to_owned()));
        }
        let late = record.ts.0 < ctx.time().0.saturating_sub(self.grace);
        let (ts, is_left) = (record.ts.0, ctx.parent() < self.n_left);
        let due = if is_left { self.left_due() } else { self.right_due() };
        match is_left {
            true => {
                let record: Record<L> = view(record)?;
                if !late {
                    self.take_left::<M, W>(ctx, record);
                }
            }
            false => {
                let record: Record<R> = view(record)?;
                if !late {
                    self.take_right::<M, W>(ctx, record);
                }
            }
        }
        if late {
            ctx.count("late_total", 1);
        } else {
            ctx.wake(Ts(ts + due));
        }
        Ok(())
    }

    fn due(&mut self, ctx: &mut Context<'_, M>) -> Option<Ts> {
        let time = ctx.time().0;
        let sides = [self.left_due(), self.right_due()].map(|due| {
            let first = ctx.window(self.store).first_after(Ts(time.saturating_sub(due)));
            first.map(|start| Ts(start.0 + due))
        });
        sides.into_iter().flatten().min()
    }

    fn settle(&mut self, ctx: &mut Context<'_, M>, due: Ts) -> Result<(), ProcessError> {
        let at = Ts(due.0 - self.left_due());
        if self.left {
            let mut alone = Vec::new();
            for (key, waiting) in ctx.window(self.store).window(at) {
                let left = waiting.left.iter().filter(|left| !left.met);
                alone.extend(left.map(|left| (key.clone(), (self.f)(&left.value, None))));
            }
            for (key, value) in alone {
                ctx.forward(Record::new(key, M::from(value), Ts(at.0 + self.after)));
            }
        }
        self.release(ctx, at, |waiting| waiting.left.clear());
        self.release(ctx, Ts(due.0 - self.right_due()), |waiting| waiting.right.clear());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{InWindows, Sample, store_conformance};

    impl Sample for Waiting<u64, Vec<u8>> {
        fn sample(n: u16) -> Self {
            let left = (0..u64::from(n % 3)).map(|value| Left { value, met: n.is_multiple_of(2) });
            Waiting { left: left.collect(), right: vec![Vec::sample(n); usize::from(n % 4)] }
        }
    }

    store_conformance!(join_buffers, InWindows<Waiting<u64, Vec<u8>>, true>);

    #[test]
    fn what_waits_survives_its_bytes() {
        let left = |value: u8, met| Left { value, met };
        let waiting = Waiting { left: vec![left(1, true), left(2, false)], right: vec!["a".to_owned()] };
        let mut bytes = Vec::new();
        waiting.encode(&mut bytes);
        let again = Waiting::<u8, String>::decode(&bytes).expect("understood");
        let flat = |w: &Waiting<u8, String>| {
            (w.left.iter().map(|l| (l.value, l.met)).collect::<Vec<_>>(), w.right.clone())
        };
        assert_eq!(flat(&again), flat(&waiting));
        for cut in 0..bytes.len() {
            assert!(Waiting::<u8, String>::decode(&bytes[..cut]).is_err(), "cut to {cut}");
        }
    }
}
