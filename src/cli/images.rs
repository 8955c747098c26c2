//! Flags of `lobstream images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Process;

/// `lobstream images`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Images {
    /// Something else than making days.
    #[command(subcommand)]
    pub what: Option<ImagesCommand>,
    /// Days to be made.
    #[command(flatten)]
    pub batch: Option<ImagesBatch>,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Draw the 15 channels of a stock-day as one PNG.
    Show(ImagesShow),
    /// Examine a stored day: invariants, hashes, and what is unusual.
    Check(ImagesCheck),
    /// Make up a market day of both exchanges: input to try images with, of any size.
    Synth(ImagesSynth),
    /// Make the same images of the topics market.sse and market.szse as the day runs.
    Stream(ImagesStream),
}

/// `lobstream images --date …`
#[derive(Debug, Args)]
pub struct ImagesBatch {
    /// The day, such as 20230711.
    #[arg(long, required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub date: Option<String>,
    /// First day of several; days without files are passed over.
    #[arg(long, requires = "to", value_name = "DATE")]
    pub from: Option<String>,
    /// Last day.
    #[arg(long, requires = "from", value_name = "DATE")]
    pub to: Option<String>,
    /// Folders or files of orders and trades: Parquet, CSV, gzip, zstd, zip.
    #[arg(long = "in", required = true, num_args = 1.., value_name = "PATH")]
    pub input: Vec<PathBuf>,
    /// Where days go: DATE.lmdb, DATE.meta.lmdb and reports.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Stocks of one exchange only.
    #[arg(long, default_value = "both", value_parser = ["sh", "sz", "both"])]
    pub exchange: String,
    /// These stocks only, such as 600519.SH,000001.SZ.
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Threads; default: one per core. They change nothing.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Memory for rows; more of them wait in a file below --out.
    #[arg(long, default_value = "4GiB", value_name = "BYTES")]
    pub mem: String,
    /// Make a day again that is there already.
    #[arg(long)]
    pub overwrite: bool,
    /// Throw away what a stopped run has begun.
    #[arg(long, conflicts_with = "overwrite")]
    pub no_resume: bool,
    /// Daily bars with ts_code, trade_date and pre_close: the close of the day before is kept beside the cuts.
    #[arg(long, value_name = "FILE")]
    pub bars: Option<PathBuf>,
    /// Store the counts beside the images.
    #[arg(long)]
    pub keep_counts: bool,
    /// mongodb://host:port[/db]: keep one document per stock and day there too.
    #[arg(long, value_name = "URI")]
    pub results: Option<String>,
    /// TOML file with an images block.
    #[arg(long, env = "LOBSTREAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// No progress bar.
    #[arg(long)]
    pub no_progress: bool,
    /// Print one JSON object per stock and one per day.
    #[arg(long)]
    pub json: bool,
}

/// `lobstream images show`
#[derive(Debug, Args)]
pub struct ImagesShow {
    /// The stock, such as 600519.SH.
    #[arg(long)]
    pub code: String,
    /// The day, such as 20230711.
    #[arg(long)]
    pub date: String,
    /// Folder that holds DATE.lmdb.
    #[arg(long = "in", default_value = ".", value_name = "DIR")]
    pub input: PathBuf,
    /// The picture; default: CODE-DATE.png.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `lobstream images check`
#[derive(Debug, Args)]
pub struct ImagesCheck {
    /// The day, such as 20230711.
    #[arg(long)]
    pub date: String,
    /// Folder that holds DATE.lmdb.
    #[arg(long = "in", default_value = ".", value_name = "DIR")]
    pub input: PathBuf,
    /// One stock, with each of its measures.
    #[arg(long)]
    pub code: Option<String>,
}

/// `lobstream images synth`
#[derive(Debug, Args)]
pub struct ImagesSynth {
    /// The day that the files are called after, such as 20250102.
    #[arg(long)]
    pub date: String,
    /// Stocks of both exchanges together, half of them each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=6000))]
    pub stocks: u32,
    /// Rows of all stocks together; met within some per cent.
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Folder the three tables go into; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// How tables are written.
    #[arg(long, default_value = "parquet", value_parser = ["parquet", "csv"])]
    pub format: String,
    /// Replace tables of this day that are there already.
    #[arg(long)]
    pub overwrite: bool,
}

/// `lobstream images stream`
#[derive(Debug, Args)]
pub struct ImagesStream {
    /// embedded:DIR or kafka://host:port
    #[arg(long, env = "LOBSTREAM_LOG", value_name = "URI")]
    pub log: String,
    /// Name of the application: its state, offsets and derived topics.
    #[arg(long, default_value = "images")]
    pub app: String,
    /// Put before every topic name, to keep environments apart on one broker.
    #[arg(long, env = "LOBSTREAM_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub topic_prefix: String,
    /// Put before the names of the application and of the topics it writes; default: as --topic-prefix.
    #[arg(long, value_name = "TEXT")]
    pub output_prefix: Option<String>,
    /// TOML file with an images block.
    #[arg(long, env = "LOBSTREAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of past days' images, for those during the day.
    #[arg(long, value_name = "DIR")]
    pub history: Option<PathBuf>,
    /// Daily bars with ts_code, trade_date and pre_close, for images during the day.
    #[arg(long, value_name = "FILE")]
    pub bars: Option<PathBuf>,
    /// How this process takes part.
    #[command(flatten)]
    pub process: Process,
    /// Where state lies when the log is Kafka.
    #[arg(long, default_value = "state", value_name = "DIR")]
    pub state: PathBuf,
}
