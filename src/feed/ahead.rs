//! A feed read and encoded on a thread of its own, a few batches ahead of whoever takes from it.
//!
//! ```text
//! feed ─▶ reader thread ── batches, at most 4 waiting ──▶ Ahead::take
//!              ▲─────────── spent batches ──────────────────┘   (their memory goes back to the thread it is of)
//! ```
//! Events come in the order of the feed, each with its bytes, and its error comes after every event before it.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use crate::codec::binary::encode_event;
use crate::error::Error;
use crate::feed::{Feed, FeedEvent};

/// Events handed over at a time.
const BATCH_EVENTS: usize = 256;
/// Batches that may wait; the reader pauses when there are so many.
const BATCHES_WAITING: usize = 4;

/// Events of one stretch of the feed.
#[derive(Default)]
struct Events {
    events: Vec<FeedEvent>,
    /// The records' values, one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Events {
    fn clear(&mut self) {
        self.events.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, event: FeedEvent) {
        encode_event(&event.event, &mut self.bytes);
        self.ends.push(self.bytes.len());
        self.events.push(event);
    }

    fn get(&self, i: usize) -> Option<(&FeedEvent, &[u8])> {
        let start = if i == 0 { 0 } else { *self.ends.get(i - 1)? };
        Some((self.events.get(i)?, self.bytes.get(start..*self.ends.get(i)?)?))
    }
}

/// What is handed over at a time.
struct Batch {
    events: Events,
    /// [`Feed::done`] after them.
    done: u64,
}

/// The end of the feed that is taken from.
pub struct Ahead {
    batches: Receiver<Result<Batch, Error>>,
    spent: Sender<Events>,
    batch: Batch,
    at: usize,
}

/// Reads `feed` on a thread of its own while `take` takes its events on this one. When `take` returns, the
/// reader stops, wherever it is; it may then have read some batches more than were taken.
pub fn read_ahead<F: Feed + Send, R>(feed: &mut F, take: impl FnOnce(Ahead) -> R) -> R {
    let (send, batches) = sync_channel(BATCHES_WAITING);
    let (spent, reuse) = channel();
    let batch = Batch { events: Events::default(), done: feed.done() };
    thread::scope(|scope| {
        scope.spawn(move || read(feed, &send, &reuse));
        take(Ahead { batches, spent, batch, at: 0 })
    })
}

impl Ahead {
    /// The next event and the value of its record; `None` at the end.
    ///
    /// # Errors
    /// That of the feed, once, after every event before it.
    pub fn take(&mut self) -> Result<Option<(&FeedEvent, &[u8])>, Error> {
        while self.at == self.batch.events.events.len() {
            let Ok(batch) = self.batches.recv() else { return Ok(None) };
            let old = std::mem::replace(&mut self.batch, batch?);
            self.at = 0;
            // A reader that has ended wants nothing back.
            drop(self.spent.send(old.events));
        }
        self.at += 1;
        Ok(self.batch.events.get(self.at - 1))
    }

    /// How far the feed has come, as [`Feed::done`] says, to within a batch.
    pub fn done(&self) -> u64 {
        self.batch.done
    }
}

fn read<F: Feed>(feed: &mut F, to: &SyncSender<Result<Batch, Error>>, reuse: &Receiver<Events>) {
    loop {
        let mut events = reuse.try_recv().unwrap_or_default();
        events.clear();
        let outcome = fill(feed, &mut events);
        let n = events.events.len();
        let gone = n > 0 && to.send(Ok(Batch { events, done: feed.done() })).is_err();
        if let Err(error) = outcome {
            // Whoever has left does not want to know.
            drop(to.send(Err(error)));
            return;
        }
        if gone || n < BATCH_EVENTS {
            return;
        }
    }
}

/// A batch that is not full is the last one.
fn fill<F: Feed>(feed: &mut F, events: &mut Events) -> Result<(), Error> {
    while events.events.len() < BATCH_EVENTS {
        match feed.next()? {
            Some(event) => events.push(event),
            None => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lobstream_market::event::{Body, Control, MarketEvent};
    use lobstream_market::instrument::{Symbol, Venue};

    use super::*;
    use crate::codec::binary::decode_event;
    use crate::feed::FeedReport;

    /// So many events, then an error or the end.
    struct Counting {
        n: i64,
        until: i64,
        fails: bool,
    }

    impl Feed for Counting {
        fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
            if self.n == self.until {
                return if self.fails { Err(Error::usage("line 7 is torn")) } else { Ok(None) };
            }
            self.n += 1;
            Ok(Some(FeedEvent {
                venue: Venue::BinanceSpot,
                symbol: Symbol::new("A"),
                event: MarketEvent {
                    ts_event: Some(self.n),
                    ts_recv: None,
                    body: Body::Control(Control::Connected),
                },
                source: 0,
            }))
        }

        fn report(&self) -> FeedReport {
            FeedReport::default()
        }

        fn done(&self) -> u64 {
            self.n.unsigned_abs()
        }
    }

    fn take(mut ahead: Ahead, max: usize) -> (Vec<i64>, Result<(), String>) {
        let mut taken = Vec::new();
        while taken.len() < max {
            match ahead.take() {
                Ok(Some((event, bytes))) => {
                    assert_eq!(decode_event(bytes).as_ref(), Ok(&event.event));
                    taken.push(event.event.ts_event.expect("a time"));
                }
                Ok(None) => break,
                Err(error) => return (taken, Err(error.to_string())),
            }
        }
        (taken, Ok(()))
    }

    #[test]
    fn every_event_comes_once_and_in_order() {
        for until in [0, 1, 255, 256, 257, 5_000] {
            let mut feed = Counting { n: 0, until, fails: false };
            let (taken, end) = read_ahead(&mut feed, |ahead| take(ahead, usize::MAX));
            assert_eq!((taken, end), ((1..=until).collect(), Ok(())));
        }
    }

    #[test]
    fn an_error_comes_after_everything_before_it() {
        for until in [0, 1, 256, 700] {
            let mut feed = Counting { n: 0, until, fails: true };
            let (taken, end) = read_ahead(&mut feed, |ahead| take(ahead, usize::MAX));
            assert_eq!(taken, (1..=until).collect::<Vec<_>>());
            assert!(end.expect_err("the feed's").contains("line 7 is torn"));
        }
    }

    #[test]
    fn a_reader_that_nobody_takes_from_stops() {
        let mut feed = Counting { n: 0, until: i64::MAX, fails: false };
        let (taken, _) = read_ahead(&mut feed, |ahead| take(ahead, 1));
        assert_eq!(taken, [1]);
        assert!(feed.n <= (BATCH_EVENTS * (BATCHES_WAITING + 3)) as i64, "{} read ahead", feed.n);
    }
}
