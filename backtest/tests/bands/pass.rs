//! The single pass against the general engine, and against the trade list of vectorbt.

use crate::parity::{SEED, parity_bars};
use crate::support::Random;
use lobstream_backtest::band_pass::{BandColumns, Clock, Kept, PassTrade, Plan, Sink, fits};
use lobstream_backtest::engine::{ExitReason, Fill};
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::strategy::Bollinger;
use lobstream_backtest::{Accounting, Dataset, RunConfig, Series, StrategyConfig, run};
use sha2::{Digest, Sha256};

const DAY_MS: i64 = 86_400_000;

/// Days with gaps at the open, flat stretches and, every 300 bars, a hole of 40 days.
fn series(symbol: &str, seed: u64, n: usize, start_day: i64) -> Series {
    let mut random = Random::new(seed);
    let mut close: f64 = 100.0;
    let mut bars = Vec::new();
    for i in 0..n {
        let open = close * (1.0 + 0.006 * random.normal());
        close =
            if i % 251 < 12 { open } else { open * (1.0 + 0.01 * random.normal()) - (open - 100.0) * 0.01 };
        let (top, bottom) = (open.max(close), open.min(close));
        bars.push([
            open,
            top * (1.0 + 0.005 * random.uniform()),
            bottom * (1.0 - 0.005 * random.uniform()),
            close,
        ]);
    }
    let mut series = Series::from_ohlc("SSE", symbol, DAY_MS, start_day * DAY_MS, &bars).expect("series");
    for (i, (ts, open)) in series.bars.ts_ms.iter_mut().zip(&mut series.bars.open_ms).enumerate() {
        *ts += i as i64 / 300 * 40 * DAY_MS;
        *open = *ts;
    }
    series
}

fn rules() -> Vec<Bollinger> {
    let base = Bollinger { n: 12, k: 1.3, sl: Some(0.012), tp: Some(0.018), max_hold: None, short: false };
    vec![
        base.clone(),
        Bollinger { sl: None, tp: None, ..base.clone() },
        Bollinger { n: 30, k: 0.8, sl: Some(0.03), max_hold: Some(4), ..base.clone() },
        Bollinger { n: 3, k: 0.5, tp: Some(0.004), ..base.clone() },
        Bollinger { n: 200, sl: Some(0.002), ..base },
    ]
}

fn config(rule: &Bollinger, fill: Fill, fees: Fees) -> RunConfig {
    RunConfig {
        strategy: StrategyConfig::Bollinger(rule.clone()),
        fill,
        accounting: Accounting::Unit,
        fees: Some(fees),
        slippage: Slippage::None,
        conventions: Conventions::ASHARE,
        detail: false,
        ..RunConfig::default()
    }
}

/// Trades and equity, in bits, and the order in which the ends of all symbols are summed.
#[test]
fn equal_to_the_general_engine_to_the_last_bit() {
    let listed = [("A", 1, 2_000, 0), ("B", 2, 700, 450), ("C", 3, 1_500, 10)];
    let data = Dataset::from_series(listed.map(|(s, seed, n, day)| series(s, seed, n, day)).into())
        .expect("dataset");
    let (clock, fees) = (Clock::new(data.series()), Fees { maker_bp: 2.0, taker_bp: 5.0 });
    let (mut reasons, mut trades) = (std::collections::BTreeSet::new(), 0);
    for rule in rules() {
        for fill in [Fill::Close, Fill::NextOpen] {
            let want = run(&data, &config(&rule, fill, fees)).expect("run");
            let plan = Plan::new(&rule, fill, fees).expect("no shorts");
            let share = 1_000_000.0 / 3.0;
            let mut kept = Kept::new(plan.clone(), &clock);
            for (k, series) in data.series().iter().enumerate() {
                kept.add(k, series, share, &mut &BandColumns::new(series, rule.n));
                let mut listed = Listed::default();
                plan.run(series, share, &mut listed);
                let of_series = want.trades.iter().filter(|trade| trade.series == k);
                let facts = of_series.map(|t| (t.i0, t.i1, t.entry, t.exit, t.notional, t.pnl, t.reason));
                let got: Vec<_> = listed
                    .0
                    .iter()
                    .map(|t| (t.i0, t.i1, t.entry, t.exit, t.stake, t.pnl, t.reason))
                    .collect();
                assert_eq!(got, facts.collect::<Vec<_>>(), "{rule:?} {fill:?}");
            }
            let got = kept.finish();
            let closed = || want.trades.iter().filter(|trade| trade.is_closed());
            assert_eq!(got.pnl, closed().map(|trade| trade.pnl).collect::<Vec<_>>(), "{rule:?} {fill:?}");
            assert_eq!(got.return_pct, closed().map(|trade| trade.return_pct).collect::<Vec<_>>());
            assert_eq!(got.equity, want.equity, "{rule:?} {fill:?}");
            assert_eq!(got.bars_in_position, want.counts.bars_in_position, "{rule:?} {fill:?}");
            reasons.extend(want.trades.iter().map(|trade| trade.reason));
            trades += want.trades.len();
        }
    }
    assert!(trades > 1_000, "{trades}");
    for reason in [
        ExitReason::Sl,
        ExitReason::SlGap,
        ExitReason::Tp,
        ExitReason::TpGap,
        ExitReason::Signal,
        ExitReason::Time,
    ] {
        assert!(reasons.contains(&reason), "{reason:?} never occurs");
    }
}

#[test]
fn shorts_and_mids_are_left_to_the_general_engine() {
    let short = Bollinger { short: true, ..Bollinger::default() };
    assert!(Plan::new(&short, Fill::Close, Fees::NONE).is_none());
    let traded = series("A", 1, 50, 0);
    assert!(fits(&traded));
    let mut holed = traded.clone();
    holed.bars.after_spell[3] = true;
    assert!(!fits(&holed));
    let rows = crate::support::market("binance-usdm", "X", 1, 0, 100, 100.0);
    let mids = Dataset::from_rows(rows, &Default::default()).expect("dataset");
    assert!(!fits(&mids.series()[0]));
}

#[derive(Default)]
struct Listed(Vec<PassTrade>);

impl Sink for Listed {
    fn trade(&mut self, trade: &PassTrade) {
        self.0.push(*trade);
    }
    fn equity(&mut self, _i: usize, _equity: f64) {}
}

/// The parity rule of the backtest page on 100,000 bars with gaps.
#[test]
fn the_trade_list_of_vectorbt() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../data/vectorbt_parity.json")).expect("JSON");
    let number = |key: &str| fixture[key].as_f64().expect(key);
    let series =
        Series::from_ohlc("X", "X", 60_000, 0, &parity_bars(number("bars") as usize, SEED)).expect("series");
    let rule = Bollinger {
        n: number("n") as usize,
        k: number("k"),
        sl: Some(number("sl")),
        tp: Some(number("tp")),
        max_hold: None,
        short: false,
    };
    let plan = Plan::new(&rule, Fill::Close, Fees::flat(number("fee_bp"))).expect("no shorts");
    let mut listed = Listed::default();
    plan.run(&series, 1.0, &mut listed);
    let closed: Vec<&PassTrade> = listed.0.iter().filter(|trade| trade.reason != ExitReason::Open).collect();
    assert_eq!(closed.len(), number("trades") as usize);
    let lines: Vec<String> = closed.iter().map(|t| format!("{},{},{:.8}\n", t.i0, t.i1, t.exit)).collect();
    for (got, want) in lines.iter().zip(fixture["first"].as_array().expect("a list")) {
        assert_eq!(got.trim_end(), want.as_str().expect("text"));
    }
    let digest = Sha256::digest(lines.concat().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, fixture["sha256"].as_str().expect("text"));
    let left = closed.iter().map(|t| 1.0 + t.pnl / t.stake).product::<f64>();
    let (want, reasons) =
        (number("equity"), closed.iter().map(|t| t.reason).collect::<std::collections::BTreeSet<_>>());
    assert!((left / want - 1.0).abs() < 1e-9, "equity {left}, expected {want}");
    assert_eq!(reasons.len(), 5, "stops and targets, gaps of both, and signals: {reasons:?}");
}

/// The general engine gives the same list, so the pass is not the only witness.
#[test]
fn the_general_engine_on_the_same_bars() {
    let series = Series::from_ohlc("X", "X", 60_000, 0, &parity_bars(5_000, SEED)).expect("series");
    let rule = Bollinger { n: 20, k: 2.0, sl: Some(0.012), tp: Some(0.02), max_hold: None, short: false };
    let mut listed = Listed::default();
    Plan::new(&rule, Fill::Close, Fees::flat(5.0)).expect("no shorts").run(&series, 1.0, &mut listed);
    let data = Dataset::from_series(vec![series]).expect("dataset");
    let general = run(&data, &config(&rule, Fill::Close, Fees::flat(5.0))).expect("run");
    let facts: Vec<_> = general.trades.iter().map(|t| (t.i0, t.i1, t.exit, t.reason)).collect();
    let pass: Vec<_> = listed.0.iter().map(|t| (t.i0, t.i1, t.exit, t.reason)).collect();
    assert!(pass.len() > 50 && pass == facts, "{} and {}", pass.len(), facts.len());
}
