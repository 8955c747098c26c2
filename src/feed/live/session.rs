//! One connection after the other: messages in, snapshots asked for when the sync machine wants one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lobstream_market::event::{Body, Control, MarketEvent, Refused, RefusedReason};
use lobstream_market::instrument::{Instrument, Symbol};
use lobstream_market::sync::{BookSync, SyncInput, SyncOptions, SyncState};
use lobstream_streams::time::Mono;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::feed::FeedEvent;
use crate::feed::backoff::Backoff;
use crate::feed::binance::{Asked, MessageError, Read, Reader, Source, rest};
use crate::feed::instruments::Known;
use crate::feed::live::request::{self, Failed};
use crate::feed::live::{Addresses, HELD, LiveItem, LiveOptions};
use crate::feed::socket::{Incoming, Socket};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(50);
const REQUEST_BASE: Duration = Duration::from_millis(500);
/// Snapshots under way at once.
const REQUESTS_MAX: usize = 2;

/// Why a connection ended.
pub(super) enum Ended {
    Stopped,
    Lost(String),
}

/// Everything that outlives a connection.
pub(super) struct Session {
    addresses: Addresses,
    silent_after: Duration,
    clock: Clock,
    send: Sender<LiveItem>,
    reader: Reader,
    books: BTreeMap<Symbol, Book>,
    /// The venue wants no request before.
    hold_until: Mono,
}

/// What is known of one symbol's book.
struct Book {
    instrument: Instrument,
    introduced: bool,
    sync: BookSync,
    backoff: Backoff,
    /// A snapshot is wanted, from this moment on.
    wanted: Option<Mono>,
    asking: bool,
    synced_at: Option<Mono>,
}

type Reply = (Symbol, Asked, Result<String, Failed>);

impl Session {
    pub(super) fn new(
        options: &LiveOptions,
        addresses: Addresses,
        known: Vec<Known>,
        clock: Clock,
        send: Sender<LiveItem>,
    ) -> Session {
        let book = |(i, known): (usize, &Known)| {
            let book = Book {
                instrument: known.instrument.clone(),
                introduced: false,
                sync: BookSync::new(options.venue, SyncOptions::default()),
                backoff: Backoff::new(REQUEST_BASE, options.seed.wrapping_add(1 + i as u64)),
                wanted: None,
                asking: false,
                synced_at: None,
            };
            (known.instrument.symbol.clone(), book)
        };
        Session {
            addresses,
            silent_after: options.silent_after,
            clock,
            send,
            books: known.iter().enumerate().map(book).collect(),
            reader: Reader::new(options.venue, known),
            hold_until: Mono::default(),
        }
    }

    /// One connection, from connecting to its end.
    pub(super) async fn run(&mut self, stop: &AtomicBool) -> Ended {
        let connected = tokio::select! {
            connected = Socket::connect(&self.addresses.stream, CONNECT_WITHIN) => connected,
            () = stopped(stop) => return Ended::Stopped,
        };
        let mut socket = match connected {
            Ok(socket) => socket,
            Err(reason) => return Ended::Lost(format!("{}: {reason}", self.addresses.stream)),
        };
        tracing::info!(url = %self.addresses.stream, "Connected");
        self.introduce().await;
        self.all(Control::Connected).await;
        let ended = self.listen(&mut socket, stop).await;
        self.all(Control::Disconnected).await;
        socket.close().await;
        ended
    }

    async fn listen(&mut self, socket: &mut Socket, stop: &AtomicBool) -> Ended {
        let mut replies: JoinSet<Reply> = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = self.clock.mono();
        loop {
            tokio::select! {
                incoming = socket.next() => {
                    alive = self.clock.mono();
                    match incoming {
                        Incoming::Text(text) => self.message(&text).await,
                        Incoming::Life => {}
                        Incoming::Closed(reason) => return Ended::Lost(reason),
                    }
                }
                Some(reply) = replies.join_next() => match reply {
                    Ok((symbol, asked, reply)) => self.reply(symbol, &asked, reply).await,
                    Err(error) => return Ended::Lost(format!("a request ended badly: {error}")),
                },
                _ = ticks.tick() => {
                    if stop.load(Ordering::SeqCst) || !self.tick().await {
                        return Ended::Stopped;
                    }
                    if self.clock.mono().since(alive) > self.silent_after {
                        self.all(Control::Stale).await;
                        return Ended::Lost(format!("nothing came for {} s", self.silent_after.as_secs()));
                    }
                    self.ask(&mut replies).await;
                }
            }
        }
    }

    /// Waits between two connections; time goes on for the readers of the topic.
    pub(super) async fn pause(&mut self, length: Duration, stop: &AtomicBool) {
        let began = self.clock.mono();
        while self.clock.mono().since(began) < length && !stop.load(Ordering::SeqCst) {
            tokio::time::sleep(TICK).await;
            if !self.tick().await {
                return;
            }
        }
    }

    /// `false`: nobody listens any more.
    async fn tick(&mut self) -> bool {
        self.send.send(LiveItem::Tick(self.clock.wall_ns())).await.is_ok()
    }

    async fn message(&mut self, json: &str) {
        let ts_recv = self.clock.wall_ns();
        // Read before anything is awaited: what tells the place stays on this thread.
        let read = {
            let source = Source { ts_recv: Some(ts_recv), place: &|| "live".to_owned() };
            self.reader.message(json.as_bytes(), &source)
        };
        match read {
            Ok(Read::Event(event)) => self.hand_over(event).await,
            Ok(Read::LeftOut(kind)) => tracing::debug!(%kind, "Message left out"),
            Err(MessageError::Malformed(what) | MessageError::Fatal(_, what)) => {
                tracing::warn!(%what, "Message that cannot be read");
                self.refuse_all(ts_recv, &what).await;
            }
        }
    }

    /// A message that does not tell its symbol may have been of any of them.
    async fn refuse_all(&mut self, ts_recv: i64, what: &str) {
        for symbol in self.symbols() {
            let refused =
                Refused { reason: RefusedReason::Parse, book: true, detail: format!("live: {what}") };
            self.note(&symbol, ts_recv, Body::Refused(refused)).await;
        }
    }

    async fn reply(&mut self, symbol: Symbol, asked: &Asked, reply: Result<String, Failed>) {
        let Some(book) = self.books.get_mut(&symbol) else { return };
        book.asking = false;
        let failed = match reply {
            Ok(body) => {
                let read = {
                    let ts_recv = Some(self.clock.wall_ns());
                    let source = Source { ts_recv, place: &|| "live snapshot".to_owned() };
                    self.reader.reply(body.as_bytes(), asked, &source)
                };
                match read {
                    Ok(Read::Event(event)) => return self.hand_over(event).await,
                    Ok(Read::LeftOut(kind)) => Failed { reason: kind, hold: None },
                    Err(MessageError::Malformed(what) | MessageError::Fatal(_, what)) => {
                        Failed { reason: what, hold: None }
                    }
                }
            }
            Err(failed) => failed,
        };
        tracing::warn!(%symbol, reason = %failed.reason, "No snapshot");
        let now = self.clock.mono();
        if let Some(hold) = failed.hold {
            self.hold_until = self.hold_until.max(Mono(now.0 + hold));
        }
        if let Some(book) = self.books.get_mut(&symbol) {
            book.wanted = Some(Mono(now.0 + book.backoff.next()));
        }
    }

    /// Starts the requests whose time has come.
    async fn ask(&mut self, replies: &mut JoinSet<Reply>) {
        let now = self.clock.mono();
        if now < self.hold_until {
            return;
        }
        for symbol in self.symbols() {
            let Some(book) = self.books.get_mut(&symbol) else { continue };
            let due = book.wanted.is_some_and(|at| at <= now) && !book.asking;
            if !due || replies.len() >= REQUESTS_MAX {
                continue;
            }
            (book.wanted, book.asking) = (None, true);
            if book.sync.state() == SyncState::Gap {
                let ts_recv = self.clock.wall_ns();
                self.note(&symbol, ts_recv, Body::Control(Control::ResyncStarted)).await;
            }
            let url = format!("{}{symbol}", self.addresses.depth);
            let asked = rest::asked(&url).unwrap_or_default();
            replies.spawn_blocking(move || {
                let reply = request::get(&url);
                (symbol, asked, reply)
            });
        }
    }

    /// The instrument is the first event of a symbol.
    async fn introduce(&mut self) {
        let ts_recv = self.clock.wall_ns();
        for symbol in self.symbols() {
            let Some(book) = self.books.get_mut(&symbol) else { continue };
            (book.wanted, book.asking) = (None, false);
            if !book.introduced {
                book.introduced = true;
                let body = Body::Instrument(book.instrument.clone());
                self.note(&symbol, ts_recv, body).await;
            }
        }
    }

    async fn all(&mut self, control: Control) {
        let ts_recv = self.clock.wall_ns();
        for symbol in self.symbols() {
            self.note(&symbol, ts_recv, Body::Control(control)).await;
        }
    }

    fn symbols(&self) -> Vec<Symbol> {
        self.books.keys().cloned().collect()
    }

    /// Something that the venue did not say.
    async fn note(&mut self, symbol: &Symbol, ts_recv: i64, body: Body) {
        let Some(book) = self.books.get(symbol) else { return };
        let event = MarketEvent { ts_event: None, ts_recv: Some(ts_recv), body };
        let venue = book.instrument.venue;
        let event = FeedEvent { venue, symbol: symbol.clone(), event, source: 0 };
        self.hand_over(event).await;
    }

    /// Hands an event over and tells the sync machine of it, in the same order.
    async fn hand_over(&mut self, event: FeedEvent) {
        if let Some(book) = self.books.get_mut(&event.symbol) {
            book.follow(&event.event.body, self.clock.mono());
        }
        // Nobody listens any more: the next tick sees it and ends the session.
        let _ = self.send.send(LiveItem::Event(Box::new(event))).await;
    }
}

/// Waits until the feed is told to stop.
async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(TICK).await;
    }
}

impl Book {
    fn follow(&mut self, body: &Body, now: Mono) {
        let Some(input) = SyncInput::of(body) else { return };
        let step = self.sync.step(input);
        if self.sync.state() == SyncState::Synced {
            self.synced_at.get_or_insert(now);
            self.wanted = None;
        } else if self.synced_at.take().is_some_and(|at| now.since(at) >= HELD) {
            self.backoff.reset();
        }
        if step.action.is_some() && self.wanted.is_none() && !self.asking {
            // The first attempt goes out at once, further ones wait until a book has held for a while.
            let first = self.backoff.is_fresh();
            let delay = self.backoff.next();
            self.wanted = Some(if first { now } else { Mono(now.0 + delay) });
        }
    }
}
