//! The order of channels, quiet ones, shared partitions, and lifts that a second run repeats.

use super::*;
use crate::beacon::Beacon;
use crate::log::TopicName;
use crate::record::{Header, header};

fn merge() -> Merge {
    let tp = |name| Tp::new(&TopicName::new(name), 0);
    let channels = vec![Channel::new(tp("a"), 0, 0, Offset(0)), Channel::new(tp("b"), 1, 1, Offset(0))];
    Merge::new(channels, None)
}

/// Fetches records (offset, ts); a negative offset is a bye.
fn fetch(merge: &mut Merge, i: usize, records: &[(i64, i64)]) {
    let fetched = merge.refill::<SharedInput>(i, |_, batch| {
        for (offset, ts) in records {
            let beacon = Beacon { origin: 0, bound: Ts(*ts), bye: true };
            let (key, value) = (beacon.key(), beacon.value());
            let (key, value) = if *offset < 0 { (&key[..], &value[..]) } else { (&b"k"[..], &b"v"[..]) };
            let pos = Offset(offset.unsigned_abs());
            batch.push(pos, Ts(*ts), 0, Some(key), Some(value), std::iter::empty());
        }
        Ok(true)
    });
    fetched.expect("fetched");
}

/// Processes all it can: (channel, time).
fn drain(merge: &mut Merge) -> Vec<(usize, i64)> {
    let mut done = Vec::new();
    while let Pick::Record(i) | Pick::Beacon(i) = merge.pick() {
        done.push((i, merge.head_key(i).expect("picked").ts.0));
        merge.advance(i);
    }
    done
}

#[test]
fn a_channel_that_left_is_not_waited_for_once_it_is_known_to_be_at_its_end() {
    let mut m = merge();
    fetch(&mut m, 0, &[(0, 10), (-1, 12)]);
    fetch(&mut m, 1, &[(0, 11), (1, 50)]);
    assert_eq!(drain(&mut m), [(0, 10), (1, 11), (0, 12), (1, 50)]);
    assert_eq!(m.pick(), Pick::Wait(1), "the other one is");
    m.forget_fetched(0);
    fetch(&mut m, 1, &[(2, 60)]);
    assert_eq!(m.pick(), Pick::Wait(0), "more of it may be there");
    fetch(&mut m, 0, &[]);
    assert_eq!(drain(&mut m), [(1, 60)]);
}

#[test]
fn what_comes_after_its_time_is_lifted_and_a_second_run_lifts_it_to_the_same_place() {
    let mut first = merge();
    fetch(&mut first, 0, &[(-1, 12)]);
    fetch(&mut first, 1, &[(0, 11), (1, 50)]);
    assert_eq!(drain(&mut first), [(1, 11), (0, 12), (1, 50)]);
    fetch(&mut first, 0, &[(2, 20), (3, 70)]);
    assert_eq!(first.take_lifted(), [], "nothing is decided before it is processed");
    fetch(&mut first, 1, &[(2, 51), (3, 90)]);
    assert_eq!(drain(&mut first), [(0, 51), (1, 51), (0, 70)]);
    let lifted = first.take_lifted();
    assert_eq!(lifted, [VirtualBeacon { channel: 0, pos: Offset(2), ts: Ts(51) }]);

    let mut second = merge();
    second.follow(lifted);
    fetch(&mut second, 0, &[(-1, 12), (2, 20), (3, 70)]);
    fetch(&mut second, 1, &[(0, 11), (1, 50), (2, 51), (3, 90)]);
    assert_eq!(drain(&mut second), [(1, 11), (0, 12), (1, 50), (0, 51), (1, 51), (0, 70)]);
    assert_eq!(second.take_lifted(), [], "it was no decision of this run");
}

#[test]
fn a_limit_ends_a_channel_early() {
    let mut m = merge();
    m.set_limit(0, Some(Offset(1)));
    m.set_limit(1, Some(Offset(0)));
    fetch(&mut m, 0, &[(0, 10), (1, 11)]);
    assert_eq!(drain(&mut m), [(0, 10)]);
    assert_eq!((m.pick(), m.channel(0).is_hungry()), (Pick::End, false));
    m.set_limit(0, Some(Offset(2)));
    assert_eq!(drain(&mut m), [(0, 11)]);
}

#[test]
fn what_was_processed_before_is_skipped_when_it_is_delivered_again() {
    let mut m = merge();
    m.set_progress(0, Progress { eff: None, next: Offset(5), left: false });
    fetch(&mut m, 1, &[(-1, 1)]);
    fetch(&mut m, 0, &[(3, 10), (4, 11), (7, 12)]);
    assert_eq!(drain(&mut m), [(1, 1), (0, 12)]);
    assert_eq!(m.channel(0).progress().next, Offset(8));
}

/// One partition with three writers.
fn shared() -> Merge {
    let tp = Tp::new(&TopicName::new("shared"), 0);
    let mut merge = Merge::new(Vec::new(), None);
    merge.share(&tp, 3, || Channel::new(tp.clone(), 0, 0, Offset(0)));
    merge
}

/// Fetches records (offset, origin, oseq, ts) of the shared partition; negative oseq: a bye of that number.
fn fetch_shared(merge: &mut Merge, records: &[(u64, u16, i64, i64)]) -> Result<usize, SharedInput> {
    merge.refill::<SharedInput>(0, |_, batch| {
        for (offset, origin, oseq, ts) in records {
            let beacon = Beacon { origin: *origin, bound: Ts(*ts), bye: true };
            let (key, value) = (beacon.key(), beacon.value());
            let (key, value) = if *oseq < 0 { (&key[..], &value[..]) } else { (&b"k"[..], &b"v"[..]) };
            let (origin, oseq) = (origin.to_be_bytes(), oseq.unsigned_abs().to_be_bytes());
            let headers = [
                Header { name: header::ORIGIN, value: &origin },
                Header { name: header::OSEQ, value: &oseq },
            ];
            batch.push(Offset(*offset), Ts(*ts), 0, Some(key), Some(value), headers.into_iter());
        }
        Ok(true)
    })
}

fn inputs(merge: &Merge) -> Vec<u64> {
    merge.inputs().iter().map(|(_, offset)| offset.0).collect()
}

#[test]
fn writers_of_one_partition_are_put_in_order_however_they_lie_there() {
    let mut m = shared();
    fetch_shared(&mut m, &[(0, 0, 0, 30), (1, 0, 1, 40), (2, 1, 0, 10)]).expect("fetched");
    assert_eq!(m.pick(), Pick::Wait(2), "nothing is known of the third");
    assert_eq!(inputs(&m), [0]);
    fetch_shared(&mut m, &[(3, 2, 0, 20), (4, 1, 1, 35), (5, 2, 1, 50)]).expect("fetched");
    assert_eq!(drain(&mut m), [(1, 10), (2, 20), (0, 30), (1, 35)]);
    assert_eq!((m.pick(), inputs(&m)), (Pick::Wait(1), vec![1]), "what waits is read again after a restart");
    fetch_shared(&mut m, &[(6, 1, -2, 60)]).expect("fetched");
    assert_eq!(drain(&mut m), [(0, 40)]);
    assert_eq!((m.pick(), inputs(&m)), (Pick::Wait(0), vec![5]), "now for the first");
}

#[test]
fn what_was_processed_is_dropped_when_a_shared_partition_is_read_again() {
    let mut m = shared();
    let all = [(0, 0, 0, 30), (1, 1, 0, 10), (2, 2, 0, 20), (3, 1, 1, 90), (4, 2, -1, 95)];
    fetch_shared(&mut m, &all).expect("fetched");
    assert_eq!(drain(&mut m), [(1, 10), (2, 20), (0, 30)]);
    let progress: Vec<Progress> = m.channels().iter().map(|channel| channel.progress().clone()).collect();
    let (last, fetched) = (m.last(), m.fetched());
    assert_eq!(fetched.iter().map(|(_, offset)| offset.0).collect::<Vec<_>>(), [3]);

    let mut again = shared();
    (0..3).for_each(|i| again.set_progress(i, progress[i].clone()));
    again.set_last(last);
    assert!(again.move_to(&fetched[0].0, Offset(0)), "farther back than need be");
    assert_eq!(fetch_shared(&mut again, &all), Ok(2));
    fetch_shared(&mut again, &[(5, 0, 0, 30), (6, 0, 1, 100)]).expect("a writer that repeats itself");
    assert_eq!((drain(&mut again), again.pick()), (vec![(1, 90)], Pick::Wait(1)));
}

#[test]
fn a_record_that_does_not_say_whose_it_is_stops_the_input() {
    let wrong = fetch_shared(&mut shared(), &[(7, 3, 0, 1)]).expect_err("an origin too many");
    assert_eq!(wrong.0, "shared-0 offset 7: origin 3, but the source declares origins(3)");
    let bare = shared().refill::<SharedInput>(0, |_, batch| {
        batch.push(Offset(9), Ts(1), 0, Some(b"k"), Some(b"v"), std::iter::empty());
        Ok(true)
    });
    assert_eq!(bare, Err(SharedInput("shared-0 offset 9: no origin and oseq".to_owned())));
}

#[test]
fn a_busy_writer_is_packed_while_it_waits_for_a_slow_one() {
    let mut m = shared();
    fetch_shared(&mut m, &[(0, 1, 0, 0), (1, 2, 0, 0)]).expect("fetched");
    let (mut offset, mut done) = (2, 0);
    for round in 0..40 {
        let number = |i: u64| (round * 100 + i) as i64;
        let busy: Vec<_> = (0..100).map(|i| (offset + i, 0, number(i), number(i))).collect();
        offset += 100;
        let (n, bound) = (round as i64 + 1, (round as i64 + 1) * 90);
        let slow = [(offset, 1, n, bound), (offset + 1, 2, n, bound)];
        offset += 2;
        fetch_shared(&mut m, &[&busy[..], &slow].concat()).expect("fetched");
        done += drain(&mut m).len();
    }
    assert!(m.channel(0).at < 1_200, "taken records are let go: {}", m.channel(0).at);
    let waiting: usize = m.channels().iter().map(|channel| channel.batch.len() - channel.at).sum();
    assert_eq!(done + waiting, 2 + 4_000 + 80, "each was processed or waits");
}

#[test]
fn a_quiet_channel_that_is_passed_over_is_lifted_and_a_second_run_finds_the_same_order() {
    let mut first = merge();
    fetch(&mut first, 1, &[(0, 11), (1, 50)]);
    assert_eq!(first.pick(), Pick::Wait(0));
    assert!(first.skip(0));
    assert_eq!(drain(&mut first), [(1, 11)]);
    assert!(first.skip(0), "and once more");
    assert_eq!(drain(&mut first), [(1, 50)]);
    fetch(&mut first, 0, &[(0, 20), (1, 70)]);
    fetch(&mut first, 1, &[(2, 80)]);
    assert_eq!(drain(&mut first), [(0, 51), (0, 70)]);
    let lifted = first.take_lifted();
    let at = |ts| VirtualBeacon { channel: 0, pos: Offset(0), ts: Ts(ts) };
    assert_eq!(lifted, [at(12), at(51)], "just above what waited, for the other channel has the lower rank");

    let mut second = merge();
    second.follow(lifted);
    fetch(&mut second, 0, &[(0, 20), (1, 70)]);
    fetch(&mut second, 1, &[(0, 11), (1, 50), (2, 80)]);
    assert_eq!(drain(&mut second), [(1, 11), (1, 50), (0, 51), (0, 70)]);
    assert_eq!(second.channel(0).progress(), first.channel(0).progress());
    assert_eq!(second.take_lifted(), []);
}
