//! Records that change their key, and what the tasks of the new keys make of them.

use std::collections::BTreeMap;
use std::time::Duration;

use lobstream_streams::log::{Tp, topic};
use lobstream_streams::record::{Header, Record};
use lobstream_streams::store::kv::Kv;
use lobstream_streams::store::{Changelog, StoreRef};
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::repartition::Repartition;
use lobstream_streams::topology::window::Windows;
use lobstream_streams::topology::{Builder, Sink, Source, Topology};

use crate::bed::{Bed, Input, Random};
use crate::words::{Msg, text};

pub(crate) const PARTITIONS: u32 = 3;
const OUT: u32 = 2;
const SIZE: i64 = 100;
const GRACE: i64 = 60;

/// Counts words, whoever said them, per window: the key of the input is the speaker.
pub(crate) fn by_word() -> Topology<Msg> {
    by_word_through(Repartition::new("word", text()))
}

fn by_word_through(through: Repartition<Msg>) -> Topology<Msg> {
    let mut t = Builder::<Msg>::new("app");
    t.beacon_interval(Duration::from_nanos(20));
    let said = t.stream::<String>("said", Source::topic("in", text()));
    let words = said.key_by(through.partitions(OUT), |record: &Record<String>| record.value.as_str().into());
    let windows = Windows::tumbling(Duration::from_nanos(SIZE as u64), Duration::from_nanos(GRACE as u64));
    words.windowed(windows).late_to(text()).count().named("count").to("out", text());
    t.build().expect("valid")
}

/// What speakers say, partition by partition: (ts, speaker, word).
pub(crate) fn speech(seed: u64, from: i64, n: usize) -> Vec<Vec<(i64, String, String)>> {
    let mut random = Random(seed);
    let mut now = from;
    let mut said = vec![Vec::new(); PARTITIONS as usize];
    for _ in 0..n {
        now += random.below(7) as i64;
        let speaker = format!("speaker-{}", random.below(9));
        let word = ["red", "green", "blue", "black", "white"][random.below(5) as usize];
        let p = topic::partition(speaker.as_bytes(), PARTITIONS) as usize;
        said[p].push((now - random.below(30) as i64, speaker, word.to_owned()));
    }
    said
}

pub(crate) fn say(bed: &Bed, said: &[Vec<(i64, String, String)>]) {
    bed.topic("in", PARTITIONS);
    for (p, records) in (0..).zip(said) {
        let records: Vec<(Input<'_>, &[Header<'_>])> = records
            .iter()
            .map(|(ts, speaker, word)| ((*ts, speaker.as_str(), Some(word.as_str())), &[][..]))
            .collect();
        bed.write("in", p, &records);
    }
}

/// Everything that was written, per partition, and the late records.
pub(crate) fn written(bed: &Bed) -> Vec<Vec<(i64, String, String)>> {
    let rows = |topic: &str, p| {
        let rows = bed.read(topic, p);
        rows.iter().map(|row| (row.ts, row.key.clone(), row.text().to_owned())).collect()
    };
    (0..OUT).map(|p| rows("out", p)).chain((0..OUT).map(|p| rows("app-late", p))).collect()
}

/// What must come of it, single-threaded: each partition's time is the greatest so far; a task below sees the
/// records of all partitions in the order of their partition's time, then of the partition.
fn expected(said: &[Vec<(i64, String, String)>]) -> (Vec<(i64, String, u64)>, usize) {
    let mut placed = Vec::new();
    for (p, records) in said.iter().enumerate() {
        let mut eff = i64::MIN;
        for (i, (ts, _, word)) in records.iter().enumerate() {
            eff = eff.max(*ts);
            placed.push((eff, p, i, *ts, word.clone()));
        }
    }
    placed.sort();
    let end = placed.last().expect("records").0;
    let mut counts: BTreeMap<(i64, String), u64> = BTreeMap::new();
    let mut late = 0;
    for (eff, _, _, ts, word) in placed {
        let start = ts.div_euclid(SIZE) * SIZE;
        match start + SIZE + GRACE <= eff {
            true => late += 1,
            false => *counts.entry((start, word)).or_default() += 1,
        }
    }
    let over = counts.into_iter().filter(|((start, _), _)| start + SIZE + GRACE <= end);
    (over.map(|((start, word), n)| (start, word, n)).collect(), late)
}

fn counted(written: &[Vec<(i64, String, String)>]) -> Vec<(i64, String, u64)> {
    let parse = |(_, key, text): &(i64, String, String)| {
        let fields: Vec<&str> = text.split(' ').collect();
        (fields[0].parse().expect("a start"), key.clone(), fields[2].parse().expect("a count"))
    };
    let mut counted: Vec<_> = written.iter().take(OUT as usize).flatten().map(parse).collect();
    counted.sort();
    counted
}

#[test]
fn windows_under_new_keys_count_every_partition_whatever_the_batches_and_threads() {
    let said = speech(3, 0, 1_500);
    let (expected, late) = expected(&said);
    assert!(expected.len() > 100 && late == 0, "the disorder of a partition is within the grace: {late}");
    let mut first = None;
    for (batch, threads) in [(1, 1), (7, 2), (1_000, 4), (256, 1)] {
        let bed = Bed::memory();
        say(&bed, &said);
        let mut settings = bed.settings();
        (settings.take_max, settings.n_threads) = (batch, threads);
        bed.run_with(by_word(), settings).expect("a run");
        let written = written(&bed);
        // Time below ends where the last partition's does: what is over by then differs in nothing else.
        assert_eq!(counted(&written), expected, "batch {batch} threads {threads}");
        assert_eq!(*first.get_or_insert(written.clone()), written, "batch {batch} threads {threads}");
    }
}

#[test]
fn a_run_in_parts_writes_what_a_run_in_one_does() {
    let (one, two) = (speech(4, 0, 700), speech(5, 3_000, 700));
    for bed in [Bed::memory(), Bed::new()] {
        say(&bed, &one);
        bed.run(by_word());
        let nothing = bed.run(by_word());
        assert_eq!((nothing.records_in, nothing.records_out), (0, 0));
        say(&bed, &two);
        bed.run(by_word());
        let both: Vec<Vec<_>> = one.iter().zip(&two).map(|(one, two)| [&one[..], two].concat()).collect();
        assert_eq!(counted(&written(&bed)), expected(&both).0);
    }
}

#[test]
fn time_below_goes_on_where_a_partition_has_only_beacons() {
    let bed = Bed::memory();
    bed.topic("in", PARTITIONS);
    let p = topic::partition(b"speaker", PARTITIONS);
    let record: Input<'_> = (5, "speaker", Some("red"));
    bed.write("in", p, &[(record, &[])]);
    (0..PARTITIONS).for_each(|p| bed.beacon("in", p, 170, true));
    bed.run(by_word());
    let out = topic::partition(b"red", OUT) as usize;
    assert_eq!(written(&bed)[out], [(99, "red".to_owned(), "0 100 1".to_owned())], "over at 160");
}

#[test]
fn what_is_written_under_a_new_key_says_whose_it_is() {
    let bed = Bed::memory();
    let said = speech(6, 0, 60);
    say(&bed, &said);
    bed.run(by_word());
    let mut next: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    let mut n = 0;
    for p in 0..OUT {
        for row in bed.read("app-word-repartition", p) {
            let origin = row.number("origin").expect("an origin");
            let number = row.number("oseq").expect("a number");
            let next = next.entry((p, origin)).or_default();
            assert!(number >= *next, "numbers of a writer rise: {number} after {next}");
            *next = number + 1;
            assert_eq!(topic::partition(row.key.as_bytes(), OUT), p);
            n += 1;
        }
    }
    assert_eq!(n, 60);
}

/// Where the topic of the new keys begins, all partitions together.
fn first_kept(bed: &Bed) -> u64 {
    let name = topic::repartition("app", "word");
    let first = |p| bed.log.range(&Tp::new(&name, p)).expect("known").first.0;
    (0..OUT).map(first).sum()
}

type Rows = Vec<Vec<(i64, String, String)>>;

fn results(bed: &Bed) -> Rows {
    let row = |row: &crate::bed::Row| (row.ts, row.key.clone(), row.text().to_owned());
    (0..OUT).map(|p| bed.read("out", p).iter().map(row).collect()).collect()
}

/// Says one part after the other, with a run after each; before the last one the disk is lost, if there is one.
fn in_parts(bed: &Bed, topology: impl Fn() -> Topology<Msg>) -> (Rows, Vec<u64>) {
    let mut kept_from = Vec::new();
    for part in 0..4 {
        say(bed, &speech(7 + part as u64, part * 2_000, 400));
        let mut settings = bed.settings();
        (settings.commit_records_max, settings.take_max) = (90, 40);
        settings.checkpoint_interval = Some(Duration::from_millis(2));
        settings.purge_interval = Duration::ZERO;
        if part == 3 && settings.state_dir.exists() {
            std::fs::remove_dir_all(&settings.state_dir).expect("removed");
        }
        bed.run_with(topology(), settings).expect("a run");
        kept_from.push(first_kept(bed));
    }
    (results(bed), kept_from)
}

#[test]
fn records_that_were_read_for_good_leave_the_topic_of_the_new_keys_and_no_result_changes() {
    for bed in [Bed::memory, Bed::new] {
        let (expected, kept) = in_parts(&bed(), by_word);
        assert_eq!(kept, [0; 4], "a topic stays unless it is to be purged");
        assert!(expected.iter().map(Vec::len).sum::<usize>() > 100);
        let purged = || by_word_through(Repartition::new("word", text()).purged());
        let (found, kept) = in_parts(&bed(), purged);
        assert_eq!(found, expected);
        assert!(kept[0] > 0 && kept.is_sorted_by(|a, b| a < b), "{kept:?}");
    }
}

/// Counts words, for ever.
struct Tally(StoreRef<Kv>);

impl Processor<Msg> for Tally {
    fn process(&mut self, ctx: &mut Context<'_, Msg>, r: Record<Msg>) -> Result<(), ProcessError> {
        let store = ctx.kv(self.0);
        let n = store.get(&r.key).map_or(1, |n| n.len() + 1);
        store.put(&r.key, &vec![1; n]);
        ctx.forward(Record { value: Msg::Word(n.to_string()), ..r });
        Ok(())
    }
}

/// Whoever loses such a task's disk reads the topic from its beginning.
#[test]
fn a_topic_that_a_recovery_may_need_is_not_purged() {
    let topology = |changelog| {
        let mut t = Builder::<Msg>::new("app");
        t.beacon_interval(Duration::from_nanos(20));
        let said = t.stream::<String>("said", Source::topic("in", text()));
        let through = Repartition::new("word", text()).partitions(OUT).purged();
        let words = said.key_by(through, |record: &Record<String>| record.value.as_str().into());
        let store = t.store(Kv::new("tally").changelog(changelog));
        let tally = t.processor("tally", [words.node()], [store], move || Tally(store));
        t.sink("out", [tally], Sink::topic("out", text()));
        t.build().expect("valid")
    };
    let (found, kept) = in_parts(&Bed::memory(), || topology(Changelog::Off));
    assert_eq!(kept, [0; 4]);
    let (same, purged) = in_parts(&Bed::memory(), || topology(Changelog::On));
    assert_eq!(found, same);
    assert!(purged[0] > 0, "{purged:?}");
}
