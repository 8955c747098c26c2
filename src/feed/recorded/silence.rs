//! Silence of a whole venue: while nothing at all is recorded of it, its books may be wrong without a trace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lobstream_market::event::{Body, Control, MarketEvent};
use lobstream_market::instrument::{Symbol, Venue};

use crate::feed::FeedEvent;

/// So long may a venue say nothing, by receive time.
const SILENT_AFTER_NS: i64 = 30_000_000_000;

/// Watches the receive times of every venue. A quiet symbol of a venue that speaks is not silent.
#[derive(Debug, Default)]
pub(super) struct Silence {
    venues: BTreeMap<Venue, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Greatest receive time and event time so far.
    recv: Option<i64>,
    event: Option<i64>,
    symbols: BTreeSet<Symbol>,
}

impl Silence {
    /// Adds the marks that belong before this event: 30 s after the last thing that was heard.
    pub(super) fn before(&mut self, event: &FeedEvent, marks: &mut VecDeque<FeedEvent>) {
        let heard = self.venues.entry(event.venue).or_default();
        let times = &event.event;
        if let (Some(before), Some(now)) = (heard.recv, times.ts_recv)
            && now.saturating_sub(before) > SILENT_AFTER_NS
        {
            marks.extend(heard.symbols.iter().map(|symbol| FeedEvent {
                venue: event.venue,
                symbol: symbol.clone(),
                event: MarketEvent {
                    ts_event: heard.event.map(|ts| ts + SILENT_AFTER_NS),
                    ts_recv: Some(before + SILENT_AFTER_NS),
                    body: Body::Control(Control::Stale),
                },
            }));
        }
        heard.recv = heard.recv.max(times.ts_recv);
        heard.event = heard.event.max(times.ts_event);
        if !heard.symbols.contains(&event.symbol) {
            heard.symbols.insert(event.symbol.clone());
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
}
