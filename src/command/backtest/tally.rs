//! How often each entry, exit and refusal fired, and what could not be judged.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use lobstream_backtest::RunResult;

/// A table of counts; `None` for runs that count nothing.
pub(super) fn of(result: &RunResult) -> Option<Table> {
    if result.tally.is_empty() {
        return None;
    }
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut positions: Vec<(usize, &str)> =
        result.trades.iter().map(|t| (t.position, t.entry_reason)).collect();
    positions.sort_unstable();
    positions.dedup();
    let entries = positions.iter().map(|(_, variant)| ("entry", *variant));
    let exits = result.trades.iter().map(|trade| ("exit", trade.reason.as_str()));
    let refused = result.rejections.iter().map(|r| ("refused", r.cause));
    entries.chain(exits).chain(refused).for_each(|key| *counts.entry(key).or_default() += 1);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "which", "times"]);
    for ((what, which), n) in counts {
        table.add_row([what, which, &n.to_string()]);
    }
    for (which, n) in &result.tally {
        table.add_row(["counted", which, &n.to_string()]);
    }
    Some(table)
}
