//! Speed of the core on recorded data held in memory, in CPU time of one core, no I/O.
//!
//! ```text
//! cargo bench --bench throughput -- FILE...      raw Binance lines; default: a synthetic market
//! ```
//! A *level update* is one price level of one depth message, snapshots included.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lobstream::codec::binary::{decode_event, encode_event};
use lobstream::error::Error;
use lobstream::feed::recorded::{RecordedFeed, RecordedOptions};
use lobstream::feed::synthetic::{SyntheticFeed, SyntheticOptions};
use lobstream::feed::{Feed, FeedEvent};
use lobstream_market::event::{Body, MarketEvent};
use lobstream_market::factor::{Continuity, FactorEngine, FactorSettings};
use lobstream_market::instrument::Instrument;
use lobstream_market::sync::{BookChange, BookSync, SyncInput, SyncOptions};

/// Each figure is the best of so many rounds, so that a busy neighbour counts little.
const ROUNDS: usize = 7;
/// A round repeats the work until it has used so much CPU.
const ROUND: Duration = Duration::from_millis(200);

fn main() -> Result<(), Error> {
    let files: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let events = load(files)?;
    let symbols = split(&events);
    let levels: u64 = events.iter().map(|e| levels(&e.event)).sum();
    let messages = events.len() as u64;
    println!("{messages} messages, {levels} level updates, {} symbols", symbols.len());

    let mut rows = 0;
    let took = best(|| rows = symbols.iter().map(|(i, events)| core(i, events, true)).sum());
    report("book + factors", levels, "level updates", took);
    println!("{:>20} rows made: {rows}", "");
    let took = best(|| rows = symbols.iter().map(|(i, events)| core(i, events, false)).sum());
    black_box(rows);
    report("book alone", levels, "level updates", took);

    let mut bytes = Vec::new();
    let encoded: Vec<Vec<u8>> = events
        .iter()
        .map(|e| {
            bytes.clear();
            encode_event(&e.event, &mut bytes);
            bytes.clone()
        })
        .collect();
    let took = best(|| {
        for event in &events {
            bytes.clear();
            encode_event(black_box(&event.event), &mut bytes);
        }
    });
    report("encode", messages, "messages", took);
    let took = best(|| encoded.iter().for_each(|b| drop(black_box(decode_event(b)))));
    report("decode", messages, "messages", took);
    let size: usize = encoded.iter().map(Vec::len).sum();
    println!("{:>20} {:.1} bytes a message", "", size as f64 / messages as f64);
    Ok(())
}

fn load(files: Vec<PathBuf>) -> Result<Vec<FeedEvent>, Error> {
    let mut events = Vec::new();
    if files.is_empty() {
        let mut feed = SyntheticFeed::new(42, SyntheticOptions::default());
        while let Some(event) = feed.next()? {
            events.push(event);
        }
        return Ok(events);
    }
    // One file after the other, each with books of its own.
    for file in files {
        let mut feed = RecordedFeed::open(&RecordedOptions { inputs: vec![file], ..Default::default() })?;
        while let Some(event) = feed.next()? {
            events.push(event);
        }
    }
    Ok(events)
}

/// Events by the instrument they follow: a new instrument record begins a new book.
fn split(events: &[FeedEvent]) -> Vec<(Instrument, Vec<&MarketEvent>)> {
    let mut symbols: Vec<(Instrument, Vec<&MarketEvent>)> = Vec::new();
    for FeedEvent { venue, symbol, event, .. } in events {
        match &event.body {
            Body::Instrument(instrument) => symbols.push((instrument.clone(), Vec::new())),
            Body::Snapshot(_) | Body::Delta(_) | Body::Trade(_) => {
                let open = symbols.iter_mut().rev().find(|(i, _)| i.venue == *venue && i.symbol == *symbol);
                open.expect("an instrument comes first").1.push(event);
            }
            Body::Quote(_) | Body::Control(_) | Body::Refused(_) => {}
        }
    }
    symbols
}

fn levels(event: &MarketEvent) -> u64 {
    match &event.body {
        Body::Snapshot(s) => (s.bids.len() + s.asks.len()) as u64,
        Body::Delta(d) => (d.bids.len() + d.asks.len()) as u64,
        Body::Instrument(_) | Body::Trade(_) | Body::Quote(_) | Body::Control(_) | Body::Refused(_) => 0,
    }
}

/// Keeps the book of one symbol and, if asked, its factors. Returns the number of rows.
fn core(instrument: &Instrument, events: &[&MarketEvent], factors: bool) -> u64 {
    let mut sync = BookSync::new(instrument.venue, SyncOptions::default());
    let mut engine = FactorEngine::new(instrument.clone(), FactorSettings::default());
    let (mut rows, mut n) = (Vec::new(), 0u64);
    for event in events {
        let at = event.ts_event;
        if let Some(input) = SyncInput::of(&event.body) {
            let change = sync.step(input).change;
            if factors {
                let view = sync.view();
                match change {
                    BookChange::None => engine.mark(at, &mut rows),
                    BookChange::Delta => engine.on_book(at, &view, Continuity::Delta, &mut rows),
                    BookChange::Joined | BookChange::Rejoined(_) => {
                        engine.on_book(at, &view, Continuity::Resync, &mut rows);
                    }
                    BookChange::Lost(why) | BookChange::Waiting(why) => {
                        engine.on_book_gap(at, why, &mut rows);
                    }
                }
            }
        } else if let (true, Body::Trade(trade)) = (factors, &event.body) {
            engine.on_trade(at, trade, &mut rows);
        }
        n += rows.len() as u64;
        rows.clear();
    }
    black_box(&sync);
    n
}

fn best(mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    let mut round = || {
        let (start, mut n) = (spent(begun), 0);
        loop {
            work();
            n += 1;
            let took = spent(begun).saturating_sub(start);
            if took >= ROUND {
                return took / n;
            }
        }
    };
    (0..ROUNDS).map(|_| round()).min().expect("at least one round")
}

/// CPU time of this thread, where the system tells it: a thread that waits for a core is not slow. Else the
/// time gone by.
fn spent(begun: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|text| text.split(' ').next()?.parse().ok());
    ns.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

fn report(what: &str, n: u64, unit: &str, took: Duration) {
    let rate = n as f64 / took.as_secs_f64() / 1e6;
    println!("{what:>20} {rate:8.2} M {unit}/s  ({:.1} ms)", took.as_secs_f64() * 1e3);
}
