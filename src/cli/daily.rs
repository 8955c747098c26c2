//! `lobstream daily`: raw flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `lobstream daily`
#[derive(Debug, Subcommand)]
pub enum Daily {
    /// Run the chain on a trading day, or on several.
    Run(DailyRun),
    /// Run the chain every trading day at a time, missed days first, until Ctrl-C.
    Watch(DailyWatch),
    /// What each job did on a day.
    Status(DailyStatus),
    /// The last rows of a table, of one stock.
    Table(DailyTable),
    /// One picture of a stock: candles, bands, volume bands, levels and their tests.
    Show(DailyShow),
    /// Bring files into the store.
    #[command(subcommand)]
    Import(DailyImport),
    /// What came after high and low scores.
    Study(DailyStudy),
}

/// Where everything is kept.
#[derive(Debug, Args)]
pub struct DailyPlace {
    /// Folder of the store and of the Parquet parts.
    #[arg(long, env = "LOBSTREAM_DAILY", default_value = "daily-out", value_name = "DIR")]
    pub dir: PathBuf,
}

/// What decides the tables.
#[derive(Debug, Args)]
pub struct DailyHow {
    /// Settings of the chain, its section daily.
    #[arg(long, env = "LOBSTREAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Files and folders of trades; a day's are those whose name or folder tells the date. Without any the tables
    /// of flow are absent.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub ticks: Vec<PathBuf>,
    /// Publish the tables in a MongoDB too: mongodb://host:port[/db]
    #[arg(long, value_name = "URI")]
    pub results: Option<String>,
    /// Members of the pools of the last ten days, or every stock that traded.
    #[arg(long, default_value = "pool", value_parser = ["pool", "all"])]
    pub universe: String,
    /// Go on although more than a fifth of the stocks have no trades.
    #[arg(long)]
    pub allow_missing: bool,
}

/// `lobstream daily run`
#[derive(Debug, Args)]
pub struct DailyRun {
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// How.
    #[command(flatten)]
    pub how: DailyHow,
    /// The day, YYYYMMDD; latest: the last one that has bars.
    #[arg(long, conflicts_with_all = ["from", "to"], required_unless_present = "from", value_name = "DAY")]
    pub date: Option<String>,
    /// First of several days.
    #[arg(long, requires = "to", value_name = "DAY")]
    pub from: Option<String>,
    /// Last of several days; latest is understood.
    #[arg(long, requires = "from", value_name = "DAY")]
    pub to: Option<String>,
    /// Begin 60 trading days earlier, so that levels and thresholds have their history.
    #[arg(long)]
    pub warmup: bool,
    /// Only these jobs: update_ohlc, bollinger, active_pool, micro_daily, fund_quality, levels, level_micro,
    /// backfill_future, candidates.
    #[arg(long, value_delimiter = ',', value_name = "JOB")]
    pub only: Vec<String>,
    /// Do again what is done.
    #[arg(long)]
    pub rebuild: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Say of one stock, or of all, why it is in or out on the last day.
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "CODE")]
    pub explain: Option<String>,
    /// Print one JSON object per job.
    #[arg(long)]
    pub json: bool,
}

/// `lobstream daily watch`
#[derive(Debug, Args)]
pub struct DailyWatch {
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// How.
    #[command(flatten)]
    pub how: DailyHow,
    /// When, HH:MM of the time zone.
    #[arg(long, default_value = "15:30", value_name = "HH:MM")]
    pub at: String,
    /// Asia/Shanghai, UTC, or an offset such as +08:00.
    #[arg(long, default_value = "Asia/Shanghai", value_name = "ZONE")]
    pub tz: String,
    /// Files to import before each run, such as a folder that a download fills.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub bars: Vec<PathBuf>,
    /// Catch up from this day on; default: the last run.
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// Do what is due now, and stop.
    #[arg(long)]
    pub once: bool,
}

/// `lobstream daily status`
#[derive(Debug, Args)]
pub struct DailyStatus {
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// The day, YYYYMMDD or latest.
    #[arg(long, default_value = "latest", value_name = "DAY")]
    pub date: String,
}

/// `lobstream daily table`
#[derive(Debug, Args)]
pub struct DailyTable {
    /// stock_daily, stock_bollinger_data, stock_active_pool, stock_microstructure_daily, stock_fund_quality,
    /// price_levels_daily, stock_level_microstructure or strategy_candidates.
    pub table: String,
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// Stock; default: all of the last day.
    #[arg(long, value_name = "CODE")]
    pub symbol: Option<String>,
    /// Days.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub last: u32,
    /// Write them into FILE.csv or FILE.parquet instead, of all days.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `lobstream daily show`
#[derive(Debug, Args)]
pub struct DailyShow {
    /// Stock, as in 600519.SH.
    pub code: String,
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// Settings of the chain, its section daily.
    #[arg(long, env = "LOBSTREAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The last day of the picture, YYYYMMDD or latest.
    #[arg(long, default_value = "latest", value_name = "DAY")]
    pub date: String,
    /// Bars of the picture.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(20..=1000))]
    pub bars: u32,
    /// The picture; default: CODE-DAY.png.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `lobstream daily import`
#[derive(Debug, Subcommand)]
pub enum DailyImport {
    /// Daily bars, and the tables about stocks (names, float, st, suspend, calendar, actions): CSV, packed or in a
    /// tar archive.
    Bars(DailyImportBars),
}

/// `lobstream daily import bars`
#[derive(Debug, Args)]
pub struct DailyImportBars {
    /// Files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// What prices are: as traded, or adjusted to the last day; default: told by "qfq" in the file's name.
    #[arg(long, value_parser = ["unadjusted", "qfq"])]
    pub basis: Option<String>,
}

/// `lobstream daily study`
#[derive(Debug, Args)]
pub struct DailyStudy {
    /// Where.
    #[command(flatten)]
    pub place: DailyPlace,
    /// First day.
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// Last day, YYYYMMDD or latest.
    #[arg(long, default_value = "latest", value_name = "DAY")]
    pub to: String,
}
