//! What must hold for any market: money adds up, and no order breaks a rule.

use std::collections::BTreeSet;

use lobstream_backtest::dataset::{DailyData, Date, Stock};
use lobstream_backtest::engine::ExitReason;
use lobstream_backtest::engine::daily::{PortfolioConfig, Sizing};
use lobstream_backtest::rules::{AshareRules, Board};
use lobstream_backtest::strategy::BollingerMicro;
use lobstream_backtest::{RunConfig, RunResult, StrategyConfig, run_daily};

use crate::market::{CODES, market};

fn config(portfolio: PortfolioConfig) -> RunConfig {
    // Wide, so that a random market trades often.
    let strategy = BollingerMicro { entry_tol_bp: 200, low_tol_bp: 300, ..BollingerMicro::default() };
    RunConfig {
        strategy: StrategyConfig::BollingerMicro(strategy),
        cash: 300_000.0,
        portfolio: Some(portfolio),
        ..RunConfig::default()
    }
}

fn few_slots() -> PortfolioConfig {
    PortfolioConfig { max_positions: 3, volume_cap: Some(0.002), ..PortfolioConfig::default() }
}

fn play(data: &DailyData, config: &RunConfig) -> RunResult {
    run_daily(data, &AshareRules::built_in(), config).expect("run")
}

fn date_of(stock: &Stock, ms: i64) -> Option<Date> {
    let on = |date: &Date| (date.midnight_ms()..date.midnight_ms() + 86_400_000).contains(&ms);
    stock.bars.iter().map(|bar| bar.date).find(on)
}

fn fen(cny: f64) -> i64 {
    (cny * 100.0).round() as i64
}

#[test]
fn profits_of_all_trades_are_what_the_equity_gained_to_the_fen() {
    for seed in 0..40 {
        let result = play(&market(seed, 120, &CODES), &config(few_slots()));
        let earned: i64 = result.trades.iter().map(|trade| fen(trade.pnl)).sum();
        let last = result.equity.last().expect("a day").equity;
        assert_eq!(earned, fen(last) - fen(300_000.0), "seed {seed}");
    }
}

#[test]
fn no_order_breaks_a_rule_of_the_market_and_every_ending_is_reached() {
    let (mut reasons, mut causes, mut boards) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let rules = AshareRules::built_in();
    for seed in 0..60 {
        let data = market(seed, 150, &CODES);
        let result = play(&data, &config(few_slots()));
        for trade in &result.trades {
            let code = &result.series[trade.series].symbol;
            let what = format!("seed {seed}: {code} {trade:?}");
            let stock = data.stocks.iter().find(|stock| stock.code == *code).expect("a stock");
            let lot = rules.lot(Board::of_code(code));
            let bought = date_of(stock, trade.entry_ms).expect("a day with a bar");
            boards.insert(Board::of_code(code));
            reasons.insert(trade.reason);
            let e4 = |price: f64| (price * 1e4).round() as i64;
            let limits = |date: Date| {
                let bar = &stock.bars[stock.index(date).expect("a bar")];
                (bar, rules.limits(code, false, date, bar.pre_close / 100).expect("covered"))
            };
            let (bar, on_entry) = limits(bought);
            assert!(e4(trade.entry) < on_entry.up * 100, "bought at the up limit, {what}");
            assert!((bar.low..=bar.high).contains(&e4(trade.entry)), "{what}");
            // Parts of one entry add up to a quantity that could be ordered.
            let parts = result.trades.iter().filter(|t| t.position == trade.position);
            assert!(lot.may_buy(parts.map(|t| t.qty as i64).sum()), "{what}");
            if !trade.is_closed() {
                continue;
            }
            let sold = date_of(stock, trade.exit_ms).expect("a day with a bar");
            assert!(sold > bought, "sold on the day it was bought, {what}");
            let (bar, on_exit) = limits(sold);
            let rests = e4(trade.exit) == on_exit.down * 100 && bar.high > on_exit.down * 100;
            assert!(e4(trade.exit) > on_exit.down * 100 || rests, "sold at the down limit, {what}");
            assert!((bar.low..=bar.high).contains(&e4(trade.exit)), "{what}");
        }
        causes.extend(result.rejections.iter().map(|r| r.cause));
    }
    let all = [
        ExitReason::Sl,
        ExitReason::SlGap,
        ExitReason::SlT1,
        ExitReason::SupportBreak,
        ExitReason::NoTouch,
        ExitReason::Tp1,
        ExitReason::Tp2,
        ExitReason::Open,
    ];
    for reason in all {
        assert!(reasons.contains(&reason), "no case ends with {}: {reasons:?}", reason.as_str());
    }
    for cause in ["limit_up", "limit_down", "no_slot", "no_cash", "volume_cap", "suspended"] {
        assert!(causes.contains(cause), "no case is refused by {cause}: {causes:?}");
    }
    assert_eq!(boards.len(), 4, "{boards:?}");
}

#[test]
fn higher_fees_never_leave_more_when_quantities_are_fixed() {
    for seed in 0..20 {
        let data = market(seed, 120, &CODES);
        let fixed = PortfolioConfig { sizing: Sizing::FixedQty(400), ..PortfolioConfig::default() };
        let end = |rate: f64, min: f64| {
            let rules = AshareRules::built_in().with_commission(rate, min).expect("legal");
            let result = run_daily(&data, &rules, &config(fixed)).expect("run");
            (result.equity.last().expect("a day").equity, result.trades.len())
        };
        let ends = [end(0.0, 0.0), end(0.0002, 0.0), end(0.0002, 5.0), end(0.003, 5.0)];
        assert!(ends[0].1 > 0 && ends.iter().all(|end| end.1 == ends[0].1), "the same trades: {ends:?}");
        assert!(ends.windows(2).all(|pair| pair[1].0 <= pair[0].0), "seed {seed}: {ends:?}");
    }
}

#[test]
fn a_stock_that_is_never_a_candidate_changes_nothing() {
    for seed in 0..20 {
        let with = market(seed, 100, &CODES);
        let other = with.stocks.iter().position(|stock| stock.code == "300750.SZ").expect("it is there");
        let mut silent = with.clone();
        silent.candidates.retain(|c| c.stock != other);
        let without = market(
            seed,
            100,
            &CODES.map(|code| code).into_iter().filter(|c| *c != "300750.SZ").collect::<Vec<_>>(),
        );
        let (a, b) = (play(&silent, &config(few_slots())), play(&without, &config(few_slots())));
        assert!(!a.trades.is_empty());
        assert_eq!((a.hash, a.trades, a.rejections), (b.hash, b.trades, b.rejections), "seed {seed}");
    }
}

#[test]
fn scaled_lots_of_an_ex_date_pay_their_dividend_once() {
    // 1000 shares at 10.00; ex-date with 0.50 cash: reference 9.50, opens and closes there.
    let mut data = market(7, 60, &["600010.SH"]);
    let stock = &mut data.stocks[0];
    let days: Vec<Date> = data.calendar.iter().copied().take(6).collect();
    let flat = |date: Date, px: i64, pre: i64| lobstream_backtest::dataset::DailyBar {
        date,
        open: px,
        high: px + 1_000,
        low: px - 1_000,
        close: px,
        pre_close: pre,
        volume: None,
        st: false,
    };
    stock.bars = vec![
        flat(days[0], 100_000, 100_000),
        flat(days[1], 100_000, 100_000),
        flat(days[2], 95_000, 95_000),
        flat(days[3], 95_000, 95_000),
    ];
    stock.facts = vec![Default::default(); 4];
    data.calendar = days[..4].to_vec();
    data.candidates = vec![lobstream_backtest::dataset::Candidate {
        known: days[0],
        valid_for: days[1],
        stock: 0,
        rank: 1,
        support_e4: 100_000,
        resistance_e4: None,
        quality_missing: false,
        support_missing: false,
    }];
    let portfolio =
        PortfolioConfig { sizing: Sizing::FixedQty(1_000), slippage_ticks: 0, ..PortfolioConfig::default() };
    let free = AshareRules::built_in().without_fees();
    let run = |portfolio| run_daily(&data, &free, &config(portfolio)).expect("run");
    let booked = run(portfolio);
    assert_eq!(booked.equity.last().expect("a day").equity, 300_000.0, "the dividend makes up for the step");
    assert_eq!(booked.trades[0].pnl, 0.0);
    assert!(booked.warnings.iter().any(|w| w.contains("taken as cash")), "{:?}", booked.warnings);
    let ignored = run(PortfolioConfig { apply_actions: false, ..portfolio });
    assert_eq!(ignored.equity.last().expect("a day").equity, 299_500.0);
}
