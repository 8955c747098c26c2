//! What the suite does to a store, drawn at random.

use proptest::prelude::*;

use crate::store::{Failure, KEY_MAX};

/// One of a few places.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) window: usize,
    pub(super) key: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Put { at: At, n: u16, in_place: bool },
    Delete(At),
    Get(At),
    Expire(At),
    Take(At),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Well,
    Badly(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    NotDue,
    Full,
    Writes,
}

#[derive(Clone, Debug)]
pub(super) enum Call {
    Record(Vec<Change>, Ends),
    Commit(Disk),
    /// `lean`: what the checkpoint holds is read when it is asked for.
    Crash {
        lean: bool,
    },
    LoseDisk,
    /// Everything is read.
    Ask,
}

pub(super) fn keys() -> [Vec<u8>; 7] {
    let long = |len| [vec![b'k'; len - 1], vec![0]].concat();
    [b"".to_vec(), b"a".to_vec(), b"ab".to_vec(), b"b".to_vec(), vec![0], vec![0xff; 4], long(KEY_MAX - 1)]
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let at = (0..5_usize, 0..7_usize).prop_map(|(window, key)| At { window, key });
    let change = prop_oneof![
        8 => (at.clone(), any::<u16>(), any::<bool>())
            .prop_map(|(at, n, in_place)| Change::Put { at, n, in_place }),
        3 => at.clone().prop_map(Change::Delete),
        3 => at.clone().prop_map(Change::Get),
        1 => at.clone().prop_map(Change::Expire),
        1 => at.prop_map(Change::Take),
    ];
    let ends = prop_oneof![
        5 => Just(Ends::Well),
        1 => Just(Ends::Badly(Failure::Refused)),
        1 => Just(Ends::Badly(Failure::Panicked)),
    ];
    let disk = prop_oneof![2 => Just(Disk::NotDue), 1 => Just(Disk::Full), 3 => Just(Disk::Writes)];
    prop_oneof![
        8 => (prop::collection::vec(change, 1..6), ends).prop_map(|(changes, ends)| Call::Record(changes, ends)),
        5 => disk.prop_map(Call::Commit),
        2 => any::<bool>().prop_map(|lean| Call::Crash { lean }),
        1 => Just(Call::LoseDisk),
        1 => Just(Call::Ask),
    ]
}
