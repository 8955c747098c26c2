//! All that a run decided and did, in order of time, as text that two runs are compared by.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lobstream_market::factor::technical::Bands;

use crate::dataset::Series;
use crate::engine::{Intent, Moment, Trade};
use crate::lookahead::Violation;
use crate::run::RunResult;
use crate::strategy::Strategy;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    ts_ms: i64,
    symbol: String,
    column: &'static str,
    value: String,
}

/// Everything, by time, symbol and column.
pub(super) struct Trace(Vec<Step>);

/// What rules wanted, shared by the rules of all series.
#[derive(Clone, Default)]
pub(super) struct Intents(Rc<RefCell<Vec<Step>>>);

impl Intents {
    pub(super) fn take(&self) -> Vec<Step> {
        self.0.take()
    }
}

/// A rule that notes what it wants.
pub(super) struct Recorder<S> {
    rule: S,
    symbol: String,
    seen: Intents,
}

impl<S> Recorder<S> {
    pub(super) fn new(rule: S, series: &Series, seen: &Intents) -> Recorder<S> {
        Recorder { rule, symbol: series.symbol.clone(), seen: seen.clone() }
    }
}

impl<S: Strategy> Strategy for Recorder<S> {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        let intent = self.rule.on_bar(now);
        let (ts_ms, symbol, value) = (now.now_ms(), self.symbol.clone(), format!("{intent:?}"));
        self.seen.0.borrow_mut().push(Step { ts_ms, symbol, column: "decision", value });
        intent
    }

    fn band(&self) -> Option<Bands> {
        self.rule.band()
    }
}

impl Trace {
    pub(super) fn of(result: &RunResult, intents: Vec<Step>) -> Trace {
        let symbol = |series: usize| result.series[series].symbol.clone();
        // A fill counts at the end of its bar: at the instant of a cut the next bar may have opened already.
        let end = |series: usize, i: usize| result.series[series].known_ms(i);
        let mut steps = intents;
        for trade in &result.trades {
            if trade.is_closed() {
                let value = format!("{} {} at {}", trade.reason.as_str(), trade.qty, trade.exit);
                steps.push(Step {
                    ts_ms: end(trade.series, trade.i1),
                    symbol: symbol(trade.series),
                    column: "exit",
                    value,
                });
            }
        }
        steps.extend(entries(result));
        for r in &result.rejections {
            let value = format!("{} {}", r.what, r.cause);
            steps.push(Step { ts_ms: r.ts_ms + 1, symbol: symbol(r.series), column: "rejection", value });
        }
        for point in &result.equity {
            let (ts_ms, value) = (point.ts_ms, point.equity.to_string());
            steps.push(Step { ts_ms, symbol: String::new(), column: "equity", value });
        }
        // Decisions first: where one of them differs, the rest only follows from it.
        let rank = |column: &str| usize::from(column != "decision");
        steps.sort_by(|a, b| {
            let key = |s: &Step| (s.ts_ms, rank(s.column));
            (key(a), &a.symbol, a.column, &a.value).cmp(&(key(b), &b.symbol, b.column, &b.value))
        });
        Trace(steps)
    }
}

/// Entries. Parts of one position share an entry; their sum is what a shorter run sees as one.
fn entries(result: &RunResult) -> Vec<Step> {
    let mut parts: BTreeMap<(usize, i64), (&Trade, f64)> = BTreeMap::new();
    for trade in &result.trades {
        parts.entry((trade.series, trade.entry_ms)).or_insert((trade, 0.0)).1 += trade.qty;
    }
    let step = |(first, qty): (&Trade, f64)| Step {
        ts_ms: result.series[first.series].known_ms(first.i0),
        symbol: result.series[first.series].symbol.clone(),
        column: "entry",
        value: format!("{} {} {qty} at {}", first.side.as_str(), first.entry_reason, first.entry),
    };
    parts.into_values().map(step).collect()
}

/// The first thing up to the cut that one run did and the other one did not, or did otherwise.
pub(super) fn first_difference(
    check: &'static str,
    all: &Trace,
    other: &Trace,
    cut_ms: i64,
) -> Option<Violation> {
    let until = |trace: &Trace| -> Vec<Step> {
        trace.0.iter().filter(|step| step.ts_ms <= cut_ms).cloned().collect()
    };
    let (all, other) = (until(all), until(other));
    let at = (0..all.len().max(other.len())).find(|i| all.get(*i) != other.get(*i))?;
    let step = all.get(at).or(other.get(at))?;
    let value = |steps: &[Step]| {
        let same = steps
            .get(at)
            .filter(|s| (s.ts_ms, &s.symbol, s.column) == (step.ts_ms, &step.symbol, step.column));
        same.map_or_else(|| "nothing".to_owned(), |step| step.value.clone())
    };
    Some(Violation {
        check,
        symbol: step.symbol.clone(),
        ts_ms: step.ts_ms,
        column: step.column.to_owned(),
        with_all: value(&all),
        without: value(&other),
    })
}
