//! Flags of `lobstream backtest`.

use std::path::PathBuf;

use clap::Args;

/// `lobstream backtest`
#[derive(Debug, Args)]
pub struct Backtest {
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR
    #[arg(long, value_name = "URI")]
    pub from: String,
    /// Where the report goes.
    #[arg(long, default_value = "backtest-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into --out although it holds something else than an earlier report.
    #[arg(long)]
    pub force: bool,
    /// bollinger_flow, bollinger or hold
    #[arg(long, default_value = "bollinger_flow")]
    pub strategy: String,
    /// Symbols to trade; default: all stored.
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Bar step, such as 1s, 5s, 1m.
    #[arg(long, default_value = "1s")]
    pub bar: String,
    /// A parameter of the strategy, such as k=1.5, or of the run: cash, fraction, fee_bp, slippage_bp, fill;
    /// may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Fail with exit code 9 if the determinism hash is another one.
    #[arg(long, value_name = "HASH")]
    pub expect_hash: Option<String>,
}
