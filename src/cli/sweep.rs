//! Flags of `lobstream sweep`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::backtest::Palette;

/// `lobstream sweep`
#[derive(Debug, Args)]
pub struct Sweep {
    /// What varies, on which data: its sections sweep.grid, strategy.NAME, backtest, data.
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR, instead of what the file says
    #[arg(long, value_name = "URI")]
    pub from: Option<String>,
    /// CSV files with time, open, high, low, close, instead of what the file says.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "from")]
    pub bars: Vec<PathBuf>,
    /// Where rows, heat map and the report of the best run go.
    #[arg(long, default_value = "sweep-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into --out although it holds something else than an earlier sweep.
    #[arg(long)]
    pub force: bool,
    /// Colours of rise and fall: intl is green and red, cn is red and green.
    #[arg(long, value_enum, default_value = "intl")]
    pub palette: Palette,
}
