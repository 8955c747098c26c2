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
    /// CSV files with time, open, high, low, close, instead of stored rows.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "from")]
    pub bars: Vec<PathBuf>,
    /// Where the report goes.
    #[arg(long, default_value = "backtest-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into --out although it holds something else than an earlier report.
    #[arg(long)]
    pub force: bool,
    /// bollinger_flow, bollinger or hold
    /// [default: bollinger_flow]
    #[arg(long)]
    pub strategy: Option<String>,
    /// Symbols to trade; default: all stored.
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Bar step, such as 1s, 5s, 1m [default: 1s, that of the files with --bars]
    #[arg(long)]
    pub bar: Option<String>,
    /// A parameter of the strategy, such as k=1.5, or of the run: cash, fraction, fee_bp, slippage_bp, fill;
    /// may be repeated.
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
