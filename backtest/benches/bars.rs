//! Speed of the band rule: one pass over bars held in memory, and a sweep over daily bars of many stocks.
//!
//! ```text
//! cargo bench -p lobstream-backtest --bench bars [-- pass | sweep]
//! ```
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../tests/support/parity.rs"]
mod parity;

use std::hint::black_box;
use std::time::{Duration, Instant};

use lobstream_backtest::band_pass::{PassTrade, Plan, Sink};
use lobstream_backtest::engine::Fill;
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::strategy::Bollinger;
use lobstream_backtest::sweep::{Axis, Choice, Objective, SweepConfig, sweep};
use lobstream_backtest::{Accounting, Dataset, RunConfig, Series, StrategyConfig, run};

use self::parity::{SEED, parity_bars};

const DAY_MS: i64 = 86_400_000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|arg| arg == name);
    if asked("pass") {
        pass();
    }
    if asked("sweep") {
        swept();
    }
}

/// Keeps the trades; equity is made and thrown away.
#[derive(Default)]
struct Trades(Vec<PassTrade>);

impl Sink for Trades {
    fn trade(&mut self, trade: &PassTrade) {
        self.0.push(*trade);
    }
    #[inline(always)]
    fn equity(&mut self, _i: usize, equity: f64) {
        black_box(equity);
    }
}

fn pass() {
    for n in [100_000, 1_000_000] {
        let series = Series::from_ohlc("X", "X", 60_000, 0, &parity_bars(n, SEED)).expect("series");
        let rule = Bollinger { n: 20, k: 2.0, sl: Some(0.012), tp: Some(0.02), max_hold: None, short: false };
        for fill in [Fill::Close, Fill::NextOpen] {
            let plan = Plan::new(&rule, fill, Fees::flat(5.0)).expect("no shorts");
            let mut found = 0;
            let took = best(|| {
                let mut sink = Trades::default();
                plan.run(black_box(&series), 1.0, &mut sink);
                found = sink.0.len();
            });
            println!(
                "one pass, {n} bars, fill {}: {} bars/s, {found} trades",
                fill.as_str(),
                millions(n, took)
            );
        }
        let data = Dataset::from_series(vec![series]).expect("dataset");
        let config = RunConfig { fill: Fill::Close, ..unit(StrategyConfig::Bollinger(rule)) };
        let took = best(|| {
            black_box(run(black_box(&data), &config).expect("run"));
        });
        println!("general engine with all measures, {n} bars: {} bars/s", millions(n, took));
    }
}

/// 140 stocks × 4,643 days, 1,000 combinations.
fn swept() {
    let series = |i: u64| {
        let symbol = format!("{i:06}.SH");
        Series::from_ohlc("SSE", &symbol, DAY_MS, 0, &parity_bars(4_643, i)).expect("series")
    };
    let data = Dataset::from_series((0..140).map(series).collect()).expect("dataset");
    let n_bars: usize = data.series().iter().map(|series| series.bars.len()).sum();
    let axis = |name, from, to, step| Axis::range(name, from, to, step).expect("range");
    let config = SweepConfig {
        base: RunConfig { fill: Fill::NextOpen, ..unit(StrategyConfig::Bollinger(Bollinger::default())) },
        axes: vec![
            axis("n", 10.0, 55.0, 5.0),
            axis("k", 1.0, 2.8, 0.2),
            axis("sl", 0.01, 0.05, 0.01),
            Axis { name: "tp".to_owned(), values: ["none", "0.05"].map(str::to_owned).into() },
        ],
        choice: Choice::Grid,
        objective: Objective::Sharpe,
        min_trades: 10,
    };
    let begin = Instant::now();
    let result = sweep(&data, &config).expect("sweep");
    let took = begin.elapsed();
    let n = result.rows.len();
    let rate = millions(n_bars * n, took);
    println!("sweep: {n} combinations × {n_bars} bars in {:.2} s, {rate} bars/s", took.as_secs_f64());
}

fn unit(strategy: StrategyConfig) -> RunConfig {
    RunConfig {
        strategy,
        accounting: Accounting::Unit,
        fees: Some(Fees::flat(5.0)),
        slippage: Slippage::None,
        conventions: Conventions::ASHARE,
        ..RunConfig::default()
    }
}

/// Long enough for a clock of some milliseconds.
const ROUND: Duration = Duration::from_millis(200);

/// The least time of fifteen rounds in CPU time of this thread, as the peer is measured; where the system does not tell
/// it, wall time. A round does the work as often as it can.
fn best(mut work: impl FnMut()) -> Duration {
    let round = |work: &mut dyn FnMut()| {
        let (begin, begin_ns, mut n) = (Instant::now(), cpu_ns(), 0);
        while begin.elapsed() < ROUND {
            work();
            n += 1;
        }
        let wall = begin.elapsed();
        begin_ns.zip(cpu_ns()).map_or(wall, |(begin, end)| Duration::from_nanos(end - begin)) / n
    };
    (0..15).map(|_| round(&mut work)).min().expect("rounds")
}

/// Time that this thread has spent on a core.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn millions(n: usize, took: Duration) -> String {
    format!("{:.1} M", n as f64 / took.as_secs_f64() / 1e6)
}
