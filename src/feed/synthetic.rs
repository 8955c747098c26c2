//! A made-up market as a feed.

use lobstream_market::instrument::Venue;
use lobstream_market::synthetic::Synthetic;

use crate::error::Error;
use crate::feed::{Feed, FeedEvent, FeedReport};

pub use lobstream_market::synthetic::SyntheticOptions;

/// The events of a seed: the same seed, the same events.
#[derive(Clone, Debug)]
pub struct SyntheticFeed {
    market: Synthetic,
    start_ns: i64,
    newest_ns: i64,
    report: FeedReport,
}

impl SyntheticFeed {
    /// The venue whose messages are made up.
    pub const VENUE: Venue = Venue::BinanceUsdm;

    /// A market of this seed.
    pub fn new(seed: u64, options: SyntheticOptions) -> SyntheticFeed {
        let start_ns = options.start_ns;
        let market = Synthetic::new(seed, options);
        SyntheticFeed { market, start_ns, newest_ns: start_ns, report: FeedReport::default() }
    }
}

impl Feed for SyntheticFeed {
    fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        let Some((symbol, event)) = self.market.next() else { return Ok(None) };
        self.newest_ns = self.newest_ns.max(event.ts_event.unwrap_or(self.newest_ns));
        self.report.lines += 1;
        self.report.count(&event.body);
        Ok(Some(FeedEvent { venue: SyntheticFeed::VENUE, symbol, event, source: 0 }))
    }

    fn report(&self) -> FeedReport {
        self.report.clone()
    }

    /// Seconds of market time that have gone by.
    fn done(&self) -> u64 {
        u64::try_from((self.newest_ns - self.start_ns) / 1_000_000_000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::kind;

    #[test]
    fn a_seed_is_a_market() {
        let read = |seed| {
            let options = SyntheticOptions { seconds: 30, lost_at_s: None, ..SyntheticOptions::default() };
            let mut feed = SyntheticFeed::new(seed, options);
            let mut events = Vec::new();
            while let Some(event) = feed.next().expect("made up") {
                events.push(event);
            }
            assert!((28..=31).contains(&feed.done()), "{}", feed.done());
            assert_eq!(feed.report().events_total(), events.len() as u64);
            events
        };
        let events = read(7);
        assert_eq!(events, read(7));
        assert_ne!(events, read(8));
        let mut introduced = std::collections::BTreeSet::new();
        for event in &events {
            let known = !introduced.insert(&event.symbol);
            assert_eq!(known, kind(&event.event.body) != "instrument", "the instrument comes first and once");
        }
    }
}
