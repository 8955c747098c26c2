//! Silence of a whole venue: while nothing at all is recorded of it, its books may be wrong without a trace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};

use crate::feed::FeedEvent;

/// So long may a venue say nothing, by receive time.
const SILENT_AFTER_NS: i64 = 30_000_000_000;

/// Watches every venue. A quiet symbol of a venue that speaks is not silent.
#[derive(Debug, Default)]
pub(super) struct Silence {
    venues: BTreeMap<Venue, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Greatest event time so far.
    event: Option<i64>,
    /// Greatest receive time of each recorder.
    recv: BTreeMap<u32, i64>,
    symbols: BTreeSet<Symbol>,
}

impl Silence {
    /// Adds the marks that belong before this event: 30 s after the last thing that was heard, but not after
    /// the event itself.
    pub(super) fn before(&mut self, event: &FeedEvent, marks: &mut VecDeque<FeedEvent>) {
        let heard = self.venues.entry(event.venue).or_default();
        if heard.nothing_until(event) {
            let after = |ts: i64| ts.saturating_add(SILENT_AFTER_NS);
            let mark = heard.event.map(after);
            let event_ts = event.event.ts_event;
            let times = MarketEvent {
                ts_event: mark.map(|mark| event_ts.map_or(mark, |ts| mark.min(ts))),
                ts_recv: heard.recv.get(&event.source).copied().map(after),
                body: Body::Control(Control::Stale),
            };
            marks.extend(heard.symbols.iter().map(|symbol| FeedEvent {
                venue: event.venue,
                symbol: symbol.clone(),
                event: times.clone(),
                source: event.source,
            }));
        }
        heard.hear(event);
    }
}

impl Heard {
    /// Was nothing heard for too long before this event? One recorder's clock tells it; several recorders have
    /// several clocks, and only the venue's own time tells whether one spoke while another did not.
    fn nothing_until(&self, event: &FeedEvent) -> bool {
        let long = |before: Option<i64>, now: Option<i64>| {
            before.zip(now).is_some_and(|(before, now)| now.saturating_sub(before) > SILENT_AFTER_NS)
        };
        let (own, times) = (self.recv.get(&event.source).copied(), &event.event);
        match self.is_alone(event.source) {
            true => long(own, times.ts_recv),
            false => long(self.event, times.ts_event) && (own.is_none() || long(own, times.ts_recv)),
        }
    }

    fn is_alone(&self, source: u32) -> bool {
        self.recv.keys().all(|known| *known == source)
    }

    fn hear(&mut self, event: &FeedEvent) {
        let times = &event.event;
        // The first event of a further recorder that has a venue time is judged by that.
        if let Some(recv) = times.ts_recv
            && (times.ts_event.is_some() || self.is_alone(event.source))
        {
            let newest = self.recv.entry(event.source).or_insert(recv);
            *newest = recv.max(*newest);
        }
        self.event = self.event.max(times.ts_event);
        if !self.symbols.contains(&event.symbol) {
            self.symbols.insert(event.symbol.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(venue: Venue, symbol: &str, recv_s: i64) -> FeedEvent {
        let ns = recv_s * 1_000_000_000;
        FeedEvent {
            venue,
            symbol: Symbol::new(symbol),
            event: MarketEvent {
                ts_event: Some(ns + 5),
                ts_recv: Some(ns),
                body: Body::Control(Control::Connected),
            },
            source: 0,
        }
    }

    #[test]
    fn a_silent_venue_is_marked_for_all_its_symbols() {
        let (mut silence, mut marks) = (Silence::default(), VecDeque::new());
        let (spot, usdm) = (Venue::BinanceSpot, Venue::BinanceUsdm);
        for (venue, symbol, at) in
            [(spot, "A", 0), (spot, "B", 30), (usdm, "A", 31), (spot, "A", 60), (usdm, "A", 61)]
        {
            silence.before(&trade(venue, symbol, at), &mut marks);
        }
        assert!(marks.is_empty(), "30 s are borne");
        silence.before(&trade(spot, "B", 91), &mut marks);
        let told: Vec<_> = marks.iter().map(|m| (m.venue, m.symbol.as_str(), &m.event)).collect();
        let event = MarketEvent {
            ts_event: Some(90_000_000_005),
            ts_recv: Some(90_000_000_000),
            body: Body::Control(Control::Stale),
        };
        assert_eq!(told, [(spot, "A", &event), (spot, "B", &event)]);
    }

    /// The recorder stood still and then wrote all at once what it had missed: the events are older than
    /// the mark would be.
    #[test]
    fn a_mark_does_not_lie_after_the_event_that_ends_the_silence() {
        let (mut silence, mut marks) = (Silence::default(), VecDeque::new());
        silence.before(&trade(Venue::BinanceSpot, "A", 0), &mut marks);
        let mut late = trade(Venue::BinanceSpot, "A", 100);
        late.event.ts_event = Some(2_000_000_000);
        silence.before(&late, &mut marks);
        assert_eq!(marks.iter().map(|m| m.event.ts_event).collect::<Vec<_>>(), [Some(2_000_000_000)]);
    }

    #[test]
    fn recorders_with_other_clocks_are_no_silence_and_hide_none() {
        let (mut silence, mut marks) = (Silence::default(), VecDeque::new());
        // The second recorder's clock is 45 s ahead; the venue speaks every 5 s.
        let of = |source: u32, at: i64| {
            let mut event = trade(Venue::BinanceUsdm, "A", at);
            event.event.ts_recv = event.event.ts_recv.map(|ts| ts + i64::from(source) * 45_000_000_000);
            FeedEvent { source, ..event }
        };
        for (source, at) in [(0, 0), (1, 5), (0, 10), (1, 15), (0, 20), (1, 40), (0, 60), (1, 75), (1, 90)] {
            silence.before(&of(source, at), &mut marks);
            assert!(marks.is_empty(), "{at} s");
        }
        // Nobody heard anything from 90 s to 125 s, however the clocks stand.
        let mut untimed = of(2, 125);
        untimed.event.ts_event = None;
        silence.before(&untimed, &mut marks);
        assert!(marks.is_empty(), "its place is not known yet");
        silence.before(&of(2, 125), &mut marks);
        assert_eq!(marks.iter().map(|m| m.event.ts_event).collect::<Vec<_>>(), [Some(120_000_000_005)]);
    }
}
