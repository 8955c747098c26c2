//! Random calls against a model: per partition the list of values that were committed.

use std::cell::Cell;
use std::collections::BTreeMap;

use lobstream_streams::log::{Consumer, Producer, Tp};
use lobstream_streams::record::Batch;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bed::{Bed, PATIENCE, Rec, read_on, send, start, texts};

#[derive(Clone, Debug)]
enum Call {
    /// Into the open transaction, which begins with the first one.
    Send {
        p: usize,
    },
    Commit,
    Abort,
    /// Another holder of the transactional id: what was open is gone.
    Replace,
    /// Outside transactions, to a partition of its own.
    Plain {
        n: usize,
    },
    Take {
        p: usize,
        max: usize,
    },
    Seek {
        p: usize,
        back: usize,
    },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0..2_usize).prop_map(|p| Call::Send { p }),
        2 => Just(Call::Commit),
        1 => Just(Call::Abort),
        1 => Just(Call::Replace),
        2 => (1..20_usize).prop_map(|n| Call::Plain { n }),
        6 => (0..3_usize, 0..9_usize).prop_map(|(p, max)| Call::Take { p, max }),
        1 => (0..3_usize, 0..9_usize).prop_map(|(p, back)| Call::Seek { p, back }),
    ]
}

pub(crate) fn random_calls_match_the_model(bed: &Bed) {
    let cases = if bed.prompt { 64 } else { 4 };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let case = Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(call(), 1..60), |calls| {
        case.set(case.get() + 1);
        Run::new(bed, &format!("model{}", case.get())).all(&calls);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

struct Run<'a> {
    bed: &'a Bed,
    id: String,
    tps: Vec<Tp>,
    committed: Vec<Vec<String>>,
    /// Index of the next record to take.
    position: Vec<usize>,
    /// Offsets of the taken ones: transactions may leave gaps.
    offsets: BTreeMap<(usize, usize), u64>,
    open: Vec<(usize, String)>,
    sent: usize,
    producer: Box<dyn Producer>,
    plain: Box<dyn Producer>,
    reader: Box<dyn Consumer>,
}

impl<'a> Run<'a> {
    fn new(bed: &'a Bed, id: &str) -> Run<'a> {
        let tps = bed.topic(id, 3);
        let mut reader = bed.reader(None);
        tps.iter().for_each(|tp| start(&mut *reader, tp, 0));
        Run {
            bed,
            id: id.to_owned(),
            tps,
            committed: vec![Vec::new(); 3],
            position: vec![0; 3],
            offsets: BTreeMap::new(),
            open: Vec::new(),
            sent: 0,
            producer: bed.transactional(id),
            plain: bed.plain(),
            reader,
        }
    }

    fn all(mut self, calls: &[Call]) {
        calls.iter().for_each(|call| self.one(call));
        for (p, tp) in self.tps.iter().enumerate() {
            let left = self.committed[p].len() - self.position[p];
            let rest = texts(&read_on(&mut *self.reader, tp, left));
            assert_eq!(rest, self.committed[p][self.position[p]..], "the rest of {tp}");
            assert_eq!(self.bed.values(tp, self.committed[p].len()), self.committed[p], "all of {tp}");
        }
    }

    fn one(&mut self, call: &Call) {
        match *call {
            Call::Send { p } => self.send(p),
            Call::Commit if self.open.is_empty() => {}
            Call::Commit => {
                self.producer.drain(PATIENCE).expect("handed over");
                self.producer.commit().expect("committed");
                self.open.drain(..).for_each(|(p, value)| self.committed[p].push(value));
            }
            Call::Abort if self.open.is_empty() => {}
            Call::Abort => {
                self.producer.abort().expect("aborted");
                self.open.clear();
            }
            Call::Replace => {
                self.producer = self.bed.transactional(&self.id);
                self.open.clear();
            }
            Call::Plain { n } => {
                for _ in 0..n {
                    let value = self.value();
                    send(&mut *self.plain, &self.tps[2], &value);
                    self.committed[2].push(value);
                }
                self.plain.drain(PATIENCE).expect("written");
            }
            Call::Take { p, max } => self.take(p, max),
            Call::Seek { p, back } => {
                let to = self.position[p].saturating_sub(back);
                if let Some(&offset) = self.offsets.get(&(p, to)) {
                    start(&mut *self.reader, &self.tps[p], offset);
                    self.position[p] = to;
                }
            }
        }
    }

    fn value(&mut self) -> String {
        self.sent += 1;
        format!("v{}", self.sent)
    }

    fn send(&mut self, p: usize) {
        if self.open.is_empty() {
            self.producer.begin().expect("begun");
        }
        let value = self.value();
        send(&mut *self.producer, &self.tps[p], &value);
        self.open.push((p, value));
    }

    fn take(&mut self, p: usize, max: usize) {
        let mut batch = Batch::default();
        let taken = self.reader.take(&self.tps[p], max, &mut batch).expect("readable");
        let (from, readable) = (self.position[p], self.committed[p].len());
        let records: Vec<Rec> = batch.iter().map(Rec::from).collect();
        assert_eq!(taken.n, records.len());
        assert!(taken.n <= max && from + taken.n <= readable);
        assert_eq!(texts(&records), self.committed[p][from..from + taken.n]);
        if self.bed.prompt {
            assert_eq!(taken.n, max.min(readable - from), "all that is there");
            assert_eq!(taken.caught_up, from + taken.n == readable);
        }
        for (i, record) in records.iter().enumerate() {
            self.offsets.insert((p, from + i), record.offset);
        }
        self.position[p] += taken.n;
    }
}
