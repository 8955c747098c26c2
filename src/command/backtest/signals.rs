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

/// The series with what is stored of their symbols' signals, if the strategy follows them.
pub(super) fn with_signals(
    data: Dataset,
    from: Option<&String>,
    rules: Option<&Path>,
    config: &RunConfig,
) -> Result<Dataset, Error> {
    if !matches!(config.strategy, StrategyConfig::Signals(_)) {
        return Ok(data);
    }
    let missing = || Error::usage("the strategy signals needs stored signals: name them with --signals URI");
    let from = from.ok_or_else(missing)?;
    let stored = match rules {
        Some(rules) => judged(from, rules)?,
        None => read(from)?,
    };
    let series = data.series().iter().map(|series| {
        let mut series = Series::clone(series);
        series.signals = stored.get(&series.symbol).cloned().unwrap_or_default();
        // Of one instant the last one counts: the order is that of the stores.
        series.signals.sort_by(|a, b| (a.known_ms, &a.rule_id).cmp(&(b.known_ms, &b.rule_id)));
        series
    });
    Ok(Dataset::from_series(series.collect())?)
}

type BySymbol = BTreeMap<String, Vec<StoredSignal>>;

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
    let of = stored.entry(head.symbol).or_default();
    of.push(StoredSignal { known_ms, rule_id: head.rule_id, dir });
}
