//! Limits of a view: rows, bytes, time, readers, and the epoch a page is good for.

use super::*;
use crate::digest::{Chain, StateDigest};
use crate::lmdb::{Env, EnvOptions};
use crate::record::Offset;
use crate::time::Mono;
use crate::wire::Writer;

const TASK: TaskId = TaskId { sub: 0, partition: 7 };

/// A clock that each look moves on.
#[derive(Default)]
struct Stepping {
    now: Mutex<Duration>,
    step: Mutex<Duration>,
}

impl Clock for Stepping {
    fn mono(&self) -> Mono {
        let mut now = self.now.lock().expect("unpoisoned");
        *now += *self.step.lock().expect("unpoisoned");
        Mono(*now)
    }
}

struct Bed {
    checkpoints: Checkpoints,
    clock: Arc<Stepping>,
    view: View,
    _opened: Opened,
    _dir: tempfile::TempDir,
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().expect("a directory");
    let env = Env::open(dir.path(), &EnvOptions::default()).expect("an environment");
    let (checkpoints, clock) = (Checkpoints::new(env, "app"), Arc::<Stepping>::default());
    let view = View::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let opened = view.open(TASK, checkpoints.clone());
    Bed { checkpoints, clock, view, _opened: opened, _dir: dir }
}

impl Bed {
    /// Writes a checkpoint of an epoch with these entries.
    fn write(&self, epoch: u64, entries: &[(&[u8], &[u8])]) {
        let mut position = Writer::default();
        position.u64(1);
        position.option(Some(epoch as i64 * 10), |w, ts| w.i64(ts));
        let head = Checkpoint {
            epoch,
            topology: Chain::default(),
            decisions: Offset(0),
            digest: StateDigest::default(),
            changelogs: Vec::new(),
            position: position.0,
        };
        let place = |key: &[u8], partition: u32| [&partition.to_be_bytes()[..], key].concat();
        let mut writes = vec![self.checkpoints.head(TASK, &head)];
        for (key, value) in entries {
            // The neighbours' entries are never seen.
            for p in [6, 7, 8] {
                writes.push(("app/s:n".to_owned(), place(key, p), Some([*value, &[p as u8]].concat())));
            }
        }
        let last =
            self.checkpoints.load(TASK).expect("readable").map_or(0, |head| head.expect("understood").epoch);
        assert!(self.checkpoints.write(TASK, last, &writes).expect("written"), "nobody else writes");
    }
}

#[test]
fn answers_are_as_of_the_last_checkpoint() {
    let bed = bed();
    let none = Err(ViewError::NoCheckpoint { task: TASK, store: "n".to_owned() });
    assert_eq!(bed.view.get(TASK, "n", b"a"), none);
    bed.write(3, &[(b"a", b"1")]);
    let seen = |value: Option<&[u8]>, epoch: u64| {
        Ok(Seen { epoch, stream_time: Some(Ts(epoch as i64 * 10)), value: value.map(<[u8]>::to_vec) })
    };
    assert_eq!(bed.view.get(TASK, "n", b"a"), seen(Some(b"1\x07"), 3));
    assert_eq!(bed.view.get(TASK, "n", b"b"), seen(None, 3));
    bed.write(4, &[(b"a", b"2")]);
    assert_eq!(bed.view.get(TASK, "n", b"a"), seen(Some(b"2\x07"), 4));
    let stranger = TaskId { sub: 1, partition: 7 };
    assert_eq!(bed.view.get(stranger, "n", b"a"), Err(ViewError::NotHere { task: stranger }));
    assert!(matches!(bed.view.get(TASK, "other", b"a"), Err(ViewError::NoCheckpoint { .. })));
}

#[test]
fn pages_hold_what_fits_and_go_on_until_the_epoch_moves() {
    let bed = bed();
    let keys: Vec<[u8; 2]> = (0..2_500_u16).map(u16::to_be_bytes).collect();
    let entries: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &b"v"[..])).collect();
    bed.write(1, &entries);
    let (mut token, mut found, mut sizes): (Option<PageToken>, Vec<Vec<u8>>, Vec<usize>) = Default::default();
    loop {
        let page = bed.view.page(TASK, "n", token.as_ref(), usize::MAX).expect("a page").value;
        sizes.push(page.rows.len());
        found.extend(page.rows.into_iter().map(|(key, _)| key));
        token = page.next.map(|token| token.to_string().parse().expect("its own text"));
        if token.is_none() {
            break;
        }
    }
    assert_eq!((sizes, found.len()), (vec![1_000, 1_000, 500], 2_500));
    assert!(found.is_sorted() && found.iter().map(Vec::as_slice).eq(entries.iter().map(|(key, _)| *key)));
    let page = bed.view.page(TASK, "n", None, 10).expect("a page").value;
    assert_eq!(page.rows.len(), 10);
    bed.write(2, &[]);
    let moved = bed.view.page(TASK, "n", page.next.as_ref(), 10);
    assert_eq!(moved, Err(ViewError::EpochMoved { asked: 1, now: 2 }));
}

#[test]
fn a_page_is_bounded_in_bytes_and_in_time() {
    let bed = bed();
    let large = vec![1; 700_000];
    bed.write(1, &[(b"a", &large), (b"b", &large), (b"c", b"small")]);
    let page = bed.view.page(TASK, "n", None, 100).expect("a page").value;
    assert_eq!(page.rows.len(), 1, "two are more than a page holds");
    let rest = bed.view.page(TASK, "n", page.next.as_ref(), 100).expect("a page").value;
    assert_eq!((rest.rows.len(), rest.next), (2, None));
    let keys: Vec<[u8; 1]> = (0..=200).map(|key| [key]).collect();
    bed.write(2, &keys.iter().map(|key| (&key[..], &b"v"[..])).collect::<Vec<_>>());
    *bed.clock.step.lock().expect("unpoisoned") = Duration::from_millis(20);
    let page = bed.view.page(TASK, "n", None, 1_000).expect("a page").value;
    assert_eq!(page.rows.len(), 96, "the third look is 60 ms after the beginning");
    assert!(page.next.is_some());
}

#[test]
fn a_seventeenth_reader_is_turned_away() {
    let bed = bed();
    bed.write(1, &[(b"a", b"1")]);
    let turns: Vec<_> = (0..READERS_MAX).map(|_| bed.view.turn().expect("room")).collect();
    assert_eq!(bed.view.get(TASK, "n", b"a"), Err(ViewError::Busy));
    assert!(matches!(bed.view.clone().page(TASK, "n", None, 1), Err(ViewError::Busy)), "clones share");
    drop(turns);
    assert!(bed.view.get(TASK, "n", b"a").is_ok(), "refused ones took no place");
}

#[test]
fn a_task_that_goes_away_frees_its_environment() {
    let Bed { checkpoints, view, _opened, _dir, .. } = bed();
    assert_eq!(view.tasks_here(), [TASK]);
    drop((_opened, checkpoints));
    assert_eq!(view.get(TASK, "n", b"a"), Err(ViewError::NotHere { task: TASK }));
    Env::open(_dir.path(), &EnvOptions::default()).expect("nobody holds it");
}

#[test]
fn odd_tokens_are_refused() {
    for text in ["", "1", "x-00", "1-0", "1-zz", "-00"] {
        assert_eq!(text.parse::<PageToken>(), Err(ViewError::BadToken(text.to_owned())));
    }
    assert_eq!("12-00ff".parse(), Ok(PageToken { epoch: 12, after: vec![0, 255] }));
}

/// Fault test F20, short: queries while the store is written, one client stuck. A reader that held its
/// transaction meanwhile would let the file grow by the 9 MB that are written; one that is on its way when the
/// machine is busy holds some commits, which is what the entries that never change leave room for.
#[test]
fn queries_and_a_stuck_client_do_not_make_the_file_grow() {
    let bed = bed();
    let keys: Vec<[u8; 1]> = (0..50).map(|key| [key]).collect();
    let value = vec![5; 12_000];
    let entries: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &value[..])).collect();
    let idle: Vec<[u8; 3]> = (0..1_000_u16).map(|n| [255, (n >> 8) as u8, n as u8]).collect();
    let idle: Vec<(&[u8], &[u8])> = idle.iter().map(|key| (&key[..], &value[..])).collect();
    let size = || std::fs::metadata(bed._dir.path().join("lobstream.lmdb")).expect("a file").len();
    bed.write(1, &[&entries[..], &idle[..]].concat());
    let dirty = |epoch: u64| &entries[epoch as usize % 49..][..2];
    (2..40).for_each(|epoch| bed.write(epoch, dirty(epoch)));
    let before = size();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (asked, stuck) = std::thread::scope(|scope| {
        let ask = || {
            let mut n = 0;
            while !stop.load(Ordering::Acquire) {
                let key = [n as u8 % 50];
                assert!(bed.view.get(TASK, "n", &key).expect("an answer").value.is_some());
                let page = bed.view.page(TASK, "n", None, 50).expect("a page");
                assert_eq!(page.value.rows.len(), 50);
                n += 2;
                std::thread::sleep(Duration::from_millis(1));
            }
            n
        };
        let asking = scope.spawn(ask);
        let stuck = scope.spawn(|| {
            let first = bed.view.page(TASK, "n", None, 1).expect("a page").value;
            while !stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(10));
            }
            bed.view.page(TASK, "n", first.next.as_ref(), 1)
        });
        (40..400).for_each(|epoch| bed.write(epoch, dirty(epoch)));
        stop.store(true, Ordering::Release);
        (asking.join().expect("no panic"), stuck.join().expect("no panic"))
    });
    assert!(asked > 20, "{asked} queries");
    assert!(matches!(stuck, Err(ViewError::EpochMoved { now: 399, .. })), "{stuck:?}");
    assert!(size() < before * 11 / 10, "the file grew from {before} to {}", size());
}
