//! What a window makes of its records, and what it keeps meanwhile.

use std::marker::PhantomData;

use crate::record::{CodecError, Record};
use crate::store::Stored;

/// Records in, one value out.
pub(super) trait Fold<V>: Send + Sync + 'static {
    type State: Stored;
    type Out: 'static;
    fn init(&self) -> Self::State;
    fn add(&self, state: &mut Self::State, record: &Record<V>);
    /// Adds the state of a later session to that of an earlier one.
    fn merge(&self, state: &mut Self::State, later: Self::State);
    fn out(&self, state: Self::State) -> Self::Out;
}

/// How many records.
pub(super) struct Count;

impl<V: 'static> Fold<V> for Count {
    type State = u64;
    type Out = u64;

    fn init(&self) -> u64 {
        0
    }

    fn add(&self, state: &mut u64, _: &Record<V>) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, later: u64) {
        *state += later;
    }

    fn out(&self, state: u64) -> u64 {
        state
    }
}

/// Two values become one.
pub(super) struct Reduce<V, F>(pub(super) F, pub(super) PhantomData<fn() -> V>);

impl<V, F> Fold<V> for Reduce<V, F>
where
    V: Stored,
    F: Fn(&mut V, &V) + Send + Sync + 'static,
{
    /// `None` only until the first record is added.
    type State = Option<V>;
    type Out = V;

    fn init(&self) -> Option<V> {
        None
    }

    fn add(&self, state: &mut Option<V>, record: &Record<V>) {
        match state {
            Some(value) => self.0(value, &record.value),
            None => *state = Some(record.value.clone()),
        }
    }

    fn merge(&self, state: &mut Option<V>, later: Option<V>) {
        match (state, later) {
            (Some(value), Some(later)) => self.0(value, &later),
            (state, later) => *state = state.take().or(later),
        }
    }

    fn out(&self, state: Option<V>) -> V {
        state.expect("a window exists only with a record in it")
    }
}

impl<V: Stored> Stored for Option<V> {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(into);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Option<V>, CodecError> {
        match bytes {
            [0] => Ok(None),
            [1, rest @ ..] => V::decode(rest).map(Some),
            _ => Err(CodecError::new("neither a value nor none")),
        }
    }
}

/// The user's functions.
pub(super) struct Aggregate<I, F, G> {
    pub(super) init: I,
    pub(super) add: F,
    pub(super) merge: G,
}

impl<V, A, I, F, G> Fold<V> for Aggregate<I, F, G>
where
    A: Stored,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&mut A, &Record<V>) + Send + Sync + 'static,
    G: Fn(&mut A, A) + Send + Sync + 'static,
{
    type State = A;
    type Out = A;

    fn init(&self) -> A {
        (self.init)()
    }

    fn add(&self, state: &mut A, record: &Record<V>) {
        (self.add)(state, record);
    }

    fn merge(&self, state: &mut A, later: A) {
        (self.merge)(state, later);
    }

    fn out(&self, state: A) -> A {
        state
    }
}

/// What a store keeps of a window and key: the greatest time of a record in it, how often its result was
/// corrected, the state of the fold.
///
/// ```text
/// last i64 · revision u32 · state                     big-endian
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pane<A> {
    pub(super) last: i64,
    pub(super) revision: u32,
    pub(super) state: A,
}

impl<A: Stored> Stored for Pane<A> {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.last.to_be_bytes());
        into.extend_from_slice(&self.revision.to_be_bytes());
        self.state.encode(into);
    }

    fn decode(bytes: &[u8]) -> Result<Pane<A>, CodecError> {
        let cut = || CodecError::new("a window's value cut short");
        let (last, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let (revision, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        Ok(Pane {
            last: i64::from_be_bytes(*last),
            revision: u32::from_be_bytes(*revision),
            state: A::decode(rest)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{InWindows, Sample, store_conformance};

    impl Sample for Pane<Option<u64>> {
        fn sample(n: u16) -> Self {
            let state = (!n.is_multiple_of(5)).then_some(u64::from(n));
            Pane { last: i64::from(n) - 9, revision: u32::from(n % 3), state }
        }
    }

    store_conformance!(windowed, InWindows<Pane<Option<u64>>, false>);
    store_conformance!(sessions, InWindows<Pane<Option<u64>>, true>);

    #[test]
    fn what_a_store_keeps_survives_its_bytes() {
        let pane = Pane { last: -2, revision: 3, state: Some(7u8) };
        let mut bytes = Vec::new();
        pane.encode(&mut bytes);
        assert_eq!(bytes, [255, 255, 255, 255, 255, 255, 255, 254, 0, 0, 0, 3, 1, 7]);
        assert_eq!(Pane::decode(&bytes), Ok(pane));
        assert!(Pane::<Option<u8>>::decode(&bytes[..11]).is_err());
        assert!(Option::<u8>::decode(&[2, 1]).is_err());
    }

    #[test]
    fn reducing_two_stretches_is_reducing_all() {
        let greatest = Reduce(|a: &mut u64, b: &u64| *a = (*a).max(*b), PhantomData::<fn() -> u64>);
        let record = |n: u64| Record::new("k".into(), n, crate::time::Ts(0));
        let (mut a, mut b) = (greatest.init(), greatest.init());
        greatest.add(&mut a, &record(3));
        greatest.add(&mut b, &record(9));
        greatest.add(&mut b, &record(4));
        greatest.merge(&mut a, b);
        assert_eq!(greatest.out(a), 9);
    }
}
