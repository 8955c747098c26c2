//! Who decides when an event of a replay is written: the pace, and whoever gives orders on standard input.
//!
//! Passing over events breaks the continuity of books: every symbol that lost one gets a mark
//! (`disconnected`) at the place, so that its book counts as invalid until the next snapshot.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_streams::replay::{Drift, Order, Pacer, Speed, When};
use lobstream_streams::time::Ts;

use super::note;
use super::replay::Pace;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed::writer::TopicWriter;
use crate::feed::{FeedEvent, kind};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is written.
    Write,
    /// It lies before the place that is sought.
    PassOver,
    /// The replay ends before it.
    Stop,
}

/// Lets events go, one by one.
pub(super) struct Player<'a> {
    clock: &'a Clock,
    stop: &'a AtomicBool,
    pacer: Pacer,
    speed: Speed,
    orders: Option<Receiver<String>>,
    /// Nothing before it is written.
    target: Option<Ts>,
    /// Time of the newest event that was looked at, by which pace and places count.
    now: Ts,
    /// Symbols of which more than the instrument was written.
    written: BTreeSet<(Venue, Symbol)>,
    /// Symbols of which something was passed over since.
    torn: BTreeSet<(Venue, Symbol)>,
    n_passed: u64,
}

impl<'a> Player<'a> {
    /// Orders are read from standard input if the pace asks for them.
    pub(super) fn new(pace: &Pace, clock: &'a Clock, stop: &'a AtomicBool) -> Player<'a> {
        let orders = (pace.control || pace.speed == Speed::Step).then(standard_input);
        Player::with_orders(pace, clock, stop, orders)
    }

    fn with_orders(
        pace: &Pace,
        clock: &'a Clock,
        stop: &'a AtomicBool,
        orders: Option<Receiver<String>>,
    ) -> Player<'a> {
        Player {
            clock,
            stop,
            pacer: Pacer::new(pace.speed, pace.gap_max),
            speed: pace.speed,
            orders,
            target: pace.from,
            now: Ts::MIN,
            written: BTreeSet::new(),
            torn: BTreeSet::new(),
            n_passed: 0,
        }
    }

    /// Waits until the event is due, following orders meanwhile.
    pub(super) fn turn(&mut self, event: &FeedEvent, writer: &mut TopicWriter<'_>) -> Result<Turn, Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Turn::Stop);
        }
        if self.is_idle() {
            return Ok(Turn::Write);
        }
        self.now = event.event.ts_recv.or(event.event.ts_event).map_or(self.now, Ts);
        let (mut offered, mut handed_over) = (false, false);
        loop {
            if self.obey()? {
                return Ok(Turn::Stop);
            }
            if let Some(passed) = self.seek(event, writer)? {
                return Ok(passed);
            }
            if !std::mem::replace(&mut offered, true) {
                self.pacer.offer(self.now, self.clock.mono());
            }
            if !self.wait(writer, &mut handed_over)? {
                break;
            }
        }
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Turn::Stop);
        }
        if self.pacer.stands_still() {
            let FeedEvent { venue, symbol, event, .. } = event;
            note(format!("{} {venue} {symbol} {}", self.now, kind(&event.body)));
        }
        self.pacer.released(self.clock.mono());
        if !matches!(event.event.body, Body::Instrument(_)) {
            self.written.insert((event.venue, event.symbol.clone()));
        }
        Ok(Turn::Write)
    }

    /// The input has ended: marks what was torn and not joined again.
    pub(super) fn finish(&mut self, writer: &mut TopicWriter<'_>) -> Result<(), Error> {
        self.arrive(writer)
    }

    /// Lateness against the schedule, if there is one.
    pub(super) fn drift(&self) -> Option<&Drift> {
        (self.pacer.drift().n() > 0).then(|| self.pacer.drift())
    }

    /// Events that were passed over.
    pub(super) fn n_passed(&self) -> u64 {
        self.n_passed
    }

    /// Nothing to decide: as fast as the log takes it.
    fn is_idle(&self) -> bool {
        self.speed == Speed::Max && self.orders.is_none() && self.target.is_none()
    }

    /// Sleeps a slice if the event is not due; what was released before is handed over first. `false`: it is.
    fn wait(&mut self, writer: &mut TopicWriter<'_>, handed_over: &mut bool) -> Result<bool, Error> {
        if self.pacer.wait(self.clock.mono()).is_none() || self.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if !std::mem::replace(handed_over, true) {
            writer.flush()?;
        }
        if let Some(wait) = self.pacer.wait(self.clock.mono()) {
            thread::sleep(wait);
        }
        Ok(true)
    }

    /// `Some`: the event lies before the place that is sought. Instruments are written all the same, or what
    /// comes later would have no unit.
    fn seek(&mut self, event: &FeedEvent, writer: &mut TopicWriter<'_>) -> Result<Option<Turn>, Error> {
        let Some(target) = self.target else { return Ok(None) };
        if self.now >= target {
            self.arrive(writer)?;
            return Ok(None);
        }
        if matches!(event.event.body, Body::Instrument(_)) {
            return Ok(Some(Turn::Write));
        }
        self.torn.insert((event.venue, event.symbol.clone()));
        self.n_passed += 1;
        Ok(Some(Turn::PassOver))
    }

    fn arrive(&mut self, writer: &mut TopicWriter<'_>) -> Result<(), Error> {
        if self.target.take().is_none() {
            return Ok(());
        }
        self.pacer.jump(self.clock.mono());
        for key in std::mem::take(&mut self.torn) {
            // Of a symbol that had nothing yet, nothing can be torn.
            if self.written.contains(&key) {
                writer.write(&mark(key))?;
            }
        }
        note(format!("at {}: {} events passed over so far", self.now, self.n_passed));
        Ok(())
    }

    /// Follows what was asked for meanwhile, one after the other: what follows steps or a place waits until they
    /// are done. `true`: to stop.
    fn obey(&mut self) -> Result<bool, Error> {
        loop {
            if self.target.is_some() || self.pacer.has_steps() {
                return Ok(false);
            }
            let Some(Ok(line)) = self.orders.as_ref().map(Receiver::try_recv) else { return Ok(false) };
            let now = self.clock.mono();
            match line.parse() {
                Err(e) => note(e),
                Ok(Order::Quit) => return Ok(true),
                Ok(Order::Pause) => {
                    self.pacer.pause(now);
                    note(format!("paused before {}", self.now));
                }
                Ok(Order::Resume) => {
                    if self.speed == Speed::Step {
                        self.set_speed(Speed::Max);
                    }
                    self.pacer.resume(now);
                }
                Ok(Order::Step(n)) => {
                    self.pacer.pause(now);
                    self.pacer.step(n);
                }
                Ok(Order::Speed(speed)) => self.set_speed(speed),
                Ok(Order::Seek(when)) => self.aim(when),
            }
        }
    }

    fn set_speed(&mut self, speed: Speed) {
        self.speed = speed;
        self.pacer.set_speed(speed, self.clock.mono());
    }

    /// What is written cannot be taken back: the log has one direction.
    fn aim(&mut self, when: When) {
        let target = when.from(self.now);
        if target <= self.now {
            note(format!(
                "{target} is not after {}: to go back, replay into other topics (--from {target} --topic-prefix …)",
                self.now
            ));
            return;
        }
        self.target = Some(target);
    }
}

/// Stands at the end of what was written of a symbol, without a time of its own.
fn mark((venue, symbol): (Venue, Symbol)) -> FeedEvent {
    let body = Body::Control(Control::Disconnected);
    FeedEvent { venue, symbol, event: MarketEvent { ts_event: None, ts_recv: None, body }, source: 0 }
}

/// Lines of standard input. The thread that reads them ends with the process: a read cannot be interrupted.
fn standard_input() -> Receiver<String> {
    let (send, orders) = channel();
    thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        // It ends with its input, or when nobody listens any more.
        let _ = lines.map_while(Result::ok).try_for_each(|line| send.send(line));
    });
    note("orders: pause, resume, step [N] (or an empty line), seek TIME, speed S, quit");
    orders
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use lobstream_market::event::Aggressor;
    use lobstream_market::event::Trade;
    use lobstream_market::instrument::Instrument;
    use lobstream_market::price::{Lots, Step, Ticks};
    use lobstream_streams::log::{self, Answer, Assignment, ConsumerOptions, Log, Tp};
    use lobstream_streams::record::{Batch, Offset};

    use super::*;
    use crate::codec::{binary, topic_name};
    use crate::feed::writer::WriterOptions;

    const SECOND: i64 = 1_000_000_000;

    fn event(symbol: &str, at: i64, body: Body) -> FeedEvent {
        let event = MarketEvent { ts_event: Some(at * SECOND), ts_recv: Some(at * SECOND), body };
        FeedEvent { venue: Venue::BinanceUsdm, symbol: Symbol::new(symbol), event, source: 0 }
    }

    fn instrument(symbol: &str, at: i64) -> FeedEvent {
        let step = Step::parse("0.1").expect("a step");
        let (venue, name) = (Venue::BinanceUsdm, Symbol::new(symbol));
        event(
            symbol,
            at,
            Body::Instrument(Instrument { venue, symbol: name, tick_size: step, lot_size: step }),
        )
    }

    fn trade(symbol: &str, at: i64) -> FeedEvent {
        let (px, qty, aggressor) = (Ticks(1), Lots(1), Aggressor::Buyer);
        event(symbol, at, Body::Trade(Trade { id: Some(at), px, qty, aggressor, non_market: false }))
    }

    /// Plays events; orders are given before those whose number is named. What was written: (symbol, kind, ts).
    fn play(pace: &Pace, orders: &[(usize, &str)], events: &[FeedEvent]) -> Vec<(String, &'static str, i64)> {
        let dir = tempfile::tempdir().expect("a directory");
        let log = log::open(&format!("embedded:{}", dir.path().display())).expect("a log");
        let (clock, stop) = (Clock::start(), AtomicBool::new(false));
        let (send, receive): (Sender<String>, _) = channel();
        let mut player = Player::with_orders(pace, &clock, &stop, Some(receive));
        let options = WriterOptions { partitions: Some(1), ..WriterOptions::default() };
        let mut writer = TopicWriter::open(&*log, options).expect("a writer");
        for (i, event) in events.iter().enumerate() {
            for (_, line) in orders.iter().filter(|(at, _)| *at == i) {
                send.send((*line).to_owned()).expect("somebody listens");
            }
            match player.turn(event, &mut writer).expect("written") {
                Turn::Write => writer.write(event).expect("written"),
                Turn::PassOver => {}
                Turn::Stop => break,
            }
        }
        player.finish(&mut writer).expect("written");
        writer.leave().expect("written");
        read(&*log)
    }

    fn read(log: &dyn Log) -> Vec<(String, &'static str, i64)> {
        let tp = Tp::new(&topic_name("", "market", Venue::BinanceUsdm), 0);
        let mut reader =
            log.consumer(&ConsumerOptions { group: None, assignment: Assignment::Manual }).expect("a reader");
        reader.answer(Answer::Start(&[(tp.clone(), Offset(0))])).expect("started");
        let mut batch = Batch::default();
        reader.take(&tp, 1_000, &mut batch).expect("readable");
        let event = |r: lobstream_streams::record::InRecord<'_>| {
            let symbol = String::from_utf8_lossy(r.key.unwrap_or_default()).into_owned();
            let event = binary::decode_event(r.value.unwrap_or_default()).ok()?;
            Some((symbol, kind(&event.body), r.ts.0 / SECOND))
        };
        batch.iter().filter_map(event).collect()
    }

    fn pace(speed: Speed, from: Option<i64>) -> Pace {
        Pace { speed, gap_max: None, from: from.map(|s| Ts(s * SECOND)), control: true }
    }

    fn market() -> Vec<FeedEvent> {
        let mut events =
            vec![instrument("A", 1), trade("A", 1), trade("A", 2), instrument("B", 3), trade("B", 3)];
        events.extend([trade("A", 4), trade("B", 5), trade("A", 6)]);
        events
    }

    fn rows(rows: &[(&str, &'static str, i64)]) -> Vec<(String, &'static str, i64)> {
        rows.iter().map(|(symbol, kind, at)| ((*symbol).to_owned(), *kind, *at)).collect()
    }

    #[test]
    fn a_replay_from_a_place_keeps_the_instruments_and_needs_no_mark() {
        let written = play(&pace(Speed::Max, Some(5)), &[], &market());
        let expected = [("A", "instrument", 1), ("B", "instrument", 3), ("B", "trade", 5), ("A", "trade", 6)];
        assert_eq!(written, rows(&expected));
    }

    #[test]
    fn seeking_forward_marks_every_symbol_that_lost_something_it_had() {
        let written = play(&pace(Speed::Max, None), &[(2, "seek 1970-01-01T00:00:05")], &market());
        let expected = [
            ("A", "instrument", 1),
            ("A", "trade", 1),
            ("B", "instrument", 3),
            // Of B there was nothing that could be torn. The mark has no time: it stands where A was left.
            ("A", "control", 3),
            ("B", "trade", 5),
            ("A", "trade", 6),
        ];
        assert_eq!(written, rows(&expected));
    }

    #[test]
    fn an_input_that_ends_on_the_way_is_marked_too() {
        let written = play(&pace(Speed::Max, None), &[(2, "seek +1h")], &market());
        assert_eq!(written.last(), Some(&("A".to_owned(), "control", 3)));
        assert_eq!(written.len(), 4);
    }

    #[test]
    fn going_back_is_refused_and_changes_nothing() {
        let written = play(&pace(Speed::Max, None), &[(4, "seek 00:00:01"), (5, "nonsense")], &market());
        assert_eq!(written.len(), market().len());
    }

    #[test]
    fn steps_pauses_and_the_end_are_obeyed() {
        let orders = [(0, "step 3"), (3, "resume"), (4, "speed step"), (4, "step"), (5, "quit")];
        assert_eq!(play(&pace(Speed::Step, None), &orders, &market()).len(), 5);
        // All of them at once: each waits for the one before it.
        let orders = ["step 2", "seek +1s", "step", "quit"].map(|line| (0, line));
        let written = play(&pace(Speed::Step, None), &orders, &market());
        let (first, place) = ([("A", "instrument", 1), ("A", "trade", 1)], [("A", "control", 1)]);
        assert_eq!(written[..2], rows(&first));
        assert_eq!((written.len(), &written[2..3]), (4, &rows(&place)[..]), "{written:?}");
        let orders = [(1, "pause"), (1, "resume"), (3, "quit")];
        assert_eq!(play(&pace(Speed::Times(1e9), None), &orders, &market()).len(), 3);
    }
}
