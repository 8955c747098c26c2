//! The engine against a slow one that thinks position by position, and its laws over seeded markets.

mod support;

use lobstream_backtest::dataset::SpellKind;
use lobstream_backtest::engine::ashare::{AshareAccount, day_limits};
use lobstream_backtest::engine::daily::PortfolioConfig;
use lobstream_backtest::engine::{Brackets, ExitReason, Fill, Intent, Outcome, Rules, drive, drive_within};
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::Side;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::portfolio::UnitAccount;
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::{
    Accounting, Dataset, DatasetOptions, RunConfig, RunResult, Series, StrategyConfig, run,
};
use lobstream_market::factor::row::FactorRow;
use support::Random;

const SEEDS: std::ops::Range<u64> = 0..200;

struct Case {
    bars: Vec<[f64; 4]>,
    enter: Vec<Option<Side>>,
    exit: Vec<bool>,
    brackets: Brackets,
}

fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut close: f64 = 100.0;
    let mut bars = Vec::new();
    for _ in 0..300 {
        let open = close * (1.0 + 0.004 * random.normal());
        close = open * (1.0 + 0.008 * random.normal());
        let (top, bottom) = (open.max(close), open.min(close));
        bars.push([
            open,
            top * (1.0 + 0.004 * random.uniform()),
            bottom * (1.0 - 0.004 * random.uniform()),
            close,
        ]);
    }
    let side = |x: f64| match x {
        x if x < 0.12 => Some(Side::Long),
        x if x < 0.24 => Some(Side::Short),
        _ => None,
    };
    Case {
        enter: (0..300).map(|_| side(random.uniform())).collect(),
        exit: (0..300).map(|_| random.uniform() < 0.1).collect(),
        brackets: Brackets {
            sl: (random.uniform() < 0.8).then(|| 0.005 + 0.03 * random.uniform()),
            tp: (random.uniform() < 0.8).then(|| 0.005 + 0.03 * random.uniform()),
            max_hold: (random.uniform() < 0.6).then(|| 2 + (20.0 * random.uniform()) as usize),
        },
        bars,
    }
}

fn play(case: &Case, fill: Fill) -> Outcome {
    let series = Series::from_ohlc("binance-usdm", "X", 60_000, 0, &case.bars).expect("series");
    let rules = Rules {
        fill,
        brackets: case.brackets,
        slippage: Slippage::None,
        detail: false,
        t1: false,
        tick: None,
        volume_cap: None,
    };
    let data = Dataset::from_series(vec![series]).expect("dataset");
    drive(data.series(), &rules, &mut UnitAccount::new(1.0, Fees::NONE), |_, now| {
        let i = (now.now_ms() / 60_000 - 1) as usize;
        Intent { enter: case.enter[i], exit_long: case.exit[i], exit_short: case.exit[i] }
    })
    .expect("run")
}

type Expected = (Side, usize, usize, f64, f64, ExitReason);

/// Position by position: from an entry, ask of each later bar in turn what would end it.
fn oracle(case: &Case, fill: Fill) -> Vec<Expected> {
    let mut expected = Vec::new();
    let mut decided = 0;
    while decided < case.bars.len() {
        let Some(side) = case.enter[decided] else {
            decided += 1;
            continue;
        };
        let i0 = if fill == Fill::NextOpen { decided + 1 } else { decided };
        if i0 >= case.bars.len() {
            break;
        }
        let entry = if fill == Fill::NextOpen { case.bars[i0][0] } else { case.bars[i0][3] };
        let (i1, exit, reason) = ending(case, fill, side, i0, entry);
        expected.push((side, i0, i1, entry, exit, reason));
        decided = match (fill, reason) {
            (_, ExitReason::Open) => break,
            // A reversal: decided at the close before, together with the exit.
            (Fill::NextOpen, ExitReason::Signal) if case.enter[i1 - 1] == Some(side.opposite()) => i1 - 1,
            (Fill::NextOpen, _) => i1,
            (Fill::Close, _) => i1 + 1,
        };
    }
    expected
}

fn ending(case: &Case, fill: Fill, side: Side, i0: usize, entry: f64) -> (usize, f64, ExitReason) {
    let s = side.sign();
    let sl = case.brackets.sl.map(|sl| entry * (1.0 - s * sl));
    let tp = case.brackets.tp.map(|tp| entry * (1.0 + s * tp));
    let beyond = |px: f64, level: Option<f64>, way: f64| level.is_some_and(|level| way * (px - level) >= 0.0);
    let first = if fill == Fill::NextOpen { i0 } else { i0 + 1 };
    for i in first..case.bars.len() {
        let [open, high, low, close] = case.bars[i];
        let (worst, best) = if side == Side::Long { (low, high) } else { (high, low) };
        if i > i0 {
            if fill == Fill::NextOpen && case.exit[i - 1] {
                return (i, open, ExitReason::Signal);
            }
            if beyond(open, sl, -s) {
                return (i, open, ExitReason::SlGap);
            }
            if beyond(open, tp, s) {
                return (i, open, ExitReason::TpGap);
            }
        }
        if beyond(worst, sl, -s) {
            return (i, sl.expect("a level"), ExitReason::Sl);
        }
        if beyond(best, tp, s) {
            return (i, tp.expect("a level"), ExitReason::Tp);
        }
        if case.brackets.max_hold.is_some_and(|m| i + 1 >= i0 + m) {
            return (i, close, ExitReason::Time);
        }
        if fill == Fill::Close && case.exit[i] {
            return (i, close, ExitReason::Signal);
        }
    }
    let last = case.bars.len() - 1;
    (last, case.bars[last][3], ExitReason::Open)
}

#[test]
fn equals_an_engine_that_thinks_position_by_position() {
    let mut reasons = std::collections::BTreeSet::new();
    for seed in SEEDS {
        let case = case(seed);
        for fill in [Fill::NextOpen, Fill::Close] {
            let mut got: Vec<Expected> = play(&case, fill)
                .trades
                .iter()
                .map(|t| (t.side, t.i0, t.i1, t.entry, t.exit, t.reason))
                .collect();
            got.sort_by_key(|trade| (trade.1, trade.2));
            assert_eq!(got, oracle(&case, fill), "seed {seed}, {}", fill.as_str());
            reasons.extend(got.iter().map(|trade| trade.5));
        }
    }
    assert_eq!(reasons.len(), 7, "the cases reach every ending but that of T+1: {reasons:?}");
}

#[test]
fn a_short_on_mirrored_prices_earns_what_the_long_earns() {
    for seed in SEEDS {
        let mut long = case(seed);
        let at = 40;
        long.enter = (0..300).map(|i| (i == at).then_some(Side::Long)).collect();
        let anchor = long.bars[at + 1][0];
        let mirror = |px: f64| 2.0 * anchor - px;
        let short = Case {
            bars: long
                .bars
                .iter()
                .map(|&[o, h, l, c]| [mirror(o), mirror(l), mirror(h), mirror(c)])
                .collect(),
            enter: long.enter.iter().map(|side| side.map(Side::opposite)).collect(),
            exit: long.exit.clone(),
            brackets: long.brackets,
        };
        let (long, short) = (play(&long, Fill::NextOpen), play(&short, Fill::NextOpen));
        let (long, short) = (&long.trades[0], &short.trades[0]);
        assert_eq!((long.i1, long.reason), (short.i1, short.reason), "seed {seed}");
        assert!((long.pnl - short.pnl).abs() < 1e-9, "seed {seed}: {} and {}", long.pnl, short.pnl);
    }
}

fn rows(seed: u64) -> Vec<FactorRow> {
    support::market("binance-usdm", "BTCUSDT", seed, 0, 2_000, 61_700.0)
}

fn config(params: &[(&str, &str)]) -> RunConfig {
    let strategy = StrategyConfig::parse("bollinger_flow", params.iter().copied()).expect("strategy");
    RunConfig { strategy, fraction: Some(0.5), ..RunConfig::default() }
}

fn play_rows(rows: Vec<FactorRow>, step_ms: i64, config: &RunConfig) -> RunResult {
    run(&Dataset::from_rows(rows, &DatasetOptions { step_ms }).expect("dataset"), config).expect("run")
}

const EAGER: [(&str, &str); 5] =
    [("n", "20"), ("k", "1"), ("obi_min", "-1"), ("z_ofi_min", "none"), ("short", "true")];

#[test]
fn nothing_fills_while_there_is_no_book() {
    let (mut trades, mut dropped) = (0, 0);
    for seed in 0..40 {
        // Bars of 9 and of 30 s end inside the invalid spell, which begins after 800 s.
        for step_ms in [1_000, 9_000, 30_000] {
            for fill in [Fill::NextOpen, Fill::Close] {
                let result = play_rows(rows(seed), step_ms, &RunConfig { fill, ..config(&EAGER) });
                let spells = &result.series[0].spells;
                assert!(spells.iter().any(|s| s.kind == SpellKind::Invalid));
                for trade in &result.trades {
                    for ms in [trade.entry_ms, trade.exit_ms] {
                        let inside = spells.iter().any(|s| s.from_ms < ms && ms <= s.to_ms);
                        let marked = trade.reason == ExitReason::Open && ms == trade.exit_ms;
                        assert!(!inside || marked || is_stop_inside(trade.reason), "seed {seed}: {trade:?}");
                    }
                }
                trades += result.trades.len();
                dropped += result.rejections.iter().filter(|r| r.cause == "book_invalid").count();
            }
        }
    }
    assert!(trades > 1_000 && dropped > 5, "{trades} trades, {dropped} orders dropped");
}

/// A level that was reached inside a bar has no time of its own: it is stamped with the end of the bar.
fn is_stop_inside(reason: ExitReason) -> bool {
    matches!(reason, ExitReason::Sl | ExitReason::Tp)
}

#[test]
fn the_order_of_rows_does_not_matter_and_a_repeat_gives_the_same_hash() {
    let mut shuffled = rows(3);
    shuffled.reverse();
    shuffled.rotate_left(700);
    let (first, second) =
        (play_rows(rows(3), 1_000, &config(&EAGER)), play_rows(shuffled, 1_000, &config(&EAGER)));
    assert!(!first.trades.is_empty());
    assert_eq!(first.hash, second.hash);
    let other = play_rows(rows(3), 1_000, &config(&[("n", "21"), ("k", "1"), ("obi_min", "-1")]));
    assert_ne!(first.hash, other.hash);
}

#[test]
fn decisions_do_not_depend_on_what_comes_later() {
    let whole = play_rows(rows(5), 1_000, &config(&EAGER));
    for cut in (1..21).map(|i| i * 2_000 / 21) {
        let cut_ms = cut * 1_000;
        let known = rows(5).into_iter().filter(|row| row.ts_ms + 1_000 <= cut_ms).collect();
        let part = play_rows(known, 1_000, &config(&EAGER));
        let closed = |result: &RunResult| -> Vec<_> {
            let ended = |t: &&lobstream_backtest::Trade| t.is_closed() && t.exit_ms <= cut_ms;
            result.trades.iter().filter(ended).cloned().collect()
        };
        assert_eq!(closed(&part), closed(&whole), "cut at {cut} s");
    }
}

#[test]
fn a_symbol_that_never_signals_changes_no_trade() {
    let alone = play_rows(rows(9), 1_000, &config(&EAGER));
    let mut both = rows(9);
    both.extend((0..2_000).map(|i| {
        let mut row = support::blank("binance-usdm", "AAAUSDT", i * 1_000);
        (row.mid, row.book_valid) = (Some(5.0), true);
        row
    }));
    let both = play_rows(both, 1_000, &config(&EAGER));
    let facts = |result: &RunResult| -> Vec<_> {
        result.trades.iter().map(|t| (t.i0, t.i1, t.qty.to_bits(), t.pnl.to_bits(), t.reason)).collect()
    };
    assert!(alone.trades.len() > 10);
    assert_eq!(facts(&alone), facts(&both));
    assert_eq!(alone.equity.last().map(|p| p.equity), both.equity.last().map(|p| p.equity));
}

#[test]
fn what_trades_earn_is_what_the_equity_gains() {
    for seed in 0..20 {
        let result = play_rows(rows(seed), 1_000, &config(&EAGER));
        let earned: f64 = result.trades.iter().map(|t| (t.pnl * 1e8).round()).sum();
        let last = result.equity.last().expect("a point").equity;
        assert_eq!(earned, ((last - result.config.cash) * 1e8).round(), "seed {seed}: exact to 1e-8");
    }
}

#[test]
fn dearer_fees_never_help() {
    let mut before = f64::INFINITY;
    for bp in [-1.0, 0.0, 2.0, 5.0, 10.0] {
        let config = RunConfig {
            fees: Some(Fees::flat(bp)),
            accounting: Accounting::Unit,
            fraction: None,
            ..config(&EAGER)
        };
        let result = play_rows(rows(1), 1_000, &config);
        let last = result.equity.last().expect("a point").equity;
        assert!(last < before, "{bp} bp: {last}");
        before = last;
    }
}

#[test]
fn nothing_is_ordered_at_a_close_without_a_book() {
    let mut rows: Vec<FactorRow> =
        (0..15).map(|s| support::blank("binance-usdm", "BTCUSDT", s * 1_000)).collect();
    for (second, row) in rows.iter_mut().enumerate().filter(|(second, _)| *second != 4) {
        (row.mid, row.book_valid) = (Some(100.0 + second as f64), true);
    }
    let data = Dataset::from_rows(rows, &DatasetOptions { step_ms: 5_000 }).expect("dataset");
    for (fill, i0) in [(Fill::Close, 1), (Fill::NextOpen, 2)] {
        let rules = Rules {
            fill,
            brackets: Brackets::default(),
            slippage: Slippage::None,
            detail: false,
            t1: false,
            tick: None,
            volume_cap: None,
        };
        let enter = Intent { enter: Some(Side::Long), ..Intent::default() };
        let mut account = UnitAccount::new(1.0, Fees::NONE);
        let outcome = drive(data.series(), &rules, &mut account, |_, _| enter).expect("run");
        assert_eq!(outcome.trades[0].i0, i0, "{}: the first close has no book", fill.as_str());
        let refused: Vec<_> = outcome.rejections.iter().map(|r| (r.ts_ms, r.what, r.cause)).collect();
        assert_eq!(refused, [(5_000, "entry", "book_invalid")]);
    }
}

#[test]
fn seconds_inside_a_longer_bar_decide_which_level_came_first() {
    let row = |second: i64, mid: f64| {
        let mut row = support::blank("binance-usdm", "BTCUSDT", second * 1_000);
        (row.mid, row.book_valid) = (Some(mid), true);
        row
    };
    // Held from the open of the second bar, 100; then first above the target, later below the stop.
    let mids = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 102.5, 97.0, 99.0, 100.0];
    let rows: Vec<FactorRow> = mids.into_iter().zip(0..).map(|(mid, second)| row(second, mid)).collect();
    let data = Dataset::from_rows(rows, &DatasetOptions { step_ms: 5_000 }).expect("dataset");
    let brackets = Brackets { sl: Some(0.02), tp: Some(0.02), max_hold: None };
    let end = |detail: bool| {
        let rules = Rules {
            fill: Fill::NextOpen,
            brackets,
            slippage: Slippage::None,
            detail,
            t1: false,
            tick: None,
            volume_cap: None,
        };
        let mut account = UnitAccount::new(1.0, Fees::NONE);
        let enter = Intent { enter: Some(Side::Long), ..Intent::default() };
        let outcome = drive(data.series(), &rules, &mut account, |_, _| enter).expect("run");
        (outcome.trades[0].reason, outcome.trades[0].exit)
    };
    assert_eq!(end(true), (ExitReason::Tp, 102.0));
    assert_eq!(end(false), (ExitReason::Sl, 98.0));
}

/// The mids of three seconds, bought at the second.
fn bought_at_the_second(mids: [f64; 3], spread_bps: f64, slippage: Slippage) -> (f64, f64, ExitReason) {
    let rows = mids.into_iter().zip(0..).map(|(mid, second)| {
        let mut row = support::blank("binance-usdm", "BTCUSDT", second * 1_000);
        (row.mid, row.book_valid, row.spread_bps) = (Some(mid), true, Some(spread_bps));
        row
    });
    let data = Dataset::from_rows(rows.collect(), &DatasetOptions::default()).expect("dataset");
    let brackets = Brackets { sl: Some(0.02), tp: Some(0.02), max_hold: None };
    let rules = Rules {
        fill: Fill::NextOpen,
        brackets,
        slippage,
        detail: false,
        t1: false,
        tick: None,
        volume_cap: None,
    };
    let enter = Intent { enter: Some(Side::Long), ..Intent::default() };
    let mut account = UnitAccount::new(1.0, Fees::NONE);
    let outcome = drive(data.series(), &rules, &mut account, |_, _| enter).expect("run");
    let trade = &outcome.trades[0];
    (trade.entry, trade.exit, trade.reason)
}

#[test]
fn half_of_the_spread_is_paid_both_ways() {
    let (entry, exit, reason) = bought_at_the_second([100.0, 100.0, 97.0], 20.0, Slippage::HalfSpread);
    assert_eq!(reason, ExitReason::SlGap);
    assert!((entry - 100.1).abs() < 1e-9 && (exit - 97.0 * 0.999).abs() < 1e-9, "{entry} {exit}");
}

#[test]
fn a_target_that_gapped_fills_no_worse_than_its_own_price() {
    // Bought at 100.1, so the target lies at 102.102; the mid jumps to 102.15 and would slip to 102.05.
    let (entry, exit, reason) = bought_at_the_second([100.0, 100.0, 102.15], 0.0, Slippage::Bp(10.0));
    assert_eq!(reason, ExitReason::TpGap);
    assert_eq!(exit, entry * 1.02);
    let (_, exit, _) = bought_at_the_second([100.0, 100.0, 103.0], 0.0, Slippage::Bp(10.0));
    assert!((exit - 103.0 * 0.999).abs() < 1e-9, "beyond the target it slips: {exit}");
}

#[test]
fn wrong_configurations_are_refused_with_exit_code_2() {
    let data = |venue| {
        let rows = support::market(venue, "BTCUSDT", 1, 0, 50, 100.0);
        Dataset::from_rows(rows, &DatasetOptions::default()).expect("dataset")
    };
    let short = config(&[("short", "true")]);
    let error = run(&data("binance-spot"), &short).expect_err("refused");
    assert!(error.to_string().contains("binance-spot is a spot venue"), "{error}");
    let wrong = [
        RunConfig { cash: 0.0, ..RunConfig::default() },
        RunConfig { fraction: Some(1.5), ..RunConfig::default() },
        RunConfig { fees: Some(Fees::flat(f64::NAN)), ..RunConfig::default() },
        RunConfig { slippage: Slippage::Bp(-1.0), ..RunConfig::default() },
        RunConfig { conventions: Conventions { ppy: 0.0, ..Conventions::default() }, ..RunConfig::default() },
        RunConfig { fill: Fill::Close, ..config(&[("max_hold", "1")]) },
    ];
    for config in wrong {
        let error = run(&data("binance-usdm"), &config).expect_err("refused");
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

/// A sale that is refused at an open at the down limit, and fills later that day, pays for nothing that is bought at the open.
#[test]
fn a_sale_that_rests_at_the_limit_does_not_pay_for_an_entry_of_the_same_open() {
    const DAY_MS: i64 = 86_400_000;
    let day = |price: f64| [price; 4];
    let falls = [day(10.0), day(10.0), [9.0, 9.5, 9.0, 9.2], day(9.2)];
    let stays = [day(10.0); 4];
    // Midnight of 2023-06-05 in Shanghai.
    let start_ms = 1_685_894_400_000;
    let series = |symbol: &str, bars: &[[f64; 4]]| {
        Series::from_ohlc("ashare", symbol, DAY_MS, start_ms, bars).expect("series")
    };
    let (first, second) = (series("600000.SH", &falls), series("600001.SH", &stays));
    let rules = AshareRules::built_in();
    let limits = [&first, &second].map(|series| day_limits(series, &rules).expect("covered"));
    let data = Dataset::from_series(vec![first, second]).expect("dataset");
    let one = PortfolioConfig { max_positions: 1, ..PortfolioConfig::default() };
    let mut account = AshareAccount::new(100_000.0, rules, one, None, &["600000.SH", "600001.SH"]);
    let brackets = Brackets { sl: None, tp: None, max_hold: None };
    let rules = Rules {
        fill: Fill::NextOpen,
        brackets,
        slippage: Slippage::None,
        detail: false,
        t1: true,
        tick: Some(0.01),
        volume_cap: None,
    };
    let outcome = drive_within(data.series(), &limits, &rules, &mut account, |symbol, now| {
        let day = (now.now_ms() - start_ms) / DAY_MS - 1;
        let enter = ((symbol, day) == (0, 0) || (symbol, day) == (1, 1)).then_some(Side::Long);
        Intent { enter, exit_long: (symbol, day) == (0, 1), exit_short: false }
    })
    .expect("run");
    let [sold] = &outcome.trades[..] else { panic!("{:?}", outcome.trades) };
    assert_eq!((sold.exit, sold.reason), (9.0, ExitReason::Signal), "sold at the limit later that day");
    let causes: Vec<&str> = outcome.rejections.iter().map(|r| r.cause).collect();
    assert_eq!(causes, ["limit_down", "no_slot"], "{:?}", outcome.rejections);
}
