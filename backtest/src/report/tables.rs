//! What the tables of a report say, before anything formats it.

use crate::engine::ExitReason;
use crate::metrics::{Conventions, Metric, Unit};
use crate::report::format::{self, Zone};
use crate::run::RunResult;

/// How often trades ended for one reason, and with what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ReasonRow {
    pub(super) reason: ExitReason,
    pub(super) n: usize,
    pub(super) won: usize,
    pub(super) pnl: f64,
}

/// One row per reason that occurred.
pub(super) fn exit_reasons(result: &RunResult) -> Vec<ReasonRow> {
    let row = |reason| {
        let trades = result.trades.iter().filter(|trade| trade.reason == reason);
        trades.fold(ReasonRow { reason, n: 0, won: 0, pnl: 0.0 }, |row, trade| ReasonRow {
            n: row.n + 1,
            won: row.won + usize::from(trade.pnl > 0.0),
            pnl: row.pnl + trade.pnl,
            ..row
        })
    };
    ExitReason::ALL.into_iter().map(row).filter(|row| row.n > 0).collect()
}

/// Rejections by what and cause: `entry: book_invalid`, and how many.
pub(super) fn rejection_counts(result: &RunResult) -> Vec<(String, usize)> {
    let mut counts: std::collections::BTreeMap<String, usize> = Default::default();
    for rejection in &result.rejections {
        *counts.entry(format!("{}: {}", rejection.what, rejection.cause)).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// A measure as people read it, times by the clock of the venue; a dash if it is not defined.
pub fn metric_text(metric: &Metric, conventions: &Conventions) -> String {
    let Some(value) = metric.value else { return "–".to_owned() };
    match metric.unit {
        Unit::Fraction => format::percent(value, 3),
        Unit::Money => format::number(value, 2),
        Unit::Ratio => format::number(value, 3),
        Unit::Count => format::number(value, 0),
        Unit::Ms => format::duration(value),
        Unit::Time => Zone::of(conventions).date_time(value as i64),
    }
}
