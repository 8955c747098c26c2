//! A run for other programs: bars, signals and the trades that are expected of them.

use std::path::{Path, PathBuf};

use crate::dataset::Series;
use crate::engine::{Fill, Moment, Trade};
use crate::error::Error;
use crate::report::files::Folder;
use crate::report::frame::{Cells, Frame};
use crate::run::RunResult;
use crate::strategy::{Bollinger, Strategy, StrategyConfig};

/// Writes `vectorbt_<symbol>.csv`, bars with entries and exits as booleans, and `vectorbt_<symbol>_trades.csv`, into a
/// folder that holds a report. The rule is that of the parity chapter: `from_signals` with open, high and low,
/// `sl_stop` and `tp_stop` gives the same trades.
///
/// # Errors
/// A run of another rule or another fill than the close; a file that cannot be written.
pub fn export_vectorbt(result: &RunResult, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let refuse = |name, value: String, expected: &str| {
        Err(Error::Parameter { name, value, expected: format!("{expected} for --export vectorbt") })
    };
    let rule = match &result.config.strategy {
        StrategyConfig::Bollinger(rule) if !rule.short && rule.max_hold.is_none() => rule,
        StrategyConfig::Bollinger(_) => return refuse("short, max_hold", "set".to_owned(), "none of them"),
        other => return refuse("strategy", other.name().to_owned(), "bollinger"),
    };
    if result.config.fill != Fill::Close {
        return refuse("fill", result.config.fill.as_str().to_owned(), "close");
    }
    let mut folder = Folder::add_to(dir)?;
    for (index, series) in result.series.iter().enumerate() {
        let name = super::file_name(result, index);
        folder.put(&format!("vectorbt_{name}.csv"), bars(series, rule).to_csv())?;
        let trades = result.trades.iter().filter(|trade| trade.series == index && trade.is_closed());
        folder.put(&format!("vectorbt_{name}_trades.csv"), expected(trades).to_csv())?;
    }
    folder.close()
}

fn bars(series: &Series, rule: &Bollinger) -> Frame {
    let mut running = rule.rule();
    let intents = (0..series.bars.len()).map(|i| running.on_bar(&Moment::new(series, i)));
    let (entries, exits) = intents.map(|i| (i64::from(i.enter.is_some()), i64::from(i.exit_long))).unzip();
    let bars = &series.bars;
    let mut frame = Frame::default();
    frame.add("time", Cells::Time(bars.ts_ms.clone()));
    for (name, prices) in
        [("open", &bars.open), ("high", &bars.high), ("low", &bars.low), ("close", &bars.close)]
    {
        frame.add(name, Cells::Number(prices.iter().copied().map(Some).collect()));
    }
    frame.add("entries", Cells::Int(entries));
    frame.add("exits", Cells::Int(exits));
    frame
}

fn expected<'a>(trades: impl Iterator<Item = &'a Trade> + Clone) -> Frame {
    let mut frame = Frame::default();
    frame.add("entry_idx", Cells::Int(trades.clone().map(|trade| trade.i0 as i64).collect()));
    frame.add("exit_idx", Cells::Int(trades.clone().map(|trade| trade.i1 as i64).collect()));
    frame.add("entry_price", Cells::Number(trades.clone().map(|trade| Some(trade.entry)).collect()));
    frame.add("exit_price", Cells::Number(trades.clone().map(|trade| Some(trade.exit)).collect()));
    frame.add("return_pct", Cells::Number(trades.clone().map(|trade| Some(trade.return_pct)).collect()));
    frame.add("exit_reason", Cells::Text(trades.map(|trade| trade.reason.as_str().to_owned()).collect()));
    frame
}
