//! Do fund quality and level scores tell anything? Returns that came after, by fifths of the score.

use std::collections::BTreeMap;

use lobstream_market::calendar::Day;
use lobstream_market::daily::quality::FundQualityRow;
use lobstream_market::daily::reaction::LevelTestRow;

use super::history::History;
use super::store::Store;
use crate::error::Error;

/// Trading days ahead of which returns are taken.
pub const HORIZONS: [usize; 3] = [1, 5, 10];
/// Groups of a score.
const GROUPS: usize = 5;

/// Returns of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Returns.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their median.
    pub median: f64,
    /// Share of them above 0.
    pub positive: f64,
}

impl Group {
    /// Of at least one return; `None` without any.
    fn of(mut returns: Vec<f64>) -> Option<Group> {
        returns.sort_by(f64::total_cmp);
        let n = returns.len();
        let (low, high) = (returns.get(n.checked_sub(1)? / 2)?, returns.get(n / 2)?);
        Some(Group {
            n,
            mean: returns.iter().sum::<f64>() / n as f64,
            median: (low + high) / 2.0,
            positive: returns.iter().filter(|r| **r > 0.0).count() as f64 / n as f64,
        })
    }
}

/// What a score told, group by group, the lowest scores first.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Score and horizon.
    pub what: String,
    /// Its groups; empty without a score.
    pub groups: Vec<Group>,
}

/// Studies the days from `from` to `to`.
///
/// # Errors
/// The store cannot be read.
pub fn study(store: &Store, history: &History, from: Day, to: Day) -> Result<Vec<Told>, Error> {
    let mut ahead: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    let mut tests = Vec::new();
    for day in history.calendar.between(from, to) {
        for row in store.day::<FundQualityRow>(*day)?.into_values().flatten() {
            let Some(score) = row.fund_quality_score else { continue };
            for horizon in HORIZONS {
                if let Some(later) = later_return(history, &row, horizon) {
                    ahead.entry(horizon).or_default().push((score, later));
                }
            }
        }
        for row in store.day::<LevelTestRow>(*day)?.into_values().flatten() {
            tests.extend(row.score_live().zip(row.future_return_1d));
        }
    }
    let mut told: Vec<Told> = HORIZONS
        .iter()
        .map(|h| Told {
            what: format!("fund_quality_score, next {h} day{}", if *h == 1 { "" } else { "s" }),
            groups: groups(ahead.remove(h).unwrap_or_default()),
        })
        .collect();
    told.push(Told { what: "live level score, next day".to_owned(), groups: groups(tests) });
    Ok(told)
}

/// Close to close over so many trading days of the calendar; `None` if the stock does not trade on that day.
fn later_return(history: &History, row: &FundQualityRow, horizon: usize) -> Option<f64> {
    let mut day = row.window_end;
    for _ in 0..horizon {
        day = history.calendar.after(day)?;
    }
    let stock = history.stocks.get(&row.ts_code)?;
    let (now, then) = (stock.on(row.window_end)?, stock.on(day)?);
    Some(then.close * then.factor_to(now) / now.close - 1.0)
}

/// Fifths of the pairs (score, return) by score.
fn groups(mut pairs: Vec<(f64, f64)>) -> Vec<Group> {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = pairs.len();
    let fifth = |g: usize| pairs[g * n / GROUPS..(g + 1) * n / GROUPS].iter().map(|p| p.1).collect();
    (0..GROUPS).filter_map(|g| Group::of(fifth(g))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifths_are_by_score_and_nearly_of_one_size() {
        let pairs: Vec<(f64, f64)> = (0..11).map(|i| (f64::from(10 - i), f64::from(i) - 5.0)).collect();
        let found = groups(pairs);
        assert_eq!(found.iter().map(|g| g.n).collect::<Vec<_>>(), [2, 2, 2, 2, 3]);
        assert_eq!((found[0].mean, found[4].mean), (4.5, -4.0));
        // Scores 4 and 5 have returns 1 and 0.
        assert_eq!((found[4].median, found[2].positive), (-4.0, 0.5));
        assert!(groups(Vec::new()).is_empty());
    }
}
