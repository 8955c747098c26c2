//! `lobstream daily watch`: the chain after every close, missed days first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lobstream_market::calendar::{Calendar, Day};
use lobstream_market::daily::job::{Job, JobStatus};

use super::import::summary;
use super::run::{Told, options, run_days, settings};
use crate::cli::daily::DailyWatch;
use crate::clock::Clock;
use crate::command::{interrupted, note, say};
use crate::daily::chain::Chain;
use crate::daily::history::{self, History};
use crate::daily::import::import;
use crate::daily::store::Store;
use crate::error::Error;

/// How often Ctrl-C is looked for while waiting.
const NAP: Duration = Duration::from_millis(200);
/// Trading days that are looked back for missed ones.
const LOOKED_BACK: usize = 250;

pub(super) fn execute(args: &DailyWatch) -> Result<(), Error> {
    let at_min = minutes(&args.at)?;
    let zone_min = zone(&args.tz)?;
    let from = args.from.as_deref().map(str::parse::<Day>).transpose();
    let from = from.map_err(|e| Error::usage(format!("--from: {e}")))?;
    let settings = settings(&args.how)?;
    Store::open_to_read(&args.place.dir)?;
    let store = Store::open_to_write(&args.place.dir)?;
    let stop = interrupted()?;
    let clock = Clock::start();
    loop {
        let now = Local::of(clock.wall_ns(), zone_min);
        if !args.bars.is_empty() {
            summary(&import(&store, &args.bars, None, |_| {})?).iter().for_each(say);
        }
        let (calendar, last) = history::calendar(&store)?;
        let due = due(&store, &calendar, last, from, &now, at_min)?;
        if let (Some(first), Some(end)) = (due.first(), due.last()) {
            say(format!("running {} trading days, {first} to {end}", due.len()));
            let options = options(&args.how, stop.clone())?;
            let history = History::load(&store, *first, *end, &settings)?;
            let mut chain = Chain::new(&store, &history, &settings, &options);
            match run_days(&mut chain, &due, &stop, Told::Summary) {
                // What failed today may work tomorrow; the next round does it again.
                Err(e @ Error::Partly { .. }) if !args.once => note(format!("note: {e}")),
                done => done?,
            }
        }
        if args.once {
            return Ok(());
        }
        let wait_ms = now.until(at_min);
        note(format!("next run in {} h {} min", wait_ms / 3_600_000, wait_ms / 60_000 % 60));
        if !sleep(wait_ms, &clock, &stop) {
            return Ok(());
        }
    }
}

/// Trading days up to now whose last job is not done, oldest first.
fn due(
    store: &Store,
    calendar: &Calendar,
    last: Day,
    from: Option<Day>,
    now: &Local,
    at_min: i64,
) -> Result<Vec<Day>, Error> {
    let over = |day: &Day| *day < now.day || (*day == now.day && now.minute >= at_min);
    let mut due = Vec::new();
    for day in calendar.last(last, LOOKED_BACK).iter().rev().filter(|d| over(d)) {
        let done = store.run(*day, Job::Candidates)?.is_some_and(|run| run.status == JobStatus::Ok);
        if from.is_some_and(|from| *day < from) || (from.is_none() && done) {
            break;
        }
        if !done {
            due.push(*day);
        }
    }
    due.reverse();
    // Nothing was ever run and nobody said where to begin: with the last day.
    if from.is_none() && due.len() == LOOKED_BACK.min(calendar.days().len()) {
        due.drain(..due.len().saturating_sub(1));
    }
    Ok(due)
}

/// The date and minute that a clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    day: Day,
    minute: i64,
    ms_of_day: i64,
}

impl Local {
    fn of(wall_ns: i64, zone_min: i64) -> Local {
        let ms = wall_ns.div_euclid(1_000_000) + zone_min * 60_000;
        let ms_of_day = ms.rem_euclid(86_400_000);
        let day = i32::try_from(ms.div_euclid(86_400_000)).ok().and_then(Day::from_1970);
        Local { day: day.expect("a clock of this century"), minute: ms_of_day / 60_000, ms_of_day }
    }

    /// ms until it is so many minutes past midnight again.
    fn until(&self, at_min: i64) -> i64 {
        let wait = at_min * 60_000 - self.ms_of_day;
        if wait > 0 { wait } else { wait + 86_400_000 }
    }
}

/// Waits; false if it shall stop.
fn sleep(ms: i64, clock: &Clock, stop: &AtomicBool) -> bool {
    let until = clock.mono().0 + Duration::from_millis(ms.unsigned_abs());
    while clock.mono().0 < until {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(NAP.min(until.saturating_sub(clock.mono().0)));
    }
    !stop.load(Ordering::Relaxed)
}

fn minutes(text: &str) -> Result<i64, Error> {
    let bad = || Error::usage(format!("--at {text:?} is no time of a day: write HH:MM such as 15:30"));
    let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
    let number = |t: &str, below: i64| t.parse::<i64>().ok().filter(|n| (0..below).contains(n));
    Ok(number(hours, 24).ok_or_else(bad)? * 60 + number(minutes, 60).ok_or_else(bad)?)
}

/// Minutes ahead of UTC. China has had one zone without summer time since 1991.
fn zone(text: &str) -> Result<i64, Error> {
    let bad = || {
        Error::usage(format!(
            "--tz {text:?} is not known: write Asia/Shanghai, UTC or an offset such as +08:00"
        ))
    };
    match text {
        "Asia/Shanghai" => Ok(480),
        "UTC" => Ok(0),
        _ => {
            let sign = match text.as_bytes().first() {
                Some(b'+') => 1,
                Some(b'-') => -1,
                _ => return Err(bad()),
            };
            minutes(&text[1..]).map(|m| sign * m).map_err(|_| bad())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_of_a_zone_is_told_from_utc() {
        // 2023-02-01 07:29:30 UTC is 15:29:30 in Shanghai.
        let now = Local::of(1_675_236_570_000_000_000, 480);
        assert_eq!((now.day.number(), now.minute), (20_230_201, 15 * 60 + 29));
        assert_eq!(now.until(15 * 60 + 30), 30_000);
        assert_eq!(now.until(15 * 60 + 29), 86_400_000 - 30_000);
        assert_eq!(Local::of(1_675_236_570_000_000_000, -480).day.number(), 20_230_131);
    }

    #[test]
    fn times_and_zones_are_read_or_refused() {
        assert_eq!(minutes("15:30").expect("a time"), 930);
        assert_eq!((zone("+08:00").expect("a zone"), zone("-03:30").expect("a zone")), (480, -210));
        for bad in ["24:00", "1530", "15:60", "-1:00"] {
            assert_eq!(minutes(bad).expect_err(bad).exit_code(), 2);
        }
        assert_eq!(zone("Mars").expect_err("no zone").exit_code(), 2);
    }
}
