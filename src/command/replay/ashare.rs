//! Replaying a day of A-share files: rows of both exchanges in the order in which they happened.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lobstream_market::ashare::StockCode;
use lobstream_streams::log;
use lobstream_streams::replay::{Pacer, Speed};
use lobstream_streams::time::Ts;

use super::super::progress::{Unit, bar};
use super::super::{interrupted, note, say};
use super::Pace;
use crate::cli;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed::ashare::{DayWriter, is_table, merged_rows, parse_date};

/// Rows between two looks at the clock for the bar.
const BAR_EVERY: u64 = 4_096;

/// Are these files of A-shares? The first one tells, or `--date`, which no other files need.
pub(super) fn is_meant(args: &cli::Replay) -> bool {
    args.date.is_some() || args.files.first().is_some_and(|file| is_table(file))
}

pub(super) fn execute(args: &cli::Replay, pace: &Pace) -> Result<(), Error> {
    let Some(date) = &args.date else {
        return Err(Error::usage("these are files of A-shares: tell their day by --date, such as 20230201"));
    };
    let date =
        parse_date(date).ok_or_else(|| Error::usage(format!("--date {date:?} is no day: write 20230201")))?;
    if pace.control || pace.speed == Speed::Step {
        return Err(Error::usage(
            "orders are not followed for files of A-shares: leave --control and step out",
        ));
    }
    let stop = interrupted()?;
    // Files that are refused leave no log behind.
    let symbols = symbols(args.facts.symbol.as_deref())?;
    let rows = merged_rows(date, &args.files, &symbols)?;
    let log = log::open(&args.log)?;
    let mut writer = DayWriter::open(&*log, &args.topic_prefix, args.partitions)?;
    let clock = Clock::start();
    let (mut pacer, mut passed) = (Pacer::new(pace.speed, pace.gap_max), 0u64);
    let bar = bar("replay", rows.len() as u64, Unit::Count);
    for (n, (code, row)) in (0..).zip(&rows) {
        let ts = Ts(row.time().ts_ns(date));
        if pace.from.is_some_and(|from| ts < from) {
            passed += 1;
            continue;
        }
        if pace.speed != Speed::Max {
            pacer.offer(ts, clock.mono());
            wait(&mut pacer, &clock, &mut writer, &stop)?;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        writer.write(date, *code, row)?;
        if u64::is_multiple_of(n, BAR_EVERY) {
            bar.set_position(n);
        }
    }
    let stopped = stop.load(Ordering::Relaxed);
    let written = if stopped { writer.leave()? } else { writer.finish(date)? };
    bar.finish_and_clear();
    for (topic, n) in &written {
        say(format!("{topic}: {n} rows"));
    }
    let seconds = clock.mono().0.as_secs_f64().max(1e-6);
    let total: u64 = written.values().sum();
    say(format!("{total} rows in {seconds:.2} s ({:.0}/s)", total as f64 / seconds));
    if passed > 0 {
        note(format!("{passed} rows passed over: images of this day are not whole"));
    }
    if stopped {
        note("interrupted: the log holds the day up to here");
    }
    Ok(())
}

/// Sleeps until the row is due; what was released before is handed over first.
fn wait(
    pacer: &mut Pacer,
    clock: &Clock,
    writer: &mut DayWriter<'_>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    if pacer.wait(clock.mono()).is_some() {
        writer.flush()?;
    }
    while let Some(wait) = pacer.wait(clock.mono()) {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        thread::sleep(wait);
    }
    pacer.released(clock.mono());
    Ok(())
}

fn symbols(text: Option<&str>) -> Result<BTreeSet<StockCode>, Error> {
    let parse = |s: &str| s.trim().parse().map_err(|e| Error::usage(format!("--symbol: {e}")));
    text.into_iter().flat_map(|t| t.split(',')).map(parse).collect()
}
