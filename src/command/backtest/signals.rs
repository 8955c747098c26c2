//! Stored signals of the symbols of a dataset.

use std::collections::BTreeMap;

use lobstream_backtest::dataset::StoredSignal;
use lobstream_backtest::{Dataset, RunConfig, Series, StrategyConfig};
use lobstream_market::signal::SignalEvent;

use crate::error::Error;
use crate::sink::Filter;
use crate::sink::results::Results;

/// The series with what is stored of their symbols' signals, if the strategy follows them.
pub(super) fn with_signals(
    data: Dataset,
    from: Option<&String>,
    config: &RunConfig,
) -> Result<Dataset, Error> {
    if !matches!(config.strategy, StrategyConfig::Signals(_)) {
        return Ok(data);
    }
    let missing = || Error::usage("the strategy signals needs stored signals: name them with --signals URI");
    let stored = read(from.ok_or_else(missing)?)?;
    let series = data.series().iter().map(|series| {
        let mut series = Series::clone(series);
        series.signals = stored.get(&series.symbol).cloned().unwrap_or_default();
        series.signals.sort_by_key(|signal| signal.known_ms);
        series
    });
    Ok(Dataset::from_series(series.collect())?)
}

fn read(from: &str) -> Result<BTreeMap<String, Vec<StoredSignal>>, Error> {
    let mut stored: BTreeMap<String, Vec<StoredSignal>> = BTreeMap::new();
    for signal in Results::open_reader(from)?.signals(&Filter::default())? {
        let head = signal?.head;
        let dir = match head.event {
            SignalEvent::Enter | SignalEvent::Flip => head.dir,
            SignalEvent::Exit => 0,
            SignalEvent::None | SignalEvent::Upgrade | SignalEvent::Downgrade => continue,
        };
        // Known inside a millisecond: from its end on it may be used.
        let known_ms = head.ts_known_ns.div_euclid(1_000_000) + i64::from(head.ts_known_ns % 1_000_000 != 0);
        let of = stored.entry(head.symbol).or_default();
        of.push(StoredSignal { known_ms, rule_id: head.rule_id, dir });
    }
    Ok(stored)
}
