//! Tables for other programs: trades, equity, rejections.

use crate::dataset::{FactorId, Series};
use crate::engine::Trade;
use crate::metrics::drawdown::underwater;
use crate::report::frame::{Cells, Frame};
use crate::run::RunResult;

/// A column of the list of trades: its name, and its number in a trade.
type Number = (&'static str, fn(&Trade) -> f64);

/// One row per trade, then the factors that the strategy reads, at entry and at exit.
pub(super) fn trades(result: &RunResult) -> Frame {
    let list = List { result };
    let mut frame = Frame::default();
    let ids = result
        .trades
        .iter()
        .zip(1..)
        .map(|(trade, row)| if trade.position > 0 { trade.position as i64 } else { row });
    frame.add("position_id", Cells::Int(ids.collect()));
    frame.add("venue", list.text(|_, series| series.venue.clone()));
    frame.add("symbol", list.text(|_, series| series.symbol.clone()));
    frame.add("side", list.text(|trade, _| trade.side.as_str().to_owned()));
    frame.add("entry_time", list.time(|trade| trade.entry_ms));
    frame.add("exit_time", list.time(|trade| trade.exit_ms));
    list.numbers(&mut frame);
    frame.add("bars_held", Cells::Int(result.trades.iter().map(|trade| trade.bars_held() as i64).collect()));
    frame.add("mae", list.number(|trade| trade.mae));
    frame.add("mfe", list.number(|trade| trade.mfe));
    frame.add("entry_reason", list.text(|trade, _| trade.entry_reason.to_owned()));
    frame.add("exit_reason", list.text(|trade, _| trade.reason.as_str().to_owned()));
    frame.add("resolved_by", list.text(|trade, _| trade.resolved_by.as_str().to_owned()));
    frame.add(
        "carried_days",
        Cells::Int(result.trades.iter().map(|trade| trade.carried_days as i64).collect()),
    );
    for factor in result.config.strategy.factors() {
        frame.add(format!("entry_{factor}"), list.factor(factor, |trade| trade.decided_in));
    }
    for factor in result.config.strategy.factors() {
        frame.add(format!("exit_{factor}"), list.factor(factor, |trade| trade.decided_out));
    }
    frame
}

/// Reads columns off the trades of a run.
struct List<'a> {
    result: &'a RunResult,
}

impl List<'_> {
    fn numbers(&self, frame: &mut Frame) {
        let columns: [Number; 4] = [
            ("entry_price", |trade| trade.entry),
            ("exit_price", |trade| trade.exit),
            ("qty", |trade| trade.qty),
            ("notional", |trade| trade.notional),
        ];
        let money: [Number; 4] = [
            ("pnl", |trade| trade.pnl),
            ("return_pct", |trade| trade.return_pct),
            ("fees", |trade| trade.fees),
            ("slippage", |trade| trade.slippage),
        ];
        columns.into_iter().for_each(|(name, read)| frame.add(name, self.number(read)));
        frame.add("sl", Cells::Number(self.result.trades.iter().map(|trade| trade.sl).collect()));
        frame.add("tp", Cells::Number(self.result.trades.iter().map(|trade| trade.tp).collect()));
        money.into_iter().for_each(|(name, read)| frame.add(name, self.number(read)));
    }

    fn number(&self, read: impl Fn(&Trade) -> f64) -> Cells {
        Cells::Number(self.result.trades.iter().map(|trade| Some(read(trade))).collect())
    }

    fn time(&self, read: impl Fn(&Trade) -> i64) -> Cells {
        Cells::Time(self.result.trades.iter().map(read).collect())
    }

    fn text(&self, read: impl Fn(&Trade, &Series) -> String) -> Cells {
        let read = |trade: &Trade| read(trade, &self.result.series[trade.series]);
        Cells::Text(self.result.trades.iter().map(read).collect())
    }

    fn factor(&self, name: &str, bar: impl Fn(&Trade) -> usize) -> Cells {
        let id = FactorId::of(name);
        let at = |trade: &Trade| self.result.series[trade.series].factors.at(id?, bar(trade));
        Cells::Number(self.result.trades.iter().map(at).collect())
    }
}

/// One row per bar time.
pub(super) fn equity(result: &RunResult) -> Frame {
    let mut frame = Frame::default();
    let times: Vec<i64> = result.equity.iter().map(|point| point.ts_ms).collect();
    frame.add("time", Cells::Time(times.clone()));
    frame.add("ts_ms", Cells::Int(times));
    frame.add("equity", Cells::Number(result.equity.iter().map(|point| Some(point.equity)).collect()));
    let depths = underwater(result.config.cash, &result.equity);
    frame.add("drawdown", Cells::Number(depths.map(Some).collect()));
    if let Some(benchmark) = &result.benchmark {
        frame.add("benchmark", Cells::Number(benchmark.iter().map(|point| Some(point.equity)).collect()));
    }
    frame
}

/// One row per order that was not filled.
pub(super) fn rejections(result: &RunResult) -> Frame {
    let rows = || result.rejections.iter().map(|row| (row, &result.series[row.series]));
    let mut frame = Frame::default();
    frame.add("time", Cells::Time(rows().map(|(row, _)| row.ts_ms).collect()));
    frame.add("ts_ms", Cells::Int(rows().map(|(row, _)| row.ts_ms).collect()));
    frame.add("venue", Cells::Text(rows().map(|(_, series)| series.venue.clone()).collect()));
    frame.add("symbol", Cells::Text(rows().map(|(_, series)| series.symbol.clone()).collect()));
    frame.add("what", Cells::Text(rows().map(|(row, _)| row.what.to_owned()).collect()));
    frame.add("cause", Cells::Text(rows().map(|(row, _)| row.cause.to_owned()).collect()));
    frame
}
