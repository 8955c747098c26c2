//! Where the marks of an axis stand and what they say.

use crate::report::format;

/// Marks of a value axis: at most `n`, at round numbers inside [lo, hi].
pub(super) fn value_marks(lo: f64, hi: f64, n: usize) -> Vec<f64> {
    let step = round_step((hi - lo) / n.max(1) as f64);
    if !(step > 0.0 && step.is_finite()) {
        return Vec::new();
    }
    let (first, last) = ((lo / step).ceil(), (hi / step).floor());
    if last < first || last - first > 1_000.0 {
        return Vec::new();
    }
    (0..=(last - first) as i64).map(|i| (first + i as f64) * step).collect()
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is not below `least`.
pub(super) fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let fits = [1.0, 2.0, 2.5, 5.0].into_iter().map(|m| m * power).find(|step| *step >= least * (1.0 - 1e-9));
    fits.unwrap_or(10.0 * power)
}

/// How many decimals tell neighbouring marks apart.
pub(super) fn mark_decimals(marks: &[f64]) -> usize {
    let steps = marks.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let Some(step) = steps.reduce(f64::min).or(marks.first().copied()) else { return 0 };
    let is_whole = |d: &usize| {
        let scaled = step * 10f64.powi(*d as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    };
    if step == 0.0 { 0 } else { (0..=DECIMALS_MAX).find(is_whole).unwrap_or(DECIMALS_MAX) }
}

/// Beyond so many decimals a text says nothing that a float still knows.
const DECIMALS_MAX: usize = 15;
/// More decimals do not fit beside an axis.
const DECIMALS_SHOWN: usize = 7;

/// The texts of marks: with as many decimals as tell them apart, or with a power of ten in common.
pub(super) fn mark_texts(marks: &[f64]) -> Vec<String> {
    let decimals = mark_decimals(marks);
    if decimals <= DECIMALS_SHOWN {
        return marks.iter().map(|mark| format::number(*mark, decimals)).collect();
    }
    let greatest = marks.iter().fold(0.0f64, |greatest, mark| greatest.max(mark.abs()));
    let power = greatest.log10().floor() as i32;
    let decimals = (decimals as i32 + power).max(0) as usize;
    let text = |mark: &f64| {
        format!("{}e{}", format::number(mark * 10f64.powi(-power), decimals), format::number(power.into(), 0))
    };
    marks.iter().map(text).collect()
}

/// A mark of the time axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimeMark {
    /// Where, ms.
    pub(super) ms: i64,
    /// The time of the day, or the date if marks are whole days.
    pub(super) text: String,
    /// The date, at the first mark and where a new day begins.
    pub(super) date: Option<String>,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const STEPS: [i64; 24] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
];

/// Marks of the time axis, times of one clock: at most `n`, at whole seconds, minutes, hours or days.
pub(super) fn time_marks(from_ms: i64, to_ms: i64, n: usize) -> Vec<TimeMark> {
    let span = (to_ms - from_ms).max(1);
    let enough = |step: &i64| span / step < n.max(1) as i64;
    let step = STEPS.into_iter().find(enough).unwrap_or(span / n.max(1) as i64 / DAY * DAY + DAY);
    let first = from_ms.div_euclid(step) * step + if from_ms.rem_euclid(step) == 0 { 0 } else { step };
    let mut day = None;
    let mut marks = Vec::new();
    let mut ms = first;
    while ms <= to_ms {
        let date = format::date(ms);
        let text = if step % DAY == 0 { date.clone() } else { format::clock(ms, step < MINUTE) };
        let is_new = step % DAY != 0 && day.as_ref() != Some(&date);
        marks.push(TimeMark { ms, text, date: is_new.then(|| date.clone()) });
        day = Some(date);
        ms += step;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_round_numbers() {
        assert_eq!(value_marks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(value_marks(61_730.3, 61_748.9, 4), [61_735.0, 61_740.0, 61_745.0]);
        assert_eq!(mark_decimals(&value_marks(0.0, 0.3, 4)), 1);
        assert_eq!(mark_decimals(&[2.5, 5.0]), 1);
        assert_eq!((mark_decimals(&[0.0]), mark_decimals(&[2e-7, 4e-7])), (0, 7));
        assert!(value_marks(1.0, 1.0, 5).is_empty() && value_marks(f64::NAN, 1.0, 5).is_empty());
    }

    /// Prices of coins that cost a millionth: every mark of an axis says another number.
    #[test]
    fn marks_of_small_prices_can_be_told_apart() {
        assert_eq!(mark_texts(&[6.42e-6, 6.44e-6, 6.46e-6]), ["6.42e−6", "6.44e−6", "6.46e−6"]);
        assert_eq!(mark_texts(&[6e-6, 6.5e-6]), ["0.0000060", "0.0000065"]);
        for power in -12..9 {
            let lo = 6.4 * 10f64.powi(power);
            for span in [0.001, 0.02, 0.5] {
                let texts = mark_texts(&value_marks(lo, lo * (1.0 + span), 8));
                let distinct: std::collections::BTreeSet<&String> = texts.iter().collect();
                assert!(texts.len() >= 2 && distinct.len() == texts.len(), "{texts:?}");
                assert!(texts.iter().all(|text| text.chars().count() <= 13), "{texts:?}");
            }
        }
    }

    #[test]
    fn times_stand_at_round_times_and_name_each_day_once() {
        let marks = time_marks(1_723_075_170_000, 1_723_075_340_000, 8);
        let texts: Vec<&str> = marks.iter().map(|mark| mark.text.as_str()).collect();
        assert_eq!(texts, ["23:59:30", "00:00:00", "00:00:30", "00:01:00", "00:01:30", "00:02:00"]);
        let dates: Vec<_> = marks.iter().filter_map(|mark| mark.date.as_deref()).collect();
        assert_eq!(dates, ["2024-08-07", "2024-08-08"]);
        assert!(time_marks(0, 40 * 365 * DAY, 10).len() <= 11);
        assert_eq!(time_marks(5, 5, 10).len(), 0);
    }
}
