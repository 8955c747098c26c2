//! `lobstream demo`: the whole road in one command, on a synthetic market or on recorded files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use lobstream_market::instrument::Venue;
use lobstream_streams::log::{self, Log};
use lobstream_streams::runtime::Until;
use lobstream_streams::settings::{Guarantee, Sharing};

use super::backtest::{BacktestOptions, Source, backtest, config, summary, write};
use super::digest::{DigestOptions, KindDigest, digest};
use super::progress::{Unit, bar, spinner};
use super::replay::{Pace, Poured, pour, tell_oddities};
use super::run::{INSTANCE, RunOptions, RunReport, cores, run};
use super::{interrupted, note, say};
use crate::cli;
use crate::config::rules;
use crate::error::Error;
use crate::feed::Feed;
use crate::feed::recorded::{RecordedFeed, RecordedOptions};
use crate::feed::synthetic::{SyntheticFeed, SyntheticOptions};
use crate::feed::writer::WriterOptions;
use crate::pipeline::SymbolsSeen;
use crate::pipeline::factors::PipelineOptions;

/// Marks a folder as one that a demo may replace.
const MARKER: &str = ".lobstream-demo";
/// What a demo leaves in its folder besides the report.
const LOG: &str = "log";
const RESULTS: &str = "results";
/// Thresholds of a demo without `--rules`.
const RULES: &str = include_str!("../../examples/rules.toml");

pub(super) fn execute(args: &cli::Demo) -> Result<(), Error> {
    let out = &args.out;
    // Files that are refused leave an earlier demo as it is.
    let recorded = match args.input.is_empty() {
        true => None,
        false => {
            Some(RecordedFeed::open(&RecordedOptions { inputs: args.input.clone(), ..Default::default() })?)
        }
    };
    fresh_folder(out)?;
    let stop = interrupted()?;
    let uri = format!("embedded:{}", out.join(LOG).display());
    let log = log::open(&uri)?;
    let (venues, poured) = fill(args, recorded, &log, &stop)?;
    tell_oddities(&poured.report);
    let ran = process(args, &log, venues, &stop)?;
    drop(log);
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    let line = spinner("backtest");
    let results = results_uri(out);
    let options = BacktestOptions {
        source: Source::Rows { from: results.clone(), step_ms: 1_000 },
        symbols: Vec::new(),
        config: config("bollinger_flow", &[])?,
    };
    let result = backtest(&options);
    line.set_message("charts");
    let done = result.and_then(|result| Ok((write(&result, out, true)?, result)));
    line.finish_and_clear();
    let (files, result) = done?;
    say(road(&poured, &ran, result.trades.len()));
    say(summary(&result));
    result.warnings.iter().for_each(|w| note(format!("note: {w}")));
    say(format!("open {}", out.join("report.html").display()));
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "png" || e == "csv")) {
        say(format!("     {}", file.display()));
    }
    digest(&DigestOptions { from: results })?.iter().for_each(|line: &KindDigest| say(line));
    say(format!("hash {}", result.hash));
    Ok(())
}

fn results_uri(out: &Path) -> String {
    format!("lmdb:{}", out.join(RESULTS).display())
}

/// An empty folder, or one that an earlier demo left: its files are removed, others are not touched.
fn fresh_folder(out: &Path) -> Result<(), Error> {
    let failed = |what| move |e: std::io::Error| Error::file(what, out, e);
    let marker = out.join(MARKER);
    let occupied = out.exists() && fs::read_dir(out).map_err(failed("cannot read"))?.next().is_some();
    if occupied && !marker.exists() {
        let what = format!("{} is not empty and not of an earlier demo: name another --out", out.display());
        return Err(Error::Exists { what });
    }
    for folder in [LOG, RESULTS] {
        let path = out.join(folder);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed("cannot clear"))?;
        }
    }
    fs::create_dir_all(out).map_err(failed("cannot make"))?;
    fs::write(&marker, "made by lobstream demo; replaced by the next one\n")
        .map_err(failed("cannot write in"))
}

/// Generated or recorded events into the log.
fn fill(
    args: &cli::Demo,
    recorded: Option<RecordedFeed>,
    log: &Arc<dyn Log>,
    stop: &AtomicBool,
) -> Result<(Vec<Venue>, Poured), Error> {
    let Some(mut feed) = recorded else {
        let seconds = u64::from(args.minutes) * 60;
        let mut feed =
            SyntheticFeed::new(args.seed, SyntheticOptions { seconds, ..SyntheticOptions::default() });
        let bar = bar("market", seconds, Unit::Count);
        let poured = pour_all(&mut feed, log, stop, |seconds| bar.set_position(seconds));
        bar.finish_and_clear();
        return Ok((vec![SyntheticFeed::VENUE], poured?));
    };
    let bar = bar("replay", feed.bytes(), Unit::Bytes);
    let poured = pour_all(&mut feed, log, stop, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let mut venues: Vec<Venue> = feed.instruments().map(|known| known.instrument.venue).collect();
    venues.sort();
    venues.dedup();
    Ok((venues, poured?))
}

fn pour_all<F: Feed + Send>(
    feed: &mut F,
    log: &Arc<dyn Log>,
    stop: &AtomicBool,
    show: impl Fn(u64),
) -> Result<Poured, Error> {
    pour(feed, log, WriterOptions::default(), &Pace::MAX, stop, |far| show(far.done))
}

fn process(
    args: &cli::Demo,
    log: &Arc<dyn Log>,
    venues: Vec<Venue>,
    stop: &AtomicBool,
) -> Result<RunReport, Error> {
    let rules = match &args.rules {
        Some(file) => rules::load(Some(file))?,
        None => rules::parse("built-in rules", RULES)?,
    };
    let options = RunOptions {
        pipeline: PipelineOptions {
            app: "demo".to_owned(),
            topic_prefix: String::new(),
            output_prefix: String::new(),
            venues,
            rules: Arc::new(rules),
            seen: SymbolsSeen::default(),
            disorder: WriterOptions::default().disorder,
        },
        results: vec![results_uri(&args.out)],
        until: Until::End,
        threads: args.threads.unwrap_or_else(cores),
        state_dir: PathBuf::new(),
        instance: INSTANCE.to_owned(),
        sharing: Sharing::Static,
        guarantee: Guarantee::ExactlyOnce,
        standby: None,
    };
    let line = spinner("run");
    let ran = run(&options, log, stop, |now| {
        line.set_message(format!("{} records in, {} out", now.records, now.outputs));
    });
    line.finish_and_clear();
    ran
}

/// What went through every stretch of the road.
fn road(poured: &Poured, ran: &RunReport, trades: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["step", "what", "count"]);
    let seconds = |d: Duration| format!("{:.1} s", d.as_secs_f64());
    table.add_row(["log", "events written", &poured.written.events.to_string()]);
    table.add_row(["", "beacons written", &poured.written.beacons.to_string()]);
    table.add_row(["", "took", &seconds(poured.took)]);
    table.add_row(["run", "records read", &ran.records.to_string()]);
    table.add_row(["", "rows and signals written", &ran.outputs.to_string()]);
    for (name, rows) in &ran.stored {
        table.add_row(["store", name, &rows.to_string()]);
    }
    table.add_row(["backtest", "trades", &trades.to_string()]);
    table
}
