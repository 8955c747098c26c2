//! Speed of bands and active pool over long histories in memory: 140 stocks × 30 years.
//!
//! ```text
//! cargo bench -p lobstream-market --bench daily
//! ```
//! CPU time of one core, best of three rounds; stocks are the work of one thread each, and threads share nothing.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::Instant;

use lobstream_market::ashare::{Board, Exchange, StockCode};
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::{BandSettings, points, positions};
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::pool::{PoolBar, PoolSettings, PoolStock, judge};

const STOCKS: u64 = 140;
const DAYS: i32 = 4_664;

fn main() {
    let stocks: Vec<(StockCode, Vec<Bar>)> = (0..STOCKS).map(stock).collect();
    let rows: usize = stocks.iter().map(|(_, bars)| bars.len()).sum();
    say("bands of every bar", rows, || {
        for (code, bars) in &stocks {
            for (point, bar) in points(bars, 0, &BandSettings::default()).iter().zip(bars) {
                black_box(point.map(|point| point.row(*code, "", bar.day)));
            }
        }
    });
    say("pool of every day", rows, || stocks.iter().for_each(|(code, bars)| pools(*code, bars)));
}

fn stock(seed: u64) -> (StockCode, Vec<Bar>) {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let first = Day::from_number(19_910_102).expect("a date");
    let mut close = 20.0;
    let bar = |n: i32| {
        let pre_close = close;
        close *= 0.97 + 0.0605 * draw();
        let (high, low) = (close * 1.01, close * 0.99);
        let volume = 1e6 + 1e7 * draw() * draw() * draw() * draw();
        Bar {
            day: first.plus(n * 7 / 5),
            open: pre_close,
            high,
            low,
            close,
            pre_close: Some(pre_close),
            volume: Some(volume),
            amount: Some(volume * close),
            factor: 1.0,
        }
    };
    let code = StockCode::from_number(600_000 + seed, Exchange::Sh).expect("a code");
    (code, (0..DAYS).map(bar).collect())
}

fn pools(code: StockCode, bars: &[Bar]) {
    let settings = PoolSettings::default();
    let stock = PoolStock { code, board: Board::Main, is_st: false, is_delisted: false, has_bar_today: true };
    let positions = positions(bars, &BandSettings::default());
    let all: Vec<PoolBar> = bars
        .iter()
        .zip(positions)
        .map(|(bar, positions)| PoolBar { positions, amount: bar.amount })
        .collect();
    for (i, bar) in bars.iter().enumerate() {
        let first = bar.day.plus(1 - settings.window_days as i32);
        let begin = bars[..i].partition_point(|b| b.day < first);
        let _ = black_box(judge(&stock, bar.day, &all[begin..=i], &settings));
    }
}

fn say(what: &str, rows: usize, work: impl Fn()) {
    let round = || {
        let (begin, begin_ns) = (Instant::now(), cpu_ns());
        work();
        let wall = begin.elapsed().as_secs_f64();
        begin_ns.zip(cpu_ns()).map_or(wall, |(begin, end)| (end - begin) as f64 / 1e9)
    };
    let best = (0..3).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{what}: {rows} rows in {best:.2} s of CPU, {:.1} M rows/s", rows as f64 / best / 1e6);
}

/// Time that this thread has spent on a core.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
