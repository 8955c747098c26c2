//! Per-second rows of one symbol → bars, factor columns and spells.

use std::collections::BTreeMap;

use lobstream_market::factor::row::FactorRow;

use crate::dataset::bars::{Basis, Series, Spell, SpellKind};

const SECOND_MS: i64 = 1_000;

/// Rows by (venue, symbol), ordered by label; of one label only the highest `rev`.
pub(super) fn group(rows: Vec<FactorRow>) -> Vec<Vec<FactorRow>> {
    let mut groups: BTreeMap<(String, String), BTreeMap<i64, FactorRow>> = BTreeMap::new();
    for row in rows {
        let group = groups.entry((row.venue.clone(), row.symbol.clone())).or_default();
        match group.get(&row.ts_ms) {
            Some(known) if known.rev > row.rev => {}
            Some(_) | None => {
                group.insert(row.ts_ms, row);
            }
        }
    }
    groups.into_values().map(|group| group.into_values().collect()).collect()
}

/// The series of the rows of one symbol, which are ordered and not empty.
pub(super) fn series(rows: &[FactorRow], step_ms: i64) -> Series {
    let (venue, symbol) = rows.first().map_or(("", ""), |row| (&row.venue, &row.symbol));
    let mut series = Series::empty(venue, symbol, step_ms, Basis::Mid);
    series.spells = spells(rows);
    series.n_rows = rows.len();
    let mut priced_until = i64::MAX;
    for window in rows.chunk_by(|a, b| a.ts_ms.div_euclid(step_ms) == b.ts_ms.div_euclid(step_ms)) {
        push_window(&mut series, window, &mut priced_until);
    }
    series
}

/// The mid of a row that may be traded on.
fn price(row: &FactorRow) -> Option<f64> {
    row.mid.filter(|mid| row.book_valid && mid.is_finite() && *mid > 0.0)
}

/// Adds the bar of one window, if any of its rows has a price.
fn push_window(series: &mut Series, window: &[FactorRow], priced_until: &mut i64) {
    let priced: Vec<(i64, f64)> = window.iter().filter_map(|r| Some((r.ts_ms, price(r)?))).collect();
    let (Some(&(first_ms, open)), Some(&(last_ms, close))) = (priced.first(), priced.last()) else { return };
    let high = priced.iter().fold(open, |high, &(_, px)| high.max(px));
    let low = priced.iter().fold(open, |low, &(_, px)| low.min(px));
    let start_ms = first_ms.div_euclid(series.step_ms) * series.step_ms;
    // Rows that end before their window leave the book at its end unknown.
    let is_known = last_ms + SECOND_MS == start_ms + series.step_ms;
    let bars = &mut series.bars;
    bars.ts_ms.push(start_ms);
    bars.open_ms.push(first_ms + SECOND_MS);
    bars.open.push(open);
    bars.high.push(high);
    bars.low.push(low);
    bars.close.push(close);
    bars.after_spell.push(first_ms > *priced_until);
    bars.book_ok.push(is_known);
    *priced_until = last_ms + SECOND_MS;
    series.detail.push_bar(priced.iter().map(|&(_, px)| px));
    series.factors.push_bar(&window.iter().collect::<Vec<_>>());
}

fn spells(rows: &[FactorRow]) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    let mut add = |from_ms, to_ms, kind| match spells.last_mut() {
        Some(last) if last.kind == kind && last.to_ms == from_ms => last.to_ms = to_ms,
        Some(_) | None => spells.push(Spell { from_ms, to_ms, kind }),
    };
    let mut expected_ms = None;
    for row in rows {
        if let Some(expected_ms) = expected_ms.filter(|&ms| ms < row.ts_ms) {
            add(expected_ms, row.ts_ms, SpellKind::Missing);
        }
        let end_ms = row.ts_ms + SECOND_MS;
        if price(row).is_none() {
            add(row.ts_ms, end_ms, SpellKind::Invalid);
        }
        expected_ms = Some(end_ms);
    }
    spells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::factors::FactorId;
    use crate::dataset::{Dataset, DatasetOptions};

    fn row(second: i64, mid: Option<f64>) -> FactorRow {
        let mut row = crate::dataset::testing::row(second, 0.0);
        row.mid = mid;
        row.book_valid = mid.is_some();
        row.ofi = mid.map(|_| second as f64);
        row.obi_5 = mid.map(|_| second as f64 / 100.0);
        row
    }

    fn one(rows: Vec<FactorRow>, step_ms: i64) -> Series {
        let data = Dataset::from_rows(rows, &DatasetOptions { step_ms }).expect("dataset");
        data.series()[0].as_ref().clone()
    }

    #[test]
    fn invalid_rows_make_no_bar_but_a_spell() {
        let rows =
            vec![row(3, Some(11.0)), row(0, Some(10.0)), row(1, None), row(2, None), row(6, Some(12.0))];
        let series = one(rows, 1_000);
        assert_eq!(series.bars.ts_ms, [0, 3_000, 6_000]);
        assert_eq!(series.bars.after_spell, [false, true, true]);
        let kinds: Vec<_> = series.spells.iter().map(|s| (s.from_ms, s.to_ms, s.kind)).collect();
        assert_eq!(kinds, [(1_000, 3_000, SpellKind::Invalid), (4_000, 6_000, SpellKind::Missing)]);
    }

    #[test]
    fn a_mid_of_an_invalid_book_is_no_price() {
        let mut crossed = row(1, Some(11.0));
        crossed.book_valid = false;
        let series = one(vec![row(0, Some(10.0)), crossed, row(2, Some(12.0))], 1_000);
        assert_eq!(series.bars.close, [10.0, 12.0]);
        assert_eq!(series.spell_seconds(SpellKind::Invalid), 1);
    }

    #[test]
    fn seconds_join_to_bars_by_first_max_min_last_and_flows_by_sum() {
        let rows = (0..7)
            .map(|s| row(s, [Some(5.0), Some(9.0), None, Some(4.0), Some(6.0), Some(7.0), None][s as usize]));
        let series = one(rows.collect(), 5_000);
        let bars = &series.bars;
        assert_eq!(
            (bars.ts_ms[0], bars.open[0], bars.high[0], bars.low[0], bars.close[0]),
            (0, 5.0, 9.0, 4.0, 6.0)
        );
        assert_eq!(bars.book_ok, [true, false]);
        assert_eq!(series.detail.bar(0), [5.0, 9.0, 4.0, 6.0]);
        let at = |name, i| series.factors.at(FactorId::of(name).expect("factor"), i);
        assert_eq!((at("ofi", 0), at("obi_5", 0)), (Some(8.0), Some(0.04)));
        assert_eq!((at("ofi", 1), at("obi_5", 1)), (Some(5.0), None), "the state is that of the last second");
    }

    #[test]
    fn the_highest_revision_of_a_row_counts() {
        let mut newer = row(0, Some(2.0));
        newer.rev = 1;
        let series = one(vec![newer, row(0, Some(1.0))], 1_000);
        assert_eq!((series.bars.close[0], series.bars.len()), (2.0, 1));
    }
}
