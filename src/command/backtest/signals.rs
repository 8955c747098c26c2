//! Signals of the symbols of a dataset: stored ones, or what rules say of stored rows.

use std::collections::BTreeMap;
use std::path::Path;

use lobstream_backtest::dataset::StoredSignal;
use lobstream_backtest::{Dataset, RunConfig, Series, StrategyConfig};
use lobstream_market::instrument::{Symbol, Venue};
use lobstream_market::signal::{SignalEvent, SignalHead};

use crate::config::rules;
use crate::error::Error;
use crate::sink::Filter;
use crate::sink::results::Results;

/// The series with what is stored of their symbols' signals, if the strategy follows them; of one venue only if it is
/// named.
pub(super) fn with_signals(
    data: Dataset,
    from: Option<&String>,
    venue: Option<&str>,
    rules: Option<&Path>,
    config: &RunConfig,
) -> Result<Dataset, Error> {
    if !matches!(config.strategy, StrategyConfig::Signals(_)) {
        return Ok(data);
    }
    let missing = || Error::usage("the strategy signals needs stored signals: name them with --signals URI");
    let from = from.ok_or_else(missing)?;
    let mut stored = match rules {
        Some(rules) => judged(from, rules)?,
        None => read(from)?,
    };
    if let Some(venue) = venue {
        stored.values_mut().for_each(|venues| venues.retain(|of, _| of == venue));
        stored.retain(|_, venues| !venues.is_empty());
        if stored.is_empty() {
            return Err(Error::Missing { what: format!("{from} has no signal of {venue}") });
        }
    }
    let series = data.series().iter().map(|series| {
        let mut series = Series::clone(series);
        let others = data.series().iter().filter(|other| other.symbol == series.symbol);
        series.signals = of_series(&series, &stored, others.map(|other| other.venue.as_str()), from)?;
        // Of one instant the last one counts: the order is that of the stores.
        series.signals.sort_by(|a, b| (a.known_ms, &a.rule_id).cmp(&(b.known_ms, &b.rule_id)));
        Ok(series)
    });
    Ok(Dataset::from_series(series.collect::<Result<_, Error>>()?)?)
}

/// By symbol, then venue.
type BySymbol = BTreeMap<String, BTreeMap<String, Vec<StoredSignal>>>;

/// Signals of a series: those of its own venue, else those of the only venue that has its symbol. Prices of one venue
/// are never traded by the signals of two. `traded` are the venues on which the symbol is traded here: what one of
/// them says is not for another.
fn of_series<'a>(
    series: &Series,
    stored: &BySymbol,
    mut traded: impl Iterator<Item = &'a str>,
    from: &str,
) -> Result<Vec<StoredSignal>, Error> {
    let Some(venues) = stored.get(&series.symbol) else { return Ok(Vec::new()) };
    if let Some(own) = venues.get(&series.venue) {
        return Ok(own.clone());
    }
    if traded.any(|venue| venues.contains_key(venue)) {
        return Ok(Vec::new());
    }
    let mut all = venues.iter();
    match (all.next(), all.next()) {
        (Some((_, only)), None) => Ok(only.clone()),
        _ => {
            let names: Vec<&str> = venues.keys().map(String::as_str).collect();
            Err(Error::usage(format!(
                "{from} has signals of {} on {}: say which with --venue",
                series.symbol,
                names.join(" and ")
            )))
        }
    }
}

fn read(from: &str) -> Result<BySymbol, Error> {
    let mut stored = BySymbol::new();
    for signal in Results::open_reader(from)?.signals(&Filter::default())? {
        add(&mut stored, signal?.head);
    }
    Ok(stored)
}

/// The signals that a run with these rules would have stored: every row once more through its symbol's gates.
fn judged(from: &str, file: &Path) -> Result<BySymbol, Error> {
    let rules = rules::load(Some(file))?;
    let (mut engines, mut stored, mut said) = (BTreeMap::new(), BySymbol::new(), Vec::new());
    for row in Results::open_reader(from)?.factors(&Filter::default())? {
        let row = row?;
        let wrong = || Error::usage(format!("{from}: rows of {:?}: no venue that rules know", row.venue));
        let venue: Venue = row.venue.parse().map_err(|_| wrong())?;
        let symbol = Symbol::new(&row.symbol);
        let engine = engines.entry((venue, symbol.clone())).or_insert_with(|| rules.engine(venue, &symbol));
        engine.on_row(&row, &mut said);
        said.drain(..).for_each(|signal| add(&mut stored, signal.head));
    }
    Ok(stored)
}

fn add(stored: &mut BySymbol, head: SignalHead) {
    let dir = match head.event {
        SignalEvent::Enter | SignalEvent::Flip => head.dir,
        SignalEvent::Exit => 0,
        SignalEvent::None | SignalEvent::Upgrade | SignalEvent::Downgrade => return,
    };
    // Known inside a millisecond: from its end on it may be used.
    let known_ms = head.ts_known_ns.div_euclid(1_000_000) + i64::from(head.ts_known_ns % 1_000_000 != 0);
    let of = stored.entry(head.symbol).or_default().entry(head.venue).or_default();
    of.push(StoredSignal { known_ms, rule_id: head.rule_id, dir });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(venues: &[&str]) -> BySymbol {
        let signal = |venue: &&str| StoredSignal { known_ms: 1, rule_id: (*venue).to_owned(), dir: 1 };
        let of = |venue: &&str| ((*venue).to_owned(), vec![signal(venue)]);
        BySymbol::from([("X".to_owned(), venues.iter().map(of).collect())])
    }

    #[test]
    fn signals_of_two_venues_are_never_mixed() {
        let series = |venue| Series::from_ohlc(venue, "X", 1_000, 0, &[[1.0; 4]]).expect("series");
        let ids = |venue, venues: &[&str]| -> Result<Vec<String>, Error> {
            let signals = of_series(&series(venue), &stored(venues), [venue].into_iter(), "lmdb:rows")?;
            Ok(signals.into_iter().map(|signal| signal.rule_id).collect())
        };
        assert_eq!(ids("usdm", &["spot", "usdm"]).expect("its own"), ["usdm"]);
        assert_eq!(ids("bars", &["spot"]).expect("the only ones"), ["spot"]);
        let error = ids("bars", &["spot", "usdm"]).expect_err("which?");
        assert!(error.to_string().contains("X on spot and usdm: say which with --venue"), "{error}");
        assert_eq!(error.exit_code(), 2);
        let both = ["spot", "usdm"].into_iter();
        let spot = of_series(&series("spot"), &stored(&["usdm"]), both, "lmdb:rows").expect("none");
        assert!(spot.is_empty(), "what usdm says is for usdm, which is traded too");
    }
}
