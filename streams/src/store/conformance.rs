//! One suite that every kind of store passes, against a plain map: random calls through failed records, commits,
//! checkpoints that are written or not, crashes, lost disks; and one for the places where checkpoints are kept.
//!
//! ```text
//! Subject   how a kind is reached                    Kv · Window · Window by key · Hot (kinds.rs), sessions, joins
//!   ├ call.rs    what is done to a store
//!   ├ run.rs     the run, and what must hold         loaded whole or leaning on its checkpoint
//!   └ refusal    keys that no checkpoint can hold
//! kept.rs   where checkpoints lie                    LMDB, the disk of a simulation
//! ```

mod call;
pub(crate) mod kept;
mod kinds;
mod run;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::{Failure, KEY_MAX, Store, StoreSpec, Stored};
use crate::time::Ts;

pub(crate) use kinds::InWindows;
pub(crate) use run::random_calls_match_the_model;

/// What a store must hold: places to values, both as the bytes that a checkpoint has.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A kind of store as the suite reaches it. A *place* is the key of an entry as a checkpoint has it.
pub(crate) trait Subject {
    /// What a processor changes.
    type Store: Store + 'static;
    /// Are the changes of a refused record undone? Of typed objects only those of a panic are, by forgetting them.
    const UNDOES: bool;

    fn spec() -> StoreSpec;
    /// A place, in one of a few windows for kinds that have them.
    fn place(window: usize, key: &[u8]) -> Vec<u8>;
    /// The start of the window of a place.
    fn start(_place: &[u8]) -> Option<Ts> {
        None
    }
    /// One of many values.
    fn value(n: u16) -> Vec<u8>;
    fn put(store: &mut Self::Store, place: &[u8], value: &[u8], in_place: bool);
    fn delete(store: &mut Self::Store, place: &[u8]);
    fn get(store: &mut Self::Store, place: &[u8]) -> Option<Vec<u8>>;
    /// Everything, in the order in which it comes.
    fn all(store: &mut Self::Store) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// Removes every window that begins earlier.
    fn expire(_store: &mut Self::Store, _before: Ts) {}
    /// Removes one window and tells what was in it.
    fn take(_store: &mut Self::Store, _start: Ts) -> Vec<(Vec<u8>, Vec<u8>)> {
        Vec::new()
    }
    /// Whatever else this kind can be asked.
    fn ask(store: &mut Self::Store, model: &Model);
}

/// Makes values of a type, for the suite.
pub(crate) trait Sample: Stored {
    fn sample(n: u16) -> Self;
}

impl Sample for u64 {
    fn sample(n: u16) -> u64 {
        u64::from(n)
    }
}

/// None at all, a few bytes, and now and then more than a page of LMDB.
impl Sample for Vec<u8> {
    fn sample(n: u16) -> Vec<u8> {
        let len = if n.is_multiple_of(23) { 70_000 } else { usize::from(n % 40) };
        vec![n as u8; if n.is_multiple_of(7) { 0 } else { len }]
    }
}

/// A key that is too long is refused before anything changes, and the longest possible one is kept.
pub(crate) fn keys_that_no_checkpoint_can_hold_are_refused<S: Subject>() {
    let mut store = (S::spec().make)();
    let store: &mut S::Store = store.as_any_mut().downcast_mut().expect("the kind that was declared");
    let (longest, longer) = ([7; KEY_MAX], [7; KEY_MAX + 1]);
    S::put(store, &S::place(0, &longest), &S::value(1), false);
    let before = S::all(store);
    store.begin();
    let refused = catch_unwind(AssertUnwindSafe(|| {
        S::put(store, &S::place(0, &longer), &S::value(2), false);
    }));
    assert!(refused.is_err(), "LMDB could not hold it");
    store.undo(Failure::Panicked);
    assert_eq!(S::all(store), before);
    assert_eq!(before.len(), 1);
}

/// The suite, for one kind.
macro_rules! store_conformance {
    ($name:ident, $subject:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn random_calls_match_the_model() {
                $crate::store::conformance::random_calls_match_the_model::<$subject>();
            }

            #[test]
            fn keys_that_no_checkpoint_can_hold_are_refused() {
                $crate::store::conformance::keys_that_no_checkpoint_can_hold_are_refused::<$subject>();
            }
        }
    };
}

pub(crate) use store_conformance;

mod tests {
    use super::*;
    use crate::store::conformance::kinds::{OfHot, OfKv};

    store_conformance!(kv, OfKv);
    store_conformance!(hot, OfHot);
    store_conformance!(window, InWindows<Vec<u8>, false>);
    store_conformance!(window_by_key, InWindows<u64, true>);
}
