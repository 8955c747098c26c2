//! Several feeds as one: next comes the feed whose head has the least time. Inside a feed the order never
//! changes.

use std::collections::VecDeque;

use crate::error::{Error, InputError, InputKind};
use crate::feed::{Feed, FeedEvent, FeedReport};

/// By which time feeds are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeBy {
    /// Time at the venue.
    #[default]
    Event,
    /// Time at the capture.
    Recv,
    /// Not at all: one after the other.
    None,
}

/// A feed may begin with so many events that have no time to merge by.
const WITHOUT_TIME_MAX: usize = 100_000;

/// Feeds as one stream. The time of a head is the greatest in its feed so far, so that a late event does
/// not overtake; an event without a time stays with the one before it, at the start of a feed with the
/// first that has one. Equal times: in the order in which the feeds were given.
#[derive(Debug)]
pub struct Merge<F> {
    inputs: Vec<Input<F>>,
    by: MergeBy,
}

#[derive(Debug)]
struct Input<F> {
    name: String,
    feed: F,
    /// Events that are ready, all of them at `time`.
    ready: VecDeque<FeedEvent>,
    /// Greatest time so far.
    time: Option<i64>,
    ended: bool,
}

impl<F: Feed> Merge<F> {
    /// Merges feeds, each with a name for messages, in the order given.
    pub fn new(feeds: Vec<(String, F)>, by: MergeBy) -> Merge<F> {
        let input = |(name, feed)| Input { name, feed, ready: VecDeque::new(), time: None, ended: false };
        Merge { inputs: feeds.into_iter().map(input).collect(), by }
    }

    fn least(&mut self) -> Result<Option<usize>, Error> {
        let mut least: Option<(i64, usize)> = None;
        for (i, input) in self.inputs.iter_mut().enumerate() {
            input.fill(self.by)?;
            if input.ready.is_empty() {
                continue;
            }
            if self.by == MergeBy::None {
                return Ok(Some(i));
            }
            let key = (input.time.unwrap_or(i64::MIN), i);
            least = Some(least.map_or(key, |l| l.min(key)));
        }
        Ok(least.map(|(_, i)| i))
    }
}

impl<F: Feed> Input<F> {
    /// Reads until the time of the head is known.
    fn fill(&mut self, by: MergeBy) -> Result<(), Error> {
        while self.ready.is_empty() || (self.time.is_none() && by != MergeBy::None) {
            if self.ended {
                return Ok(());
            }
            let Some(event) = self.feed.next()? else {
                self.ended = true;
                return Ok(());
            };
            let time = match by {
                MergeBy::Event => event.event.ts_event,
                MergeBy::Recv => event.event.ts_recv,
                MergeBy::None => None,
            };
            self.time = self.time.max(time);
            self.ready.push_back(event);
            if self.time.is_none() && by != MergeBy::None && self.ready.len() > WITHOUT_TIME_MAX {
                return Err(no_time(&self.name, by));
            }
        }
        Ok(())
    }
}

fn no_time(file: &str, by: MergeBy) -> Error {
    let (name, other) = match by {
        MergeBy::Event => ("event", "--merge recv"),
        MergeBy::Recv | MergeBy::None => ("receive", "--merge event"),
    };
    Error::Input(InputError {
        kind: InputKind::NoTime,
        file: file.to_owned(),
        line: None,
        what: format!("the first {WITHOUT_TIME_MAX} events have no {name} time: use {other}"),
    })
}

impl<F: Feed> Feed for Merge<F> {
    fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        if let [only] = &mut self.inputs[..] {
            return only.feed.next();
        }
        let least = self.least()?;
        Ok(least.and_then(|i| self.inputs[i].ready.pop_front()))
    }

    fn report(&self) -> FeedReport {
        let mut all = FeedReport::default();
        self.inputs.iter().for_each(|input| all.add(&input.feed.report()));
        all
    }
}

#[cfg(test)]
mod tests {
    use lobstream_market::event::{Body, Control, MarketEvent};
    use lobstream_market::instrument::{Symbol, Venue};
    use proptest::prelude::*;

    use super::*;

    struct List(VecDeque<FeedEvent>);

    impl Feed for List {
        fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
            Ok(self.0.pop_front())
        }

        fn report(&self) -> FeedReport {
            FeedReport::default()
        }
    }

    /// The symbol holds the place in the input, `<feed>.<n>`.
    fn feed(name: usize, times: &[Option<i64>]) -> List {
        let event = |(n, ts): (usize, &Option<i64>)| FeedEvent {
            venue: Venue::BinanceSpot,
            symbol: Symbol::new(&format!("{name}.{n}")),
            event: MarketEvent {
                ts_event: *ts,
                ts_recv: ts.map(|t| -t),
                body: Body::Control(Control::Connected),
            },
            source: 0,
        };
        List(times.iter().enumerate().map(event).collect())
    }

    fn merged(by: MergeBy, feeds: &[&[Option<i64>]]) -> Vec<String> {
        let feeds = feeds.iter().enumerate().map(|(i, times)| (i.to_string(), feed(i, times))).collect();
        let mut merge = Merge::new(feeds, by);
        let mut got = Vec::new();
        while let Some(event) = merge.next().expect("next") {
            got.push(event.symbol.as_str().to_owned());
        }
        got
    }

    #[test]
    fn least_time_first_and_ties_in_the_order_given() {
        let a = [Some(1), Some(3), Some(3), Some(9)];
        let b = [Some(2), Some(3), Some(10)];
        assert_eq!(merged(MergeBy::Event, &[&a, &b]), ["0.0", "1.0", "0.1", "0.2", "1.1", "0.3", "1.2"]);
        assert_eq!(merged(MergeBy::None, &[&a, &b]).join(" "), "0.0 0.1 0.2 0.3 1.0 1.1 1.2");
        assert_eq!(merged(MergeBy::Recv, &[&a, &b])[..2], ["1.0", "1.1"], "-2 before -1, then held at -2");
    }

    #[test]
    fn a_late_event_does_not_overtake() {
        let late = [Some(5), Some(1), Some(6)];
        assert_eq!(
            merged(MergeBy::Event, &[&late, &[Some(4), Some(5)]]),
            ["1.0", "0.0", "0.1", "1.1", "0.2"]
        );
    }

    #[test]
    fn events_without_a_time_stay_with_their_neighbour() {
        let blank = [None, None, Some(5), None, Some(8)];
        let other = [Some(4), Some(5), Some(6)];
        assert_eq!(
            merged(MergeBy::Event, &[&other, &blank]),
            ["0.0", "0.1", "1.0", "1.1", "1.2", "1.3", "0.2", "1.4"]
        );
        assert_eq!(merged(MergeBy::Event, &[&other, &[None, None]])[..2], ["1.0", "1.1"], "none has a time");
    }

    #[test]
    fn a_feed_without_times_is_told_before_memory_runs_out() {
        let endless = vec![None; WITHOUT_TIME_MAX + 1];
        let feeds = vec![("a".to_owned(), feed(0, &[Some(1)])), ("b".to_owned(), feed(1, &endless))];
        let error = Merge::new(feeds, MergeBy::Event).next().expect_err("no time");
        assert!(error.to_string().starts_with("b: no_time: ") && error.to_string().contains("--merge recv"));
    }

    /// The rule of the formats page, word for word and slowly: give every event its key, then take the
    /// least head again and again.
    fn slow(feeds: &[Vec<Option<i64>>]) -> Vec<String> {
        let keys = |times: &Vec<Option<i64>>| {
            let first = times.iter().flatten().next().copied().unwrap_or(i64::MIN);
            let mut key = first;
            let running = times.iter().map(|t| {
                key = key.max(t.unwrap_or(key));
                key
            });
            running.collect::<Vec<_>>()
        };
        let keys: Vec<Vec<i64>> = feeds.iter().map(keys).collect();
        let mut at = vec![0; feeds.len()];
        let mut got = Vec::new();
        while let Some(i) =
            (0..feeds.len()).filter(|&i| at[i] < keys[i].len()).min_by_key(|&i| (keys[i][at[i]], i))
        {
            got.push(format!("{i}.{}", at[i]));
            at[i] += 1;
        }
        got
    }

    proptest! {
        #[test]
        fn the_merge_is_the_written_rule(
            feeds in prop::collection::vec(
                prop::collection::vec(prop::option::of(0i64..8), 0..12), 2..5)
        ) {
            let lists: Vec<&[Option<i64>]> = feeds.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(merged(MergeBy::Event, &lists), slow(&feeds));
        }
    }
}
