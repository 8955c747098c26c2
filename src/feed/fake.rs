//! A venue on loopback that replays a recorded file over real WebSockets and HTTP: for tests of the live feed.
//!
//! It begins where the file's own snapshot joins, keeps the true book from there on, sends the file's frames to
//! everybody who is connected, and answers requests for snapshots with the book as it is at that moment. Time
//! goes on while nobody is connected: what is missed is lost, as on a real venue.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lobstream_market::book::{OrderBook, Side};
use lobstream_market::event::{Body, BookDelta};
use lobstream_market::instrument::{Instrument, Symbol};
use lobstream_market::sync::{BookSync, SyncInput, SyncOptions, SyncState};
use tokio::sync::{oneshot, watch};

use crate::error::{Error, InputError, InputKind};
use crate::feed::Feed;
use crate::feed::binance::{Read, Reader, Source};
use crate::feed::recorded::capture::{Capture, CaptureFormat, What};
use crate::feed::recorded::container::Lines;
use crate::feed::recorded::{RecordedFeed, RecordedOptions};

/// What the venue replays and what it does wrong.
#[derive(Clone, Debug)]
pub struct FakeOptions {
    /// A file of raw lines with one symbol and one snapshot.
    pub file: PathBuf,
    /// Frames sent; fewer if the file ends before.
    pub frames: usize,
    /// Frames a second.
    pub rate: u32,
    /// Faults, in any order.
    pub faults: Vec<Fault>,
}

/// Something that goes wrong at a change of the book, counted from 1 after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not sent.
    Drop(u64),
    /// All connections are closed before it is sent.
    Disconnect(u64),
}

/// A frame and what it does to the book.
struct Frame {
    text: String,
    delta: Option<BookDelta>,
    fault: Option<Fault>,
}

/// What all connections share.
struct Venue {
    instrument: Instrument,
    frames: Vec<Frame>,
    book: Mutex<BookSync>,
    /// Frames that the venue has sent.
    sent: watch::Sender<usize>,
    snapshots: Mutex<u64>,
    rate: u32,
}

/// A running venue. It ends when dropped.
pub struct FakeVenue {
    venue: Arc<Venue>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for FakeVenue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeVenue").field("address", &self.address).finish()
    }
}

impl FakeVenue {
    /// Reads the file and starts to listen. Frames begin to flow with the first connection.
    ///
    /// # Errors
    /// A file that cannot be read or never joins, or no port to listen on.
    pub fn start(options: &FakeOptions) -> Result<FakeVenue, Error> {
        let venue = Arc::new(Venue::read(options)?);
        let io = |e: std::io::Error| Error::usage(format!("the fake venue cannot listen on loopback: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
        let (stop, stopped) = oneshot::channel();
        let serving = serve(venue.clone(), listener, stopped);
        let thread = std::thread::Builder::new()
            .name("fake-venue".into())
            .spawn(move || runtime.block_on(serving))
            .map_err(io)?;
        Ok(FakeVenue { venue, address, stop: Some(stop), thread: Some(thread) })
    }

    /// What is traded.
    pub fn instrument(&self) -> &Instrument {
        &self.venue.instrument
    }

    /// Base of WebSocket addresses.
    pub fn ws_base(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Base of REST addresses.
    pub fn rest_base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Update id of the last change that will be sent.
    pub fn last_id(&self) -> Option<i64> {
        self.venue.frames.iter().rev().find_map(|f| f.delta.as_ref()).and_then(|d| d.last_id)
    }

    /// The true book as it is now.
    pub fn book(&self) -> OrderBook {
        lock(&self.venue.book).view().book.clone()
    }

    /// Snapshots that were asked for.
    pub fn snapshots(&self) -> u64 {
        *lock(&self.venue.snapshots)
    }
}

impl Drop for FakeVenue {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A poisoned lock means that a connection panicked, which a test sees elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Venue {
    fn read(options: &FakeOptions) -> Result<Venue, Error> {
        let inputs = vec![options.file.clone()];
        let mut feed = RecordedFeed::open(&RecordedOptions { inputs, ..RecordedOptions::default() })?;
        let known: Vec<_> = feed.instruments().cloned().collect();
        let [only] = &known[..] else {
            return Err(Error::usage("the fake venue replays files of one symbol"));
        };
        let instrument = only.instrument.clone();
        let mut book = BookSync::new(instrument.venue, SyncOptions::default());
        let mut joined_at = None;
        while let (None, Some(event)) = (joined_at, feed.next()?) {
            if let Some(input) = SyncInput::of(&event.event.body) {
                book.step(input);
            }
            if book.state() == SyncState::Synced {
                joined_at = event.event.ts_recv;
            }
        }
        let joined_at = joined_at.ok_or_else(|| InputError {
            kind: InputKind::SnapshotUnassigned,
            file: options.file.display().to_string(),
            line: None,
            what: "the file never joins: the fake venue needs its snapshot".into(),
        })?;
        let reader = Reader::new(instrument.venue, known);
        let frames = frames(options, reader, &instrument.symbol, joined_at)?;
        Ok(Venue {
            instrument,
            frames,
            book: Mutex::new(book),
            sent: watch::Sender::new(0),
            snapshots: Mutex::new(0),
            rate: options.rate.max(1),
        })
    }

    /// The venue says one more thing.
    fn advance(&self) {
        let at = *self.sent.borrow();
        let Some(frame) = self.frames.get(at) else { return };
        if let Some(delta) = &frame.delta {
            lock(&self.book).step(SyncInput::Delta(delta));
        }
        self.sent.send_replace(at + 1);
    }

    fn snapshot(&self, limit: usize) -> String {
        *lock(&self.snapshots) += 1;
        let book = lock(&self.book);
        let book = book.view().book;
        let side = |side| {
            let level = |l: lobstream_market::event::Level| {
                let px = self.instrument.tick_size.text(l.px.0);
                format!("[\"{px}\",\"{}\"]", self.instrument.lot_size.text(l.qty.0))
            };
            book.iter(side).take(limit).map(level).collect::<Vec<_>>().join(",")
        };
        let id = book.last_id().unwrap_or_default();
        format!("{{\"lastUpdateId\":{id},\"bids\":[{}],\"asks\":[{}]}}", side(Side::Bid), side(Side::Ask))
    }

    fn exchange_info(&self) -> String {
        let Instrument { symbol, tick_size, lot_size, .. } = &self.instrument;
        format!(
            "{{\"symbols\":[{{\"symbol\":\"{symbol}\",\"filters\":[\
             {{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"{tick_size}\"}},\
             {{\"filterType\":\"LOT_SIZE\",\"stepSize\":\"{lot_size}\"}}]}}]}}"
        )
    }
}

/// The frames after the join, with their faults.
fn frames(
    options: &FakeOptions,
    mut reader: Reader,
    symbol: &Symbol,
    joined_at: i64,
) -> Result<Vec<Frame>, Error> {
    let mut lines = Lines::open(&options.file, &Arc::default())?;
    let mut capture = Capture::new(CaptureFormat::RawLines);
    let (mut frames, mut n_deltas) = (Vec::new(), 0);
    while let Some(line) = lines.next()? {
        if frames.len() == options.frames {
            break;
        }
        let Ok(frame) = capture.frame(line.bytes) else { continue };
        let What::Message(json) = frame.what else { continue };
        if frame.ts_recv <= joined_at {
            continue;
        }
        let source = Source { ts_recv: None, place: &String::new };
        let read = reader.message(&json, &source);
        let delta = match read {
            Ok(Read::Event(event)) if event.symbol == *symbol => match event.event.body {
                Body::Delta(delta) => Some(delta),
                Body::Snapshot(_) => continue,
                Body::Trade(_) | Body::Quote(_) => None,
                Body::Instrument(_) | Body::Control(_) | Body::Refused(_) => continue,
            },
            Ok(_) | Err(_) => continue,
        };
        n_deltas += u64::from(delta.is_some());
        let here = |f: &&Fault| matches!(f, Fault::Drop(n) | Fault::Disconnect(n) if *n == n_deltas);
        let fault = delta.as_ref().and_then(|_| options.faults.iter().find(here).copied());
        frames.push(Frame { text: String::from_utf8_lossy(&json).into_owned(), delta, fault });
    }
    Ok(frames)
}

async fn serve(venue: Arc<Venue>, listener: TcpListener, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let routes = Router::new()
        .route("/stream", get(connect))
        .route("/fapi/v1/depth", get(depth))
        .route("/api/v3/depth", get(depth))
        .route("/fapi/v1/exchangeInfo", get(exchange_info))
        .route("/api/v3/exchangeInfo", get(exchange_info))
        .with_state(venue.clone());
    let talking = tokio::spawn(talk(venue));
    tokio::select! {
        _ = axum::serve(listener, routes) => {}
        _ = stopped => {}
    }
    talking.abort();
}

/// Says frame after frame once somebody has listened for the first time.
async fn talk(venue: Arc<Venue>) {
    while venue.sent.receiver_count() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Several frames a turn, since a sleep shorter than a millisecond is none.
    let every = Duration::from_millis(2);
    let mut turns = tokio::time::interval(every);
    let a_turn = (f64::from(venue.rate) * every.as_secs_f64()).ceil() as usize;
    while *venue.sent.borrow() < venue.frames.len() {
        turns.tick().await;
        (0..a_turn).for_each(|_| venue.advance());
    }
}

async fn connect(State(venue): State<Arc<Venue>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| send_frames(venue, socket))
}

async fn send_frames(venue: Arc<Venue>, mut socket: WebSocket) {
    let mut sent = venue.sent.subscribe();
    let mut at = *sent.borrow_and_update();
    loop {
        let until = *sent.borrow_and_update();
        for frame in venue.frames.get(at..until).unwrap_or_default() {
            match frame.fault {
                Some(Fault::Disconnect(_)) => return,
                Some(Fault::Drop(_)) => continue,
                None => {}
            }
            if socket.send(Message::Text(frame.text.clone().into())).await.is_err() {
                return;
            }
        }
        at = until;
        tokio::select! {
            changed = sent.changed() => if changed.is_err() { return },
            // The client says nothing but its goodbye.
            said = socket.recv() => if !matches!(said, Some(Ok(_))) { return },
        }
    }
}

async fn depth(State(venue): State<Arc<Venue>>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let known = query.get("symbol").is_some_and(|s| s == venue.instrument.symbol.as_str());
    let limit = query.get("limit").and_then(|n| n.parse().ok());
    match (known, limit) {
        (true, Some(limit)) => venue.snapshot(limit).into_response(),
        (true, None) | (false, _) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn exchange_info(State(venue): State<Arc<Venue>>) -> String {
    venue.exchange_info()
}
