//! Bars of A shares on the bar engine: limits, ticks and slippage together.

use lobstream_backtest::dataset::OwnBar;
use lobstream_backtest::engine::ashare::{AshareAccount, TICK, day_limits};
use lobstream_backtest::engine::daily::PortfolioConfig;
use lobstream_backtest::engine::{Brackets, ExitReason, Fill, Intent, Outcome, Rules, drive_within};
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::Side;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::strategy::{Own, Strategy};
use lobstream_backtest::{Accounting, Dataset, RunConfig, Series, StrategyConfig, run};

const DAY_MS: i64 = 86_400_000;
const CODE: &str = "600000.SH";

/// Midnight of 2023-06-05 in Shanghai.
const START_MS: i64 = 1_685_894_400_000;

/// Bars of one stock, bought at the close of bar `enter` and sold by a signal at the close of bar `exit`.
struct Case<'a> {
    bars: &'a [[f64; 4]],
    /// Bars of a day.
    per_day: i64,
    enter: usize,
    exit: Option<usize>,
    brackets: Brackets,
    fill: Fill,
    slippage: Slippage,
}

impl Case<'_> {
    fn play(&self) -> Outcome {
        // Whole hours from midnight on, so that a day has as many bars as the case says.
        let bars: Vec<(i64, [f64; 4])> = (0..)
            .zip(self.bars)
            .map(|(i, bar)| (START_MS + i / self.per_day * DAY_MS + i % self.per_day * 3_600_000, *bar))
            .collect();
        let step_ms = if self.per_day == 1 { DAY_MS } else { 3_600_000 };
        let series = Series::from_bars("ashare", CODE, step_ms, &bars).expect("series");
        let rules = AshareRules::built_in();
        let limits = [day_limits(&series, &rules).expect("covered")];
        let data = Dataset::from_series(vec![series]).expect("dataset");
        let one = PortfolioConfig { max_positions: 1, ..PortfolioConfig::default() };
        let mut account = AshareAccount::new(100_000.0, rules, one, self.brackets.sl, &[CODE]);
        let rules = Rules {
            fill: self.fill,
            brackets: self.brackets,
            slippage: self.slippage,
            detail: false,
            t1: true,
            tick: Some(TICK),
            volume_cap: None,
        };
        let mut i = 0;
        drive_within(data.series(), &limits, &rules, &mut account, |_, _| {
            let enter = (i == self.enter).then_some(Side::Long);
            let intent = Intent { enter, exit_long: Some(i) == self.exit, exit_short: false };
            i += 1;
            intent
        })
        .expect("run")
    }
}

fn case(bars: &[[f64; 4]]) -> Case<'_> {
    Case {
        bars,
        per_day: 1,
        enter: 0,
        exit: None,
        brackets: Brackets::default(),
        fill: Fill::NextOpen,
        slippage: Slippage::Ticks { n: 3, tick: TICK },
    }
}

fn flat(price: f64) -> [f64; 4] {
    [price; 4]
}

#[test]
fn slippage_ends_a_tick_inside_the_limits() {
    // Limits of 10: 11 and 9. Bought at 10.99, sold at 9.11 whose limits are 9.89 … of the day before 10.1: 9.09.
    let bars = [flat(10.0), [10.99, 11.0, 10.0, 10.1], [10.1, 10.2, 10.0, 10.1], [9.11, 9.5, 9.09, 9.2]];
    let outcome = Case { exit: Some(2), ..case(&bars) }.play();
    let trade = &outcome.trades[0];
    assert_eq!((trade.entry, trade.exit), (10.99, 9.1), "11 and 9.09 are the limits: {trade:?}");
    let free = [flat(10.0), [10.0, 10.5, 9.9, 10.1], flat(10.1), [10.2, 10.5, 10.0, 10.2]];
    let outcome = Case { exit: Some(2), ..case(&free) }.play();
    let trade = &outcome.trades[0];
    assert_eq!((trade.entry, trade.exit), (10.03, 10.17), "three ticks each way");
    // 10.03 is bought for more than 10 would be, 10.17 sold for less.
    assert!((trade.slippage - 0.06 * trade.qty).abs() < 1e-6, "{}", trade.slippage);
}

#[test]
fn a_sale_that_rests_at_the_limit_fills_there_and_no_worse() {
    let bars = [flat(10.0), flat(10.0), flat(10.0), [9.0, 9.4, 8.99, 9.2]];
    let outcome = Case { exit: Some(2), ..case(&bars) }.play();
    assert_eq!(outcome.trades[0].exit, 9.0, "{:?}", outcome.trades);
}

#[test]
fn basis_points_of_slippage_end_at_ticks() {
    let bars = [flat(10.0), [10.0, 10.5, 9.9, 10.1], flat(10.1), [10.2, 10.5, 10.0, 10.2]];
    let outcome = Case { exit: Some(2), slippage: Slippage::Bp(12.0), ..case(&bars) }.play();
    let trade = &outcome.trades[0];
    assert_eq!((trade.entry, trade.exit), (10.02, 10.18), "10.012 and 10.18776, the next worse tick");
}

#[test]
fn stops_stand_at_ticks() {
    // 10.03·0.95 = 9.5285 and 10.03·1.05 = 10.5315.
    let brackets = Brackets { sl: Some(0.05), tp: Some(0.05), max_hold: None };
    let bars = [flat(10.0), [10.0, 10.5, 9.9, 10.1], [10.1, 10.2, 9.53, 10.1]];
    let outcome = Case { brackets, slippage: Slippage::None, enter: 0, ..case(&bars) }.play();
    assert_eq!(outcome.trades[0].reason, ExitReason::Open, "9.5 is not reached");
    let outcome = Case { brackets, ..case(&bars) }.play();
    let trade = &outcome.trades[0];
    assert_eq!((trade.sl, trade.tp), (Some(9.53), Some(10.53)), "half up from 9.5285 and 10.5315");
    assert_eq!(
        (trade.reason, trade.exit),
        (ExitReason::Sl, 9.53),
        "the low is the stop, and bounds the slippage"
    );
}

#[test]
fn limits_of_adjusted_bars_refuse_a_tick_earlier() {
    let traded = [flat(10.0), flat(10.99), flat(10.99)];
    assert!(case(&traded).play().rejections.is_empty(), "a tick below 11");
    let adjusted = [flat(10.004), flat(10.99), flat(10.99)];
    let refused: Vec<_> = case(&adjusted).play().rejections.iter().map(|r| r.cause).collect();
    assert_eq!(refused, ["limit_up"]);
    let later = [flat(10.0), flat(10.99), flat(10.995)];
    assert!(case(&later).play().rejections.is_empty(), "what a later bar tells was not known");
}

#[test]
fn a_day_that_refuses_in_all_its_bars_is_carried_once() {
    // Two bars a day. Bought on the second day; on the third both bars lie at the limit of 9, on the fourth it sells.
    let bars = [
        flat(10.0),
        flat(10.0),
        flat(10.0),
        flat(10.0),
        flat(9.0),
        flat(9.0),
        [8.9, 9.0, 8.8, 8.9],
        flat(8.9),
    ];
    let outcome = Case { per_day: 2, enter: 1, exit: Some(3), ..case(&bars) }.play();
    let trade = &outcome.trades[0];
    assert_eq!((trade.carried_days, trade.i1), (1, 6), "{trade:?}");
    assert_eq!(outcome.rejections.len(), 2, "one at each open");
}

#[test]
fn an_order_is_refused_once_at_a_close() {
    // The holding time ends on the day that closes at its limit of 9, and the rule wants out too.
    let brackets = Brackets { max_hold: Some(2), ..Brackets::default() };
    let bars = [flat(10.0), [9.5, 9.6, 9.0, 9.0], flat(9.0)];
    let outcome = Case { fill: Fill::Close, brackets, exit: Some(1), ..case(&bars) }.play();
    let refused: Vec<_> = outcome.rejections.iter().map(|r| (r.what, r.cause)).collect();
    assert_eq!(refused, [("time", "limit_down")]);
}

/// The rest of a cut sale at a target is sold at what the next open pays, not at the target.
#[test]
fn the_rest_of_a_cut_target_does_not_fill_where_nothing_traded() {
    let bar = |i: i64, [open, high, low, close]: [f64; 4], volume| OwnBar {
        ts_ms: START_MS + i * DAY_MS,
        open,
        high,
        low,
        close,
        volume: Some(volume),
        ..OwnBar::default()
    };
    // 5000 bought at 10.00; the target of 10.50 gaps at 10.80; 1000 a day may be sold.
    let bars = [
        bar(0, flat(10.0), 50_000.0),
        bar(1, flat(10.0), 0.0),
        bar(2, [10.8, 10.9, 10.7, 10.8], 5_000.0),
        bar(3, [10.0, 10.1, 9.8, 10.0], 1e6),
        bar(4, flat(10.0), 1e6),
    ];
    let series = Series::from_own_bars("ashare", CODE, Some(DAY_MS), &bars).expect("series");
    let data = Dataset::from_series(vec![series]).expect("dataset");
    let brackets = Brackets { tp: Some(0.05), ..Brackets::default() };
    let config = RunConfig {
        strategy: StrategyConfig::Own(Own { name: "once", brackets, short: false }),
        ashare: Some(AshareRules::built_in()),
        t1: true,
        slippage: Slippage::None,
        conventions: Conventions::ASHARE,
        fill: Fill::Close,
        portfolio: Some(PortfolioConfig { max_positions: 1, ..PortfolioConfig::default() }),
        ..RunConfig::default()
    };
    let result = run::run_with(&data, &config, |_| Once { bar: 0, exit: 99 }).expect("run");
    let sold: Vec<_> = result.trades.iter().map(|t| (t.i1, t.exit)).collect();
    assert!(sold.len() > 1, "{sold:?}");
    for (i, px) in sold {
        let OwnBar { low, high, .. } = bars[i];
        assert!((low..=high).contains(&px), "sold at {px} in a bar of {low} to {high}");
    }
}

/// A tenth of what was traded before may be bought in one order, and what that leaves of a sale goes on at the next open.
#[test]
fn orders_are_cut_to_a_share_of_the_volume_before() {
    let bar = |i: i64, px: f64, volume: Option<f64>| OwnBar {
        ts_ms: START_MS + i * DAY_MS,
        open: px,
        high: px,
        low: px,
        close: px,
        volume,
        ..OwnBar::default()
    };
    let prices = [10.0, 10.0, 10.5, 10.4, 10.3, 10.2];
    let volumes = [Some(20_000.0), None, Some(4_000.0), Some(2_400.0), Some(1e6), Some(1e6)];
    let bars: Vec<OwnBar> = (0..).zip(prices).zip(volumes).map(|((i, px), v)| bar(i, px, v)).collect();
    let series = Series::from_own_bars("ashare", CODE, Some(DAY_MS), &bars).expect("series");
    let data = Dataset::from_series(vec![series]).expect("dataset");
    let own = Own { name: "once", brackets: Brackets::default(), short: false };
    let config = RunConfig {
        strategy: StrategyConfig::Own(own),
        ashare: Some(AshareRules::built_in()),
        t1: true,
        slippage: Slippage::None,
        conventions: Conventions::ASHARE,
        portfolio: Some(PortfolioConfig { max_positions: 1, ..PortfolioConfig::default() }),
        ..RunConfig::default()
    };
    let result = run::run_with(&data, &config, |_| Once { bar: 0, exit: 1 }).expect("run");
    let rows: Vec<_> =
        result.trades.iter().map(|t| (t.position, t.qty, t.exit, t.i1, t.carried_days)).collect();
    // Bought 2000 of 20 000; sold 1200 of the mean of 20 000 and 4000, then 800 of the mean with 2400.
    assert_eq!(rows, [(1, 1_200.0, 10.4, 3, 0), (1, 800.0, 10.3, 4, 1)]);
    let refused: Vec<_> = result.rejections.iter().map(|r| (r.what, r.cause)).collect();
    assert_eq!(refused, [("signal", "volume_cap")]);
    // 20 000 CNY: 5.00 and 0.20. Sales of 12 480: 5.00, 0.12 and stamp 12.48; of 8240: 5.00, 0.08 and 8.24.
    let pnl: Vec<f64> = result.trades.iter().map(|t| t.pnl).collect();
    assert_eq!(pnl, [480.0 - 17.6 - 3.12, 240.0 - 13.32 - 2.08].map(|x| (x * 100.0_f64).round() / 100.0));
    let leaks = lobstream_backtest::lookahead::check_with(&data, &config, |_| Once { bar: 0, exit: 1 });
    assert!(leaks.expect("checked").is_empty());
    let free = PortfolioConfig { max_positions: 1, volume_cap: None, ..PortfolioConfig::default() };
    let config = RunConfig { portfolio: Some(free), ..config };
    let result = run::run_with(&data, &config, |_| Once { bar: 0, exit: 1 }).expect("run");
    assert!(result.trades.len() == 1 && result.trades[0].qty > 90_000.0, "{:?}", result.trades);
}

/// Buys at its first close, sells at the `exit`-th after it.
struct Once {
    bar: usize,
    exit: usize,
}

impl Strategy for Once {
    fn on_bar(&mut self, _now: &lobstream_backtest::engine::Moment<'_>) -> Intent {
        let bar = self.bar;
        self.bar += 1;
        Intent { enter: (bar == 0).then_some(Side::Long), exit_long: bar > self.exit, exit_short: false }
    }
}

#[test]
fn bars_before_the_period_warm_up_and_decide_nothing() {
    let bars: Vec<[f64; 4]> = (0..6).map(|i| flat(10.0 + f64::from(i))).collect();
    let series = Series::from_ohlc("binance-spot", "X", DAY_MS, 0, &bars).expect("series");
    let data = Dataset::from_series(vec![series]).expect("dataset");
    let config = RunConfig {
        strategy: StrategyConfig::Hold,
        slippage: Slippage::None,
        benchmark: lobstream_backtest::metrics::Benchmark::Hold,
        from_ms: Some(2 * DAY_MS),
        ..RunConfig::default()
    };
    let result = run(&data, &config).expect("run");
    assert_eq!(
        (result.trades[0].i0, result.trades[0].entry),
        (3, 13.0),
        "decided at the close of the third bar"
    );
    assert_eq!((result.equity.len(), result.counts.bars), (4, 4));
    let held = result.benchmark.expect("a benchmark").last().expect("a point").equity;
    assert_eq!(held, 1e6 * (15.0 / 12.0), "bought at the open of the third bar");
    assert_eq!(result.metrics.get("exposure"), Some(0.75));
}

struct Never;

impl Strategy for Never {
    fn on_bar(&mut self, _now: &lobstream_backtest::engine::Moment<'_>) -> Intent {
        Intent::default()
    }
}

#[test]
fn settings_that_an_account_of_shares_does_not_know_are_refused() {
    let series =
        Series::from_ohlc("ashare", CODE, DAY_MS, START_MS, &[flat(10.0), flat(10.0)]).expect("series");
    let data = Dataset::from_series(vec![series]).expect("dataset");
    let base = RunConfig {
        strategy: StrategyConfig::Hold,
        ashare: Some(AshareRules::built_in()),
        t1: true,
        conventions: Conventions::ASHARE,
        ..RunConfig::default()
    };
    assert!(run(&data, &base).is_ok());
    let cases = [
        ("fraction", RunConfig { fraction: Some(0.5), ..base.clone() }),
        ("fees", RunConfig { fees: Some(Fees::flat(1.0)), ..base.clone() }),
        ("accounting", RunConfig { accounting: Accounting::Unit, ..base.clone() }),
        ("cash = 100000.005", RunConfig { cash: 100_000.005, ..base.clone() }),
        ("half_spread", RunConfig { slippage: Slippage::HalfSpread, ..base.clone() }),
    ];
    for (name, config) in cases {
        let error = run(&data, &config).expect_err(name);
        assert!(error.to_string().contains(name), "{error}, expected {name}");
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    let cents = RunConfig { cash: 100_000.29, ..base.clone() };
    assert!(run(&data, &cents).is_ok(), "whole fen");
    let mut early = AshareRules::built_in();
    early.extrapolate = true;
    let hash = base.hash();
    let result =
        run(&data, &RunConfig { rules: Some(early.hash()), ashare: Some(early), ..base }).expect("run");
    assert!(result.warnings.iter().any(|w| w.contains("extrapolate")), "{:?}", result.warnings);
    assert_ne!(result.config.hash(), hash);
    let own = Own { name: "never", brackets: Brackets::default(), short: false };
    let never = RunConfig { strategy: StrategyConfig::Own(own), ..RunConfig::default() };
    let result = run::run_with(&data, &never, |_| Never).expect("run");
    assert!(!result.warnings.iter().any(|w| w.contains("extrapolate")));
}
