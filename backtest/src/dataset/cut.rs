//! The same data without its future, or with a false one: what a look-ahead check compares with.

use crate::dataset::{Candidate, DailyBar, DailyData, Dataset, Date, Series, Stock};

/// Seed of every shuffle.
const SEED: u64 = 42;

/// Standard deviation of the logarithm by which shuffled prices are multiplied.
const NOISE: f64 = 0.05;

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// exp(N(0, 0.05)), by Box and Muller.
    fn factor(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (NOISE * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()).exp()
    }

    /// `0..n` in another order (Fisher and Yates).
    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        order
    }
}

impl Dataset {
    /// Only what ends at or before `cut_ms`.
    pub fn until(&self, cut_ms: i64) -> Dataset {
        self.map(|series| {
            let mut cut = series.clone();
            cut.keep(series.bars_until(cut_ms));
            cut.signals.retain(|signal| signal.known_ms <= cut_ms);
            cut
        })
    }

    /// The same up to `cut_ms`; after it bars come in another order, at other prices.
    pub fn shuffled_after(&self, cut_ms: i64) -> Dataset {
        self.map(|series| {
            let mut false_future = series.clone();
            false_future.shuffle(series.bars_until(cut_ms));
            false_future
        })
    }
}

impl Series {
    /// Bars that have ended at an instant.
    pub fn bars_until(&self, cut_ms: i64) -> usize {
        (0..self.bars.len()).take_while(|i| self.known_ms(*i) <= cut_ms).count()
    }

    fn keep(&mut self, n: usize) {
        let bars = &mut self.bars;
        bars.ts_ms.truncate(n);
        bars.open_ms.truncate(n);
        for prices in [&mut bars.open, &mut bars.high, &mut bars.low, &mut bars.close] {
            prices.truncate(n);
        }
        bars.after_spell.truncate(n);
        bars.book_ok.truncate(n);
        bars.no_volume.truncate(n);
        bars.volume.truncate(n);
        bars.pre_close.truncate(n);
        bars.st.truncate(n);
        self.factors.resize(n);
    }

    fn shuffle(&mut self, from: usize) {
        let mut random = Random(SEED);
        let order = random.order(self.bars.len() - from);
        let factors: Vec<f64> = order.iter().map(|_| random.factor()).collect();
        let bars = &mut self.bars;
        for prices in [&mut bars.open, &mut bars.high, &mut bars.low, &mut bars.close] {
            let old = prices[from..].to_vec();
            for ((price, k), factor) in prices[from..].iter_mut().zip(&order).zip(&factors) {
                *price = old[*k] * factor;
            }
        }
        reorder(&mut bars.volume, from, &order);
        reorder(&mut bars.no_volume, from, &order);
        self.factors.reorder(from, &order);
    }
}

/// Columns that are not known are empty.
fn reorder<T: Copy>(column: &mut [T], from: usize, order: &[usize]) {
    if column.is_empty() {
        return;
    }
    let old = column[from..].to_vec();
    column[from..].iter_mut().zip(order).for_each(|(value, k)| *value = old[*k]);
}

impl DailyData {
    /// Only what is known after the close of a day.
    pub fn until(&self, cut: Date) -> DailyData {
        let stock = |stock: &Stock| {
            let n = stock.bars.partition_point(|bar| bar.date <= cut);
            Stock { bars: stock.bars[..n].to_vec(), facts: stock.facts[..n].to_vec(), ..stock.clone() }
        };
        DailyData {
            basis: self.basis,
            calendar: self.calendar.iter().copied().filter(|date| *date <= cut).collect(),
            stocks: self.stocks.iter().map(stock).collect(),
            candidates: self.candidates.iter().copied().filter(|c| c.known <= cut).collect(),
        }
    }

    /// The same up to a day; after it bars and tables come in another order, at other prices.
    pub fn shuffled_after(&self, cut: Date) -> DailyData {
        let mut random = Random(SEED);
        let stocks = self.stocks.iter().map(|stock| shuffled(stock, cut, &mut random)).collect();
        let mut candidates = self.candidates.clone();
        for candidate in candidates.iter_mut().filter(|c| c.known > cut) {
            let factor = random.factor();
            *candidate = Candidate { support_e4: scale(candidate.support_e4, factor), ..*candidate };
        }
        DailyData { basis: self.basis, calendar: self.calendar.clone(), stocks, candidates }
    }
}

fn shuffled(stock: &Stock, cut: Date, random: &mut Random) -> Stock {
    let from = stock.bars.partition_point(|bar| bar.date <= cut);
    let order = random.order(stock.bars.len() - from);
    let mut other = stock.clone();
    for (i, k) in order.iter().enumerate() {
        let (old, factor) = (&stock.bars[from + k], random.factor());
        other.bars[from + i] = DailyBar {
            date: stock.bars[from + i].date,
            open: scale(old.open, factor),
            high: scale(old.high, factor),
            low: scale(old.low, factor),
            close: scale(old.close, factor),
            pre_close: scale(old.pre_close, factor),
            ..*old
        };
        other.facts[from + i] = stock.facts[from + k].clone();
    }
    other
}

fn scale(price_e4: i64, factor: f64) -> i64 {
    ((price_e4 as f64 * factor).round() as i64).max(1)
}
