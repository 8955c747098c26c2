//! The look-ahead check finds what knows the future, and leaves in peace what does not.

use lobstream_backtest::dataset::{Candidate, DailyBar, DailyData, Date, Stock};
use lobstream_backtest::engine::daily::{DailyStrategy, Decision, Held, Part, StockClose};
use lobstream_backtest::engine::{Brackets, ExitReason, Intent, Moment};
use lobstream_backtest::lookahead::{Violation, check, check_daily, check_daily_with, check_with};
use lobstream_backtest::model::Side;
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::strategy::{Bollinger, BollingerMicro, Own, Strategy};
use lobstream_backtest::{Dataset, RunConfig, Series, StrategyConfig};

use crate::market::{CODES, Random, market};

fn data() -> Dataset {
    let mut random = Random(3);
    let mut close = 10_000i64;
    let bars: Vec<[f64; 4]> = (0..800)
        .map(|_| {
            let open = close;
            close = (close + random.below(101) - 50).max(1_000);
            [open, open.max(close) + 10, open.min(close) - 10, close].map(|ticks| ticks as f64 / 100.0)
        })
        .collect();
    let series = Series::from_ohlc("v", "S", 60_000, 0, &bars).expect("series");
    Dataset::from_series(vec![series]).expect("data")
}

fn own() -> RunConfig {
    let own = Own { name: "own", brackets: Brackets::default(), short: false };
    RunConfig { strategy: StrategyConfig::Own(own), ..RunConfig::default() }
}

fn checks(found: &[Violation]) -> Vec<&'static str> {
    found.iter().map(|v| v.check).collect()
}

/// Buys before the price rises: it has read the next close.
struct Leak {
    closes: Vec<f64>,
    i: usize,
}

impl Strategy for Leak {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        self.i += 1;
        let next = self.closes.get(self.i).copied().unwrap_or(0.0);
        let enter = (next > now.close()).then_some(Side::Long);
        Intent { enter, exit_long: next < now.close(), exit_short: false }
    }
}

/// Buys what is cheap by mean and deviation of the whole sample.
struct FullSampleScore {
    mean: f64,
    sd: f64,
}

impl FullSampleScore {
    fn new(series: &Series) -> FullSampleScore {
        let closes = &series.bars.close;
        let n = closes.len() as f64;
        let mean = closes.iter().sum::<f64>() / n;
        let sd = (closes.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        FullSampleScore { mean, sd }
    }
}

impl Strategy for FullSampleScore {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        let z = (now.close() - self.mean) / self.sd;
        Intent { enter: (z < -0.5).then_some(Side::Long), exit_long: z > 0.5, exit_short: false }
    }
}

#[test]
fn the_next_close_is_found_by_both_checks() {
    let leak = |series: &Series| Leak { closes: series.bars.close.clone(), i: 0 };
    let found = check_with(&data(), &own(), leak).expect("run");
    assert_eq!(checks(&found), ["truncation", "shuffle"]);
    let first = &found[1];
    assert_eq!((first.symbol.as_str(), first.column.as_str()), ("S", "decision"));
    assert_eq!(first.ts_ms, 60_000 * 38, "the last bar before the first cut, 800/21");
    assert_ne!(first.with_all, first.without);
}

#[test]
fn a_score_over_the_full_sample_is_found() {
    let found = check_with(&data(), &own(), FullSampleScore::new).expect("run");
    assert_eq!(checks(&found), ["truncation", "shuffle"], "{found:?}");
}

#[test]
fn the_bands_know_nothing_of_the_future() {
    let strategy = StrategyConfig::Bollinger(Bollinger { short: true, ..Bollinger::default() });
    let config = RunConfig { strategy, ..RunConfig::default() };
    assert_eq!(check(&data(), &config).expect("run"), []);
}

fn daily_config() -> RunConfig {
    let strategy = BollingerMicro { entry_tol_bp: 200, ..BollingerMicro::default() };
    RunConfig { strategy: StrategyConfig::BollingerMicro(strategy), ..RunConfig::default() }
}

#[test]
fn bollinger_micro_knows_nothing_of_the_future() {
    let data = market(5, 150, &CODES);
    let rules = AshareRules::built_in();
    assert_eq!(check_daily(&data, &rules, &daily_config()).expect("run"), []);
}

/// `bollinger_micro` that buys only what closes above its open.
struct DailyLeak {
    rule: lobstream_backtest::strategy::bollinger_micro::BollingerMicroRule,
    stocks: Vec<Stock>,
}

impl DailyLeak {
    fn rises(&self, stock: usize, date: Date) -> bool {
        let of = &self.stocks[stock];
        of.index(date).is_some_and(|i| of.bars.get(i + 1).is_some_and(|next| next.close > of.bars[i].close))
    }
}

impl DailyStrategy for DailyLeak {
    fn at_open(&mut self, candidate: &Candidate, open_e4: i64) -> bool {
        self.rises(candidate.stock, candidate.valid_for) && self.rule.at_open(candidate, open_e4)
    }
    fn at_close(&mut self, candidate: &Candidate, bar: &DailyBar) -> bool {
        self.rises(candidate.stock, candidate.valid_for) && self.rule.at_close(candidate, bar)
    }
    fn stop_e4(&self, entry_e4: i64) -> Option<i64> {
        self.rule.stop_e4(entry_e4)
    }
    fn on_close(&mut self, held: &mut Held, _now: &StockClose<'_>) -> Option<Decision> {
        (held.days >= 3).then_some(Decision { reason: ExitReason::Signal, part: Part::All })
    }
    fn tally(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}

#[test]
fn a_daily_strategy_that_reads_tomorrow_is_found() {
    let data = market(5, 400, &CODES);
    let rule = BollingerMicro { entry_tol_bp: 200, ..BollingerMicro::default() };
    let leak = |data: &DailyData| DailyLeak { rule: rule.rule(), stocks: data.stocks.clone() };
    let found = check_daily_with(&data, &AshareRules::built_in(), &daily_config(), leak).expect("run");
    assert!(checks(&found).contains(&"truncation") && checks(&found).contains(&"shuffle"), "{found:?}");
}

#[test]
fn a_row_that_is_known_later_than_it_is_read_is_found() {
    let mut data = market(5, 150, &CODES);
    let last = *data.calendar.last().expect("a day");
    data.stocks.iter_mut().flat_map(|stock| &mut stock.facts).for_each(|facts| facts.known = Some(last));
    let found = check_daily(&data, &AshareRules::built_in(), &daily_config()).expect("run");
    assert_eq!(checks(&found), ["availability"]);
}
