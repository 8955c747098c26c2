//! `summary.json`: every number of a run for other programs. JSON has no infinities: null, and a note beside it.

use serde_json::{Map, Value, json};

use crate::dataset::{Series, SpellKind};
use crate::report::format::iso;
use crate::report::tables::exit_reasons;
use crate::run::RunResult;

/// The summary as indented text.
pub fn summary(result: &RunResult) -> String {
    let span = result.span_ms();
    let time = |ms: Option<i64>| ms.map(iso);
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "hash": result.hash,
        "config_hash": result.config.hash(),
        "config": result.config,
        "step_ms": result.step_ms,
        "from": time(span.map(|s| s.0)),
        "to": time(span.map(|s| s.1)),
        "symbols": result.series.iter().map(|s| symbol(result, s)).collect::<Vec<_>>(),
        "metrics": metrics(result),
        "counts": {
            "bars": result.counts.bars,
            "bars_in_position": result.counts.bars_in_position,
            "exits_by_bar": result.counts.exits_by_bar,
            "exits_by_detail": result.counts.exits_by_detail,
            "exits_by_rule": result.counts.exits_by_rule,
            "detail_missing": result.counts.detail_missing,
            "rejections": result.rejections.len(),
        },
        "exit_reasons": reasons(result),
        "warnings": result.warnings,
    });
    format!("{value:#}\n")
}

fn symbol(result: &RunResult, series: &Series) -> Value {
    let fees = result.config.fees_on(&series.venue);
    json!({
        "venue": series.venue,
        "symbol": series.symbol,
        "rows": series.n_rows,
        "bars": series.bars.len(),
        "ohlc_repaired": series.ohlc_repaired,
        "invalid_seconds": series.spell_seconds(SpellKind::Invalid),
        "missing_seconds": series.spell_seconds(SpellKind::Missing),
        "fees": fees,
    })
}

fn metrics(result: &RunResult) -> Value {
    let mut map = Map::new();
    for metric in &result.metrics.list {
        map.insert(metric.key.to_owned(), json!(metric.value));
        if let Some(note) = metric.note {
            map.insert(format!("{}_note", metric.key), json!(note));
        }
    }
    Value::Object(map)
}

fn reasons(result: &RunResult) -> Value {
    let entries = exit_reasons(result)
        .into_iter()
        .map(|row| (row.reason.as_str().to_owned(), json!({ "trades": row.n, "pnl": row.pnl })));
    Value::Object(entries.collect())
}
