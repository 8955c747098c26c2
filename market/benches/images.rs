//! Speed of A-share stock-days in memory: rows as the exchange sends them → the stock's day → its image.
//!
//! ```text
//! cargo bench -p lobstream-market --bench images [-- ROWS]     rows of a stock-day, default 300 000
//! ```
//! Time of one core, best of many rounds; a stock-day is the work of one thread, and threads share nothing. What takes
//! long is told in CPU time. The system counts that in steps of some milliseconds, so what is over sooner is told in wall
//! time: a neighbour spoils some of its rounds and not the best one.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::Instant;

use lobstream_market::ashare::{DayMaker, Exchange, SseRow, StockCode, StockDay, SzseExecution, SzseOrder};
use lobstream_market::images::{ImageSettings, Painter};
use lobstream_market::synthetic::ashare::{AshareDay, AshareOptions};

/// Rows of all rounds together.
const ROWS_ALL: usize = 10_000_000;
/// Shorter spans are told in wall time.
const CPU_FROM_S: f64 = 0.02;

fn main() {
    let rows = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(300_000);
    let options = AshareOptions { stocks: 1, rows };
    shanghai(&AshareDay::new(1, Exchange::Sh, options).flat_map(|second| second.sse).collect::<Vec<_>>());
    let (mut orders, mut executions) = (Vec::new(), Vec::new());
    for second in AshareDay::new(1, Exchange::Sz, options) {
        orders.extend(second.orders);
        executions.extend(second.executions);
    }
    shenzhen(&orders, &executions);
}

fn shanghai(told: &[(StockCode, SseRow)]) {
    let (code, rows) = (told[0].0, told.iter().map(|(_, row)| *row).collect::<Vec<_>>());
    both("Shanghai", rows.len(), || rows.clone(), |rows, maker| maker.sse(code, rows));
}

fn shenzhen(orders: &[(StockCode, SzseOrder)], executions: &[(StockCode, SzseExecution)]) {
    let code = orders[0].0;
    let orders: Vec<SzseOrder> = orders.iter().map(|(_, row)| *row).collect();
    let executions: Vec<SzseExecution> = executions.iter().map(|(_, row)| *row).collect();
    let rows = orders.len() + executions.len();
    both(
        "Shenzhen",
        rows,
        || (orders.clone(), executions.clone()),
        |(orders, executions), maker| maker.szse(code, orders, executions),
    );
}

/// Measures the day that rows make, and the image that the day makes; copying the rows is not counted.
fn both<R>(
    name: &str,
    rows: usize,
    copy: impl Fn() -> R,
    day: impl for<'m> Fn(&mut R, &'m mut DayMaker) -> &'m StockDay,
) {
    let (mut maker, mut painter) = (DayMaker::default(), Painter::new(ImageSettings::default()));
    let (mut day_s, mut image_s) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..(ROWS_ALL / rows).max(15) {
        let mut copied = copy();
        let start = Start::now();
        let day = black_box(day(&mut copied, &mut maker));
        day_s = day_s.min(start.seconds());
        let start = Start::now();
        black_box(painter.paint(day)).expect("sums of a day are small");
        image_s = image_s.min(start.seconds());
    }
    let rate = |seconds: f64| rows as f64 / seconds / 1e6;
    println!(
        "{name}: {rows} rows; rows → day {:.1}, day → image {:.1}, both {:.1} million rows/s on one core",
        rate(day_s),
        rate(image_s),
        rate(day_s + image_s)
    );
}

/// A moment, in CPU time of this thread where the system tells it, else in wall time.
struct Start {
    wall: Instant,
    cpu_ns: Option<u64>,
}

impl Start {
    fn now() -> Start {
        Start { wall: Instant::now(), cpu_ns: cpu_ns() }
    }

    fn seconds(&self) -> f64 {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu = self.cpu_ns.zip(cpu_ns()).map(|(from, to)| (to - from) as f64 / 1e9);
        cpu.filter(|cpu| *cpu >= CPU_FROM_S).unwrap_or(wall)
    }
}

/// Time that this thread has spent on a core.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
