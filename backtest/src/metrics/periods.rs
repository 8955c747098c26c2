//! Returns of months and years.

use crate::metrics::returns::Step;

/// The return of a calendar month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonthReturn {
    /// Gregorian year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// Last equity of the month over that of the month before, less 1; the first is over the start capital.
    pub value: f64,
}

/// The return of a calendar year, likewise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YearReturn {
    /// Gregorian year.
    pub year: i64,
    /// Its return.
    pub value: f64,
}

/// Returns of all months that have steps, from a start capital.
pub fn monthly(start: f64, steps: &[Step]) -> Vec<MonthReturn> {
    let rows = by(start, steps, |(year, month, ..)| (year, month));
    rows.into_iter().map(|((year, month), value)| MonthReturn { year, month, value }).collect()
}

/// Returns of all years that have steps.
pub fn yearly(start: f64, steps: &[Step]) -> Vec<YearReturn> {
    let rows = by(start, steps, |(year, ..)| year);
    rows.into_iter().map(|(year, value)| YearReturn { year, value }).collect()
}

fn by<K: PartialEq>(start: f64, steps: &[Step], key: impl Fn((i64, i64, i64, i64)) -> K) -> Vec<(K, f64)> {
    let mut rows: Vec<(K, f64)> = Vec::new();
    let mut before = start;
    for group in steps.chunk_by(|a, b| key(civil(a.local_ms)) == key(civil(b.local_ms))) {
        let (first, last) = (group[0], group[group.len() - 1]);
        rows.push((key(civil(first.local_ms)), last.equity / before - 1.0));
        before = last.equity;
    }
    rows
}

/// `(year, month, day, ms of the day)` of a time, Gregorian.
pub(crate) fn civil(ms: i64) -> (i64, i64, i64, i64) {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn months_and_years_chain_to_the_total() {
        let steps: Vec<Step> = (0..800)
            .map(|i| Step { local_ms: (19_700 + i) * DAY_MS, equity: 100.0 + (i as f64 * 0.37).sin() * 9.0 })
            .collect();
        let (months, years) = (monthly(95.0, &steps), yearly(95.0, &steps));
        assert_eq!((months[0].year, months[0].month), (2023, 12));
        assert_eq!(years.iter().map(|y| y.year).collect::<Vec<_>>(), [2023, 2024, 2025, 2026]);
        let total = steps[799].equity / 95.0;
        for product in [
            months.iter().map(|m| 1.0 + m.value).product::<f64>(),
            years.iter().map(|y| 1.0 + y.value).product(),
        ] {
            assert!((product - total).abs() < 1e-12, "{product} {total}");
        }
    }
}
