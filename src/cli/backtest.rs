//! Flags of `lobstream backtest`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `lobstream backtest`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Backtest {
    /// Something else than a run.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Settings of the run; flags win over them.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR
    #[arg(long, value_name = "URI")]
    pub from: Option<String>,
    /// Bars of your own instead of stored rows: FILE.csv or FILE.parquet with time, open, high, low, close and, if there
    /// is one, volume, of any step. A file is a symbol unless it has a column symbol.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "from")]
    pub bars: Vec<PathBuf>,
    /// Stored tables of the daily chain: what bollinger_micro trades, on A shares.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "bars"])]
    pub daily: Option<PathBuf>,
    /// First day on which something is decided, such as 2018-01-02; days before it warm the rule up.
    #[arg(long, value_name = "DATE")]
    pub first: Option<String>,
    /// Last day.
    #[arg(long, value_name = "DATE")]
    pub last: Option<String>,
    /// On A shares: dated rules of the market instead of the built-in ones. With the strategy signals: thresholds, as
    /// lobstream run reads them, judged on the stored rows instead of the signals that are stored.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Rules that --bars follow [default: crypto, no rules but fees]: with ashare the limits of the day, whole lots and
    /// fees by date hold, nothing is sold on the day it was bought, nothing is sold short, a fill is a tick of 0.01
    /// worse, and times without a zone are of Shanghai. Symbols are codes such as 600000.SH. Daily bars may have columns
    /// pre_close and is_st, from which the limits follow.
    #[arg(long, value_enum)]
    pub market: Option<Market>,
    /// Stored signals that the strategy signals follows; default: those of --from.
    #[arg(long, value_name = "URI")]
    pub signals: Option<String>,
    /// Follow signals of this venue only, such as binance-usdm: where a symbol has signals of several.
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// Where the report goes.
    #[arg(long, default_value = "backtest-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into --out although it holds something else than an earlier report.
    #[arg(long)]
    pub force: bool,
    /// bollinger_flow, bollinger, signals or hold; on --daily bollinger_micro
    /// [default: bollinger_flow; bollinger_micro on --daily]
    #[arg(long)]
    pub strategy: Option<String>,
    /// Symbols to trade; default: all stored.
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Bar step, such as 1s, 5s, 1m [default: 1s, that of the files with --bars]
    #[arg(long)]
    pub bar: Option<String>,
    /// A parameter of the strategy, such as k=1.5, or of the run: cash, fraction, fee_bp, slippage_bp, fill; on A shares
    /// cash, max_positions, sizing, volume_cap, slippage_ticks, commission, commission_min, actions, extrapolate, on
    /// bars of A shares also slippage_bp, fill; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Colours of rise and fall: intl is green and red, cn is red and green.
    #[arg(long, value_enum, default_value = "intl")]
    pub palette: Palette,
    /// Print the summary as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Write the run for another program too.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub export: Option<ExportFormat>,
    /// Run again without the future and with a false one; any earlier decision that differs is exit code 8.
    #[arg(long)]
    pub check_lookahead: bool,
    /// Fail with exit code 9 if the determinism hash is another one.
    #[arg(long, value_name = "HASH")]
    pub expect_hash: Option<String>,
}

/// What `backtest` does beside running.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the strategies with their parameters.
    List,
}

/// Whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Market {
    /// No rules but fees.
    Crypto,
    /// Chinese stocks.
    Ashare,
}

/// Which colour a rise has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Palette {
    /// Green rises, red falls.
    Intl,
    /// Red rises, green falls.
    Cn,
}

/// Programs that a run is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Bars with entries and exits of the band rule, and the trades that are expected.
    Vectorbt,
}
