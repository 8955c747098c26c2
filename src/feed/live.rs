//! A live feed: one connection to a venue, joined again and again, its messages in arrival order.
//!
//! A thread of its own runs the connection; what it receives comes through a bounded channel, so that a slow
//! log slows the reading and nothing is dropped here. Beside the events the feed runs the venue's sync machine,
//! only to know when a snapshot is needed.

mod request;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lobstream_market::instrument::{Symbol, Venue};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::error::Error;
use crate::feed::backoff::Backoff;
use crate::feed::binance::rest;
use crate::feed::writer::{TopicWriter, Written};
use crate::feed::{FeedEvent, FeedReport};

use session::{Ended, Session};

/// Items between the connection and whoever reads.
const CHANNEL: usize = 16_384;
const RECONNECT_BASE: Duration = Duration::from_secs(1);
/// A connection that held so long starts the delays anew.
const HELD: Duration = Duration::from_secs(60);

/// What to read, and from where.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// `binance-spot` or `binance-usdm`.
    pub venue: Venue,
    /// At least one.
    pub symbols: Vec<Symbol>,
    /// WebSocket address; `None`: the venue's own.
    pub ws_base: Option<String>,
    /// REST address; `None`: the venue's own.
    pub rest_base: Option<String>,
    /// Levels a side of a snapshot. Default: the most that can be joined, 5 000 on spot, 1 000 on USD-M.
    pub depth: Option<u32>,
    /// After so long without any sign of life the connection is given up. Default 30 s.
    pub silent_after: Duration,
    /// Of the jitter in delays, so that many clients do not come back at once.
    pub seed: u64,
}

impl LiveOptions {
    /// The venue's own addresses and limits.
    ///
    /// # Errors
    /// A venue without a live feed, or no symbol.
    pub fn new(venue: Venue, symbols: Vec<Symbol>, seed: u64) -> Result<LiveOptions, Error> {
        own(venue)?;
        if symbols.is_empty() {
            return Err(Error::usage("--symbols names no symbol"));
        }
        Ok(LiveOptions {
            venue,
            symbols,
            ws_base: None,
            rest_base: None,
            depth: None,
            silent_after: Duration::from_secs(30),
            seed,
        })
    }
}

/// A venue's own addresses and the most levels that a snapshot may have.
#[derive(Clone, Copy, Debug)]
struct Own {
    ws: &'static str,
    rest: &'static str,
    depth: u32,
}

fn own(venue: Venue) -> Result<Own, Error> {
    match venue {
        Venue::BinanceSpot => {
            Ok(Own { ws: "wss://stream.binance.com:9443", rest: "https://api.binance.com", depth: 5_000 })
        }
        Venue::BinanceUsdm => {
            Ok(Own { ws: "wss://fstream.binance.com/public", rest: "https://fapi.binance.com", depth: 1_000 })
        }
        Venue::BinanceCoinm | Venue::Unsequenced => Err(Error::usage(format!(
            "--venue {venue} has no live feed in this version: binance-spot or binance-usdm"
        ))),
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
struct Addresses {
    stream: String,
    depth: String,
    exchange_info: String,
}

impl Addresses {
    fn of(options: &LiveOptions) -> Result<Addresses, Error> {
        let own = own(options.venue)?;
        let base = |given: &Option<String>, own: &str| {
            given.as_deref().unwrap_or(own).trim_end_matches('/').to_owned()
        };
        let streams = options.symbols.iter().flat_map(|symbol| {
            let symbol = symbol.as_str().to_ascii_lowercase();
            ["depth@100ms", "trade", "bookTicker"].map(|kind| format!("{symbol}@{kind}"))
        });
        let rest = base(&options.rest_base, own.rest);
        let path = rest::depth_path(options.venue).unwrap_or_default();
        Ok(Addresses {
            stream: format!(
                "{}/stream?streams={}",
                base(&options.ws_base, own.ws),
                streams.collect::<Vec<_>>().join("/")
            ),
            depth: format!("{rest}{path}?limit={}&symbol=", options.depth.unwrap_or(own.depth)),
            exchange_info: format!("{rest}{}", path.replace("/depth", "/exchangeInfo")),
        })
    }
}

/// What a live feed hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveItem {
    /// Something happened.
    Event(Box<FeedEvent>),
    /// Receive time went on, ns: time for a beacon and for making things durable.
    Tick(i64),
}

/// A running connection.
#[derive(Debug)]
pub struct LiveFeed {
    items: mpsc::Receiver<LiveItem>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    report: FeedReport,
}

impl LiveFeed {
    /// Asks the venue for the instruments and connects. Setting `stop` ends the feed.
    ///
    /// # Errors
    /// A venue without a live feed, one that does not answer, or that does not know a symbol.
    pub fn start(options: LiveOptions, clock: Clock, stop: Arc<AtomicBool>) -> Result<LiveFeed, Error> {
        let addresses = Addresses::of(&options)?;
        let known = request::instruments(&options, &addresses)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| venue_error(&options, &addresses.stream, &e.to_string()))?;
        let (send, items) = mpsc::channel(CHANNEL);
        let connection = async move {
            let mut session = Session::new(&options, addresses, known, clock, send);
            stay_connected(&mut session, &options, clock, &stop).await
        };
        let thread = std::thread::Builder::new()
            .name("live".into())
            .spawn(move || {
                let ended = runtime.block_on(connection);
                // A request may still be waiting for its reply; nobody waits for it any more.
                runtime.shutdown_background();
                ended
            })
            .map_err(|e| Error::usage(format!("no thread for the connection: {e}")))?;
        Ok(LiveFeed { items, thread: Some(thread), report: FeedReport::default() })
    }

    /// Waits for the next item; `None` once stopped and everything was handed over.
    ///
    /// # Errors
    /// The connection cannot go on.
    pub fn wait(&mut self) -> Result<Option<LiveItem>, Error> {
        if let Some(item) = self.items.blocking_recv() {
            if let LiveItem::Event(event) = &item {
                self.report.lines += 1;
                self.report.count(&event.event.body);
            }
            return Ok(Some(item));
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended.map(|()| None),
            Some(Err(_)) => Err(Error::usage("the connection's thread panicked: this is a bug, report it")),
            None => Ok(None),
        }
    }

    /// Writes everything until the feed is stopped. No bye is written: the feed may come back.
    ///
    /// # Errors
    /// The connection cannot go on, or the log takes no more.
    pub fn pour(&mut self, mut writer: TopicWriter<'_>) -> Result<Written, Error> {
        while let Some(item) = self.wait()? {
            match item {
                LiveItem::Event(event) => writer.write(&event)?,
                LiveItem::Tick(now) => {
                    writer.beat(now)?;
                    writer.flush()?;
                }
            }
        }
        writer.leave()
    }

    /// What was handed over so far.
    pub fn report(&self) -> &FeedReport {
        &self.report
    }
}

/// Connects, and connects again, until told to stop.
async fn stay_connected(
    session: &mut Session,
    options: &LiveOptions,
    clock: Clock,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let mut backoff = Backoff::new(RECONNECT_BASE, options.seed);
    while !stop.load(Ordering::SeqCst) {
        let began = clock.mono();
        match session.run(stop).await {
            Ended::Stopped => break,
            Ended::Lost(reason) => tracing::warn!(venue = %options.venue, %reason, "Connection lost"),
        }
        if clock.mono().since(began) >= HELD {
            backoff.reset();
        }
        session.pause(backoff.next(), stop).await;
    }
    Ok(())
}

fn venue_error(options: &LiveOptions, url: &str, reason: &str) -> Error {
    Error::Venue { venue: options.venue.to_string(), url: url.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_venue() {
        let options = |venue| LiveOptions::new(venue, vec![Symbol::new("BTCUSDT")], 1);
        let usdm = Addresses::of(&options(Venue::BinanceUsdm).expect("live")).expect("addresses");
        assert_eq!(
            usdm.stream,
            "wss://fstream.binance.com/public/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"
        );
        assert_eq!(usdm.depth, "https://fapi.binance.com/fapi/v1/depth?limit=1000&symbol=");
        assert_eq!(usdm.exchange_info, "https://fapi.binance.com/fapi/v1/exchangeInfo");
        let mut spot = options(Venue::BinanceSpot).expect("live");
        spot.rest_base = Some("http://127.0.0.1:9/".into());
        let spot = Addresses::of(&spot).expect("addresses");
        assert_eq!(spot.depth, "http://127.0.0.1:9/api/v3/depth?limit=5000&symbol=");
        assert!(options(Venue::BinanceCoinm).is_err_and(|e| e.exit_code() == 2));
    }

    #[test]
    fn a_venue_that_does_not_answer_is_told_at_the_start() {
        let mut options = LiveOptions::new(Venue::BinanceUsdm, vec![Symbol::new("X")], 1).expect("live");
        options.rest_base = Some("http://127.0.0.1:1".into());
        let error = LiveFeed::start(options, Clock::start(), Arc::default()).expect_err("nobody there");
        assert!(error.to_string().contains("127.0.0.1:1/fapi/v1/exchangeInfo"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
