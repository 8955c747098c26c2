//! Bars of one symbol as columns, with what may not be traded marked on them.

use crate::dataset::Stock;
use crate::dataset::factors::Factors;
use crate::error::Error;

/// Bars whose mean volume caps an order.
const CAP_BARS: usize = 20;

/// What the prices of a bar are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Mids of per-second rows: a fill pays slippage on top of them.
    Mid,
    /// Prices that traded: slippage never leaves the bar's range.
    Traded,
}

/// Why there was no book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpellKind {
    /// Rows that say the book may not be used.
    Invalid,
    /// No rows at all.
    Missing,
}

/// A time without a usable book: [`from_ms`, `to_ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Its first ms.
    pub from_ms: i64,
    /// The first ms after it.
    pub to_ms: i64,
    /// Why.
    pub kind: SpellKind,
}

/// Bars as columns of equal length, label = window start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Window start, ms.
    pub ts_ms: Vec<i64>,
    /// When the open was the price: the window start of traded bars, the end of the first second of mid bars.
    pub open_ms: Vec<i64>,
    /// First price.
    pub open: Vec<f64>,
    /// Highest price.
    pub high: Vec<f64>,
    /// Lowest price.
    pub low: Vec<f64>,
    /// Last price.
    pub close: Vec<f64>,
    /// A spell lies between the price before and the open.
    pub after_spell: Vec<bool>,
    /// The book may be used at the window end.
    pub book_ok: Vec<bool>,
    /// Nothing was traded: the bar marks, but fills nothing. Empty where volumes are not known.
    pub no_volume: Vec<bool>,
    /// What was traded, base units: of A shares, shares. Empty where volumes are not known.
    pub volume: Vec<Option<f64>>,
    /// Of daily bars of A shares: what the exchange reckons the limits of the day from. Empty where not known.
    pub pre_close: Vec<Option<f64>>,
    /// Of A shares: under special treatment on the day. Empty where not known.
    pub st: Vec<bool>,
}

impl Bars {
    /// How many.
    pub fn len(&self) -> usize {
        self.ts_ms.len()
    }

    /// May orders fill in bar `i`?
    pub fn fills(&self, i: usize) -> bool {
        !self.no_volume.get(i).copied().unwrap_or(false)
    }

    /// A share of the mean volume of the 20 bars before bar `i`, whole units; `None` if none of them has a volume.
    pub(crate) fn volume_cap(&self, i: usize, share: f64) -> Option<i64> {
        let before = self.volume.get(i.saturating_sub(CAP_BARS)..i)?;
        let known = before.iter().flatten();
        let (n, sum) = known.fold((0, 0.0), |(n, sum), volume| (n + 1, sum + volume));
        (n > 0).then(|| (share * sum / f64::from(n)) as i64)
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.ts_ms.is_empty()
    }
}

/// The prices inside each bar, in time order: what decides which of two levels was reached first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    start: Vec<usize>,
    px: Vec<f64>,
}

impl Detail {
    /// Adds the prices of the next bar.
    pub fn push_bar(&mut self, px: impl IntoIterator<Item = f64>) {
        self.start.push(self.px.len());
        self.px.extend(px);
    }

    /// Nothing finer than bars is known.
    pub fn is_empty(&self) -> bool {
        self.px.is_empty()
    }

    /// The prices of bar `i`; empty if nothing finer than the bar is known.
    pub fn bar(&self, i: usize) -> &[f64] {
        let Some(&from) = self.start.get(i) else { return &[] };
        let to = self.start.get(i + 1).copied().unwrap_or(self.px.len());
        &self.px[from..to]
    }
}

/// What a stored signal says, and when it may first be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSignal {
    /// The first instant at which it may be used, ms.
    pub known_ms: i64,
    /// Which rule said it.
    pub rule_id: String,
    /// 1 opens a long, −1 a short, 0 closes.
    pub dir: i8,
}

/// A bar of one's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnBar {
    /// Window start, ms.
    pub ts_ms: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// What was traded: with 0 the bar marks, but fills nothing. `None` if it is not known.
    pub volume: Option<f64>,
    /// Of daily bars of A shares: the reference price of the exchange. `None` if it is not known.
    pub pre_close: Option<f64>,
    /// Of A shares: under special treatment on the day.
    pub st: bool,
}

/// The most frequent distance between two bars; row and reason if there is none.
fn step_of(bars: &[OwnBar]) -> Result<i64, (usize, &'static str)> {
    let steps: Vec<i64> = bars.windows(2).map(|pair| pair[1].ts_ms - pair[0].ts_ms).collect();
    if let Some(row) = steps.iter().position(|step| *step <= 0) {
        return Err((row + 1, "times do not ascend"));
    }
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let often = sorted.chunk_by(|a, b| a == b).rev().max_by_key(|same| same.len());
    let Some(&[step, ..]) = often else { return Err((0, "two bars at least are needed to tell the step")) };
    match steps.iter().position(|other| *other < step) {
        Some(row) => Err((row + 1, "bars of another step are mixed in")),
        None => Ok(step),
    }
}

/// Everything about one symbol.
#[derive(Clone, Debug)]
pub struct Series {
    /// Venue id.
    pub venue: String,
    /// Symbol.
    pub symbol: String,
    /// Length of a bar, ms.
    pub step_ms: i64,
    /// From a bar's label to the instant at which all of it is known, ms: the step, or the close of a session.
    pub known_after_ms: i64,
    /// What its prices are.
    pub basis: Basis,
    /// Its bars; windows without a usable price have none.
    pub bars: Bars,
    /// Finer prices.
    pub detail: Detail,
    /// Factor columns, one value per bar.
    pub factors: Factors,
    /// Signals by the time at which they were known.
    pub signals: Vec<StoredSignal>,
    /// When there was no book.
    pub spells: Vec<Spell>,
    /// Per-second rows behind the bars.
    pub n_rows: usize,
    /// Bars whose range did not contain their open or close and was widened.
    pub ohlc_repaired: usize,
}

impl Series {
    /// Consecutive bars `[open, high, low, close]` of traded prices, without factors.
    ///
    /// # Errors
    /// A step that does not divide a day; a price that is not finite and positive.
    pub fn from_ohlc(
        venue: &str,
        symbol: &str,
        step_ms: i64,
        start_ms: i64,
        ohlc: &[[f64; 4]],
    ) -> Result<Series, Error> {
        super::check_step(step_ms)?;
        let mut series = Series::empty(venue, symbol, step_ms, Basis::Traded);
        let mut ts_ms = start_ms;
        for (row, bar) in ohlc.iter().enumerate() {
            if !bar.iter().all(|px| px.is_finite() && *px > 0.0) {
                let what = "a price is not a positive number";
                return Err(Error::BadData { symbol: symbol.to_owned(), row, what });
            }
            series.push_ohlc(ts_ms, *bar);
            ts_ms += step_ms;
        }
        series.factors.resize(series.bars.len());
        Ok(series)
    }

    /// Bars of one's own, of any step: as given, or the most frequent distance of two, which none may undercut.
    ///
    /// # Errors
    /// Times that do not ascend, a price that is not a positive number, steps that are mixed, a single bar.
    pub fn from_own_bars(
        venue: &str,
        symbol: &str,
        step_ms: Option<i64>,
        bars: &[OwnBar],
    ) -> Result<Series, Error> {
        let bad = |row, what| Error::BadData { symbol: symbol.to_owned(), row, what };
        let told = step_ms.map_or_else(|| step_of(bars), Ok);
        let step_ms = told.map_err(|(row, what)| bad(row, what))?;
        let mut series = Series::empty(venue, symbol, step_ms, Basis::Traded);
        for (row, bar) in bars.iter().enumerate() {
            let ohlc = [bar.open, bar.high, bar.low, bar.close];
            if !ohlc.iter().all(|px| px.is_finite() && *px > 0.0) {
                return Err(bad(row, "a price is not a positive number"));
            }
            series.push_ohlc(bar.ts_ms, ohlc);
            series.bars.no_volume.push(bar.volume.is_some_and(|volume| volume <= 0.0));
            series.bars.volume.push(bar.volume);
            series.bars.pre_close.push(bar.pre_close);
            series.bars.st.push(bar.st);
        }
        series.n_rows = bars.len();
        series.factors.resize(series.bars.len());
        Ok(series)
    }

    /// The daily bars of a stock, labelled by midnight in Shanghai: open at 09:30, known at 15:00.
    pub fn from_daily(stock: &Stock) -> Series {
        let mut series = Series::empty("ashare", &stock.code, 86_400_000, Basis::Traded);
        let price = |e4: i64| e4 as f64 / 1e4;
        for bar in &stock.bars {
            let ohlc = [bar.open, bar.high, bar.low, bar.close].map(price);
            series.push_ohlc(bar.date.midnight_ms(), ohlc);
            if let Some(open_ms) = series.bars.open_ms.last_mut() {
                *open_ms = bar.date.open_ms();
            }
        }
        series.known_after_ms = 15 * 3_600_000;
        series.factors.resize(series.bars.len());
        series
    }

    /// Bars of traded prices with times of their own, ascending, each `(window start ms, [open, high, low, close])`.
    ///
    /// # Errors
    /// A step that does not divide a day; a bar that is not after the one before; a price that is not positive.
    pub fn from_bars(
        venue: &str,
        symbol: &str,
        step_ms: i64,
        bars: &[(i64, [f64; 4])],
    ) -> Result<Series, Error> {
        let ohlc: Vec<[f64; 4]> = bars.iter().map(|bar| bar.1).collect();
        let mut series = Series::from_ohlc(venue, symbol, step_ms, 0, &ohlc)?;
        if let Some(row) = (1..bars.len()).find(|&i| bars[i].0 <= bars[i - 1].0) {
            let what = "its time is not after that of the row before";
            return Err(Error::BadData { symbol: symbol.to_owned(), row, what });
        }
        series.bars.ts_ms = bars.iter().map(|bar| bar.0).collect();
        series.bars.open_ms.clone_from(&series.bars.ts_ms);
        series.n_rows = bars.len();
        Ok(series)
    }

    pub(super) fn empty(venue: &str, symbol: &str, step_ms: i64, basis: Basis) -> Series {
        Series {
            venue: venue.to_owned(),
            symbol: symbol.to_owned(),
            step_ms,
            known_after_ms: step_ms,
            basis,
            bars: Bars::default(),
            detail: Detail::default(),
            factors: Factors::default(),
            signals: Vec::new(),
            spells: Vec::new(),
            n_rows: 0,
            ohlc_repaired: 0,
        }
    }

    /// A price of bar `i` stands between ticks of 0.01: of A shares such prices are adjusted for corporate actions.
    pub(crate) fn is_between_ticks(&self, i: usize) -> bool {
        let Bars { open, high, low, close, .. } = &self.bars;
        [open, high, low, close].iter().any(|px| (px[i] * 100.0 - (px[i] * 100.0).round()).abs() > 1e-6)
    }

    fn push_ohlc(&mut self, ts_ms: i64, [open, high, low, close]: [f64; 4]) {
        let (top, bottom) = (high.max(open).max(close), low.min(open).min(close));
        self.ohlc_repaired += usize::from(top != high || bottom != low);
        let bars = &mut self.bars;
        bars.ts_ms.push(ts_ms);
        bars.open_ms.push(ts_ms);
        bars.open.push(open);
        bars.high.push(top);
        bars.low.push(bottom);
        bars.close.push(close);
        bars.after_spell.push(false);
        bars.book_ok.push(true);
    }

    /// When what bar `i` says is known: its window end, or the close of its session, ms.
    pub fn known_ms(&self, i: usize) -> i64 {
        self.bars.ts_ms[i] + self.known_after_ms
    }

    /// First and last instant of bars and spells; `None` if there are neither.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let bars = &self.bars.ts_ms;
        let from = [bars.first().copied(), self.spells.first().map(|s| s.from_ms)];
        let to = [bars.last().map(|ts| ts + self.step_ms), self.spells.last().map(|s| s.to_ms)];
        Some((from.into_iter().flatten().min()?, to.into_iter().flatten().max()?))
    }

    /// Seconds without a usable book, by kind.
    pub fn spell_seconds(&self, kind: SpellKind) -> i64 {
        self.spells.iter().filter(|s| s.kind == kind).map(|s| (s.to_ms - s.from_ms) / 1_000).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_does_not_hold_its_own_close_is_widened_and_counted() {
        let bars = [[10.0, 11.0, 9.0, 10.5], [10.0, 10.2, 9.9, 10.4]];
        let series = Series::from_ohlc("v", "S", 60_000, 0, &bars).expect("series");
        assert_eq!((series.bars.high[1], series.ohlc_repaired), (10.4, 1));
        assert_eq!(series.known_ms(1), 120_000);
    }

    #[test]
    fn a_price_that_is_no_number_is_refused_with_its_row() {
        let error = Series::from_ohlc("v", "S", 1_000, 0, &[[1.0; 4], [1.0, f64::NAN, 1.0, 1.0]]);
        assert!(matches!(error, Err(Error::BadData { row: 1, .. })), "{error:?}");
    }
}
