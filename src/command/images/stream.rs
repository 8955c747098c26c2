//! `lobstream images stream`: the topics of the exchanges in, images of each stock's day out.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lobstream_market::ashare::{Exchange, StockCode};
use lobstream_streams::error::Error as EngineError;
use lobstream_streams::log::{self, Log, TopicSpec};
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::Settings as EngineSettings;

use super::super::progress::spinner;
use super::super::run::{cores, state_of};
use super::super::{interrupted, note, say};
use crate::cli::ImagesStream;
use crate::clock::Clock;
use crate::codec::ashare;
use crate::config::{flags, images};
use crate::error::Error;
use crate::images::{CutsRow, DayMeta, Intraday, PrevCloses};
use crate::pipeline::images::{
    ImageMessage, ImagesOptions, IntradayOptions, LATE_AFTER_FINAL, Past, PastDay, topology,
};

/// How often the work is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn execute(args: &ImagesStream) -> Result<(), Error> {
    let output_prefix = args.output_prefix.as_ref().unwrap_or(&args.topic_prefix);
    flags::prefix("--topic-prefix", &args.topic_prefix)?;
    flags::prefix("--output-prefix", output_prefix)?;
    flags::name("--instance", &args.process.instance)?;
    let settings = images::load(args.config.as_deref())?;
    let options = ImagesOptions {
        app: args.app.clone(),
        topic_prefix: args.topic_prefix.clone(),
        output_prefix: output_prefix.clone(),
        image: settings.image,
        rows_max: settings.max_rows_per_stock,
        grace_s: settings.grace_s,
        reopen: settings.reopen,
        intraday: intraday(args, &settings.intraday)?,
    };
    if args.process.until_end && !log::exists(&args.log) {
        let what = format!("there is no log at {}: fill one with lobstream replay --date first", args.log);
        return Err(Error::Missing { what });
    }
    let log = log::open(&args.log)?;
    let exchanges = exchanges_of(&*log, &options, &args.log)?;
    let clock = Clock::start();
    let apps = exchanges
        .iter()
        .map(|exchange| open_app(args, &options, *exchange, &log, clock))
        .collect::<Result<Vec<_>, _>>()?;
    let stop = interrupted()?;
    let until = if args.process.until_end { Until::End } else { Until::Shutdown };
    let line = spinner("images");
    let ended = run(&apps, until, &stop, || {
        let (rows, images, _) = seen(&apps);
        line.set_message(format!("{rows} rows in, {images} images and late rows out"));
    });
    line.finish_and_clear();
    ended?;
    let (rows, outputs, late) = seen(&apps);
    say(format!("{rows} rows in, {} images out", outputs.saturating_sub(late)));
    if late > 0 {
        let prefix = &options.output_prefix;
        note(format!(
            "{late} rows came after the close of their day: they are in {prefix}late.<exchange> and in no image"
        ));
    }
    Ok(())
}

/// Rows in, records out, rows that came after their close and were put apart.
fn seen(apps: &[(App<ImageMessage>, Progress)]) -> (u64, u64, u64) {
    apps.iter().map(|(_, progress)| progress.snapshot()).fold((0, 0, 0), |(rows, out, late), now| {
        let more = now.counts.get(LATE_AFTER_FINAL).copied().unwrap_or(0);
        (rows + now.records_in, out + now.records_out, late + more)
    })
}

/// The exchanges whose rows the log has.
fn exchanges_of(log: &dyn Log, options: &ImagesOptions, uri: &str) -> Result<Vec<Exchange>, Error> {
    let topics = log.topics()?;
    let is_there =
        |exchange: &Exchange| topics.contains(&ashare::topic(&options.topic_prefix, "market", *exchange));
    let found: Vec<Exchange> = [Exchange::Sh, Exchange::Sz].into_iter().filter(is_there).collect();
    if found.is_empty() {
        let prefix = &options.topic_prefix;
        let what = format!(
            "neither {prefix}market.sse nor {prefix}market.szse is in {uri}: fill them with lobstream replay --date first"
        );
        return Err(Error::Missing { what });
    }
    Ok(found)
}

/// One application for an exchange, and the topics that it writes.
fn open_app(
    args: &ImagesStream,
    options: &ImagesOptions,
    exchange: Exchange,
    log: &Arc<dyn Log>,
    clock: Clock,
) -> Result<(App<ImageMessage>, Progress), Error> {
    let topology = topology(options, exchange)?;
    let input = ashare::topic(&options.topic_prefix, "market", exchange);
    let partitions = log.partitions(&input)?;
    for name in topology.sink_topics() {
        log.ensure_topic(&TopicSpec { name, partitions, retention: None, compact: false })?;
    }
    let mut settings = EngineSettings::default();
    settings.n_threads = args.process.threads.unwrap_or_else(cores);
    settings.state_dir = state_of(&args.state, &args.process.instance);
    settings.instance.clone_from(&args.process.instance);
    Ok((App::new(topology, Arc::clone(log), settings, Arc::new(clock)), Progress::default()))
}

/// Runs all of them; the first failure stops the others.
fn run(
    apps: &[(App<ImageMessage>, Progress)],
    until: Until,
    stop: &AtomicBool,
    show: impl Fn(),
) -> Result<(), Error> {
    let halt = AtomicBool::new(false);
    let ended: Result<(), EngineError> = thread::scope(|scope| {
        let halt = &halt;
        let running: Vec<_> =
            apps.iter().map(|(app, progress)| scope.spawn(move || app.run(until, halt, progress))).collect();
        while !running.iter().all(|app| app.is_finished()) {
            let failed = until == Until::Shutdown && running.iter().any(|app| app.is_finished());
            halt.store(failed || stop.load(Ordering::Relaxed), Ordering::Relaxed);
            show();
            thread::sleep(LOOK);
        }
        let join = |app: thread::ScopedJoinHandle<'_, _>| match app.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        running.into_iter().map(join).collect::<Vec<_>>().into_iter().collect()
    });
    Ok(ended?)
}

/// What images during the day need to know of past days.
fn intraday(args: &ImagesStream, settings: &Intraday) -> Result<Option<IntradayOptions>, Error> {
    let Some(every_s) = settings.every_s else { return Ok(None) };
    let (Some(history), Some(bars)) = (&args.history, &args.bars) else {
        return Err(Error::usage(
            "images during the day (images.intraday.every) need past days: name the folder of their images by \
             --history and a file of daily bars by --bars",
        ));
    };
    let past = Past { days: past_days(history)?, prev_close: PrevCloses::read(bars)?.0 };
    let (lookback, min_days) = (settings.lookback as usize, settings.min_days as usize);
    Ok(Some(IntradayOptions { every_s, lookback, min_days, past: Arc::new(past) }))
}

type ByStock<T> = BTreeMap<StockCode, BTreeMap<u32, T>>;

/// Cuts of all days in a folder.
fn past_days(dir: &Path) -> Result<ByStock<PastDay>, Error> {
    let mut days = ByStock::new();
    let failed = |e: std::io::Error| Error::file("cannot read", dir, e);
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(date) = name.strip_suffix(".meta.lmdb").and_then(|d| u32::from_str(d).ok()) else {
            continue;
        };
        let meta = DayMeta::open(&path)?;
        for key in meta.stocks()?.into_keys() {
            if let (Ok(code), Some(cuts)) = (key.parse::<StockCode>(), meta.cuts(&key)?) {
                let of: &mut BTreeMap<u32, PastDay> = days.entry(code).or_default();
                of.insert(date, past_day(&cuts));
            }
        }
    }
    Ok(days)
}

fn past_day(cuts: &CutsRow) -> PastDay {
    PastDay {
        trade_price_x8: cuts.trade_price_x8,
        trade_qty_x8: cuts.trade_qty_x8,
        order_price_x8: cuts.order_price_x8,
        order_qty_x8: cuts.order_qty_x8,
        threshold: cuts.threshold,
    }
}
