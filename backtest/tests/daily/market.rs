//! A small seeded market of stocks that wander, gap, hit their limits, are suspended and pay dividends.

use lobstream_backtest::dataset::{
    Candidate, DailyBar, DailyData, Date, DayFacts, DayFlow, LevelTest, PriceBasis, Stock,
};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n) as i64
    }

    /// −n … n.
    fn around(&mut self, n: i64) -> i64 {
        self.below(2 * n as u64 + 1) - n
    }
}

/// Weekdays from a Monday on.
pub(crate) fn calendar(n: usize) -> Vec<Date> {
    let first: Date = "2023-01-02".parse().expect("a day");
    let all = (20_230_102..20_261_231).filter_map(Date::new);
    all.filter(|date| (date.days() - first.days()) % 7 < 5).take(n).collect()
}

pub(crate) const CODES: [&str; 6] =
    ["000333.SZ", "300750.SZ", "600010.SH", "600519.SH", "688001.SH", "830799.BJ"];

/// Prices in whole ticks inside the limits of 10 %, so that no rule of any board is broken by the data itself.
fn bars(random: &mut Random, days: &[Date]) -> Vec<DailyBar> {
    let mut close = 500 + random.below(3_000);
    let mut bars = Vec::new();
    for &date in days {
        if random.below(25) == 0 {
            continue;
        }
        // A dividend now and then: the reference price is below the last close.
        let pre = if random.below(20) == 0 { close - close / 50 } else { close };
        let (up, down) = ((2 * pre * 110 + 100) / 200, (2 * pre * 90 + 100) / 200);
        let step = |random: &mut Random, from: i64, bp: i64| {
            (from + from * random.around(bp) / 10_000).clamp(down, up)
        };
        let wild = if random.below(8) == 0 { 1_200 } else { 150 };
        let open = step(random, pre, wild);
        let last = if random.below(12) == 0 {
            open
        } else {
            step(random, open, if wild > 1_000 { 700 } else { 300 })
        };
        let (top, bottom) = (open.max(last), open.min(last));
        let reach = if open == last { 0 } else { 200 };
        let (high, low) = (
            (top + top * random.below(reach + 1) / 10_000).min(up),
            (bottom - bottom * random.below(reach + 1) / 10_000).max(down),
        );
        let volume = (random.below(10) > 0).then(|| 50_000 + random.below(5_000_000));
        let e4 = |ticks: i64| ticks * 100;
        let [open, high, low, last, pre] = [open, high, low, last, pre].map(e4);
        bars.push(DailyBar { date, open, high, low, close: last, pre_close: pre, volume, st: false });
        close = last / 100;
    }
    bars
}

fn facts(random: &mut Random, bar: &DailyBar) -> DayFacts {
    let share = |random: &mut Random| random.around(100) as f64 / 100.0;
    let test = LevelTest {
        level_e4: bar.close + bar.close * random.around(200) / 10_000,
        value: 1e6,
        big_net: Some(1e6 * share(random)),
        signed: 1e6 * share(random),
    };
    let flow = DayFlow { big_net_ratio: Some(share(random)), order_flow_imbalance: Some(share(random)) };
    DayFacts {
        price_position: Some(random.around(60) as f64 + 25.0),
        middle_band: Some(bar.close as f64 / 1e4 * (1.0 + (100 + random.below(900)) as f64 / 1e4)),
        flow: (random.below(3) > 0).then_some(flow),
        tests: if random.below(3) == 0 { vec![test] } else { Vec::new() },
        known: None,
    }
}

/// Stocks with these codes over `n` days; each evening every second stock is a candidate.
pub(crate) fn market(seed: u64, n: usize, codes: &[&str]) -> DailyData {
    let days = calendar(n);
    let (mut stocks, mut candidates) = (Vec::new(), Vec::new());
    for (k, code) in codes.iter().enumerate() {
        // Every stock has a stream of its own, so that one more stock changes no other.
        let number: u64 = code.bytes().map(u64::from).sum();
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let bars = bars(&mut random, &days);
        let facts = bars.iter().map(|bar| facts(&mut random, bar)).collect();
        for bar in &bars {
            let next = days.iter().find(|day| **day > bar.date);
            let Some(&valid_for) = next.filter(|_| random.below(2) == 0) else { continue };
            let support_e4 = bar.close - bar.close * random.below(150) / 10_000;
            let resistance_e4 = (random.below(2) == 0).then(|| bar.close + bar.close * 4 / 100);
            let rank = 1 + random.below(9) as u32;
            candidates.push(Candidate {
                known: bar.date,
                valid_for,
                stock: k,
                rank,
                support_e4,
                resistance_e4,
                quality_missing: false,
                support_missing: random.below(2) == 0,
            });
        }
        stocks.push(Stock { code: (*code).to_owned(), bars, facts, ..Stock::default() });
    }
    DailyData::new(PriceBasis::Traded, days, stocks, candidates).expect("data")
}
