//! What may be typed: raw flags, nothing resolved. `config` makes settings of them.

mod backtest;
mod images;
mod sweep;

pub mod daily;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use backtest::{Action as BacktestAction, Backtest, ExportFormat, Market, Palette};
pub use images::{Images, ImagesBatch, ImagesCheck, ImagesCommand, ImagesShow, ImagesStream, ImagesSynth};
pub use sweep::Sweep;

/// Stream processing that understands order books, and a backtester over what it stored.
#[derive(Debug, Parser)]
#[command(name = "lobstream", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What was typed. Ends the process, with its own message and exit code 2, if that is not understood.
    pub fn read() -> Cli {
        Cli::parse()
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole road on a synthetic market, or on recorded files: no server, no download.
    Demo(Demo),
    /// Read recorded files into the topics of a log.
    Replay(Replay),
    /// Follow a venue into the topics of a log.
    Live(Live),
    /// Keep books, compute per-second factors and signals, store them.
    Run(Run),
    /// Run a live run's inputs again and compare every output: exit 8 names the first difference.
    Verify(Verify),
    /// Look into an application: why a row is missing, what a store holds.
    #[command(subcommand)]
    Inspect(Inspect),
    /// After the close: bars and trades into daily tables and the candidates of the next day.
    #[command(subcommand)]
    Daily(daily::Daily),
    /// Trade a rule over stored rows and report what it was worth.
    Backtest(Backtest),
    /// Trade a rule with many parameters, on all cores, and deflate the best.
    Sweep(Sweep),
    /// Make A-share Level-2 images of whole days, draw and examine them.
    Images(Images),
    /// Write stored rows as CSV or Parquet.
    Export(Export),
    /// Print one line per kind of stored row: count and SHA-256.
    Digest(Digest),
}

/// `lobstream demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Seed of the synthetic market; the same seed gives the same digest.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Minutes of market time to generate.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub minutes: u32,
    /// Recorded files instead of the synthetic market.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// Where charts, tables and the log go. An earlier demo there is replaced.
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub out: PathBuf,
    /// User thresholds instead of the built-in ones.
    #[arg(long, env = "LOBSTREAM_RULES", value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Stream threads; default: one per core.
    #[arg(long)]
    pub threads: Option<u32>,
}

/// Facts about recorded files that usually need not be told.
#[derive(Debug, Args)]
pub struct FileFacts {
    /// Venue of all files; default: told by their content.
    #[arg(long)]
    pub venue: Option<String>,
    /// Symbol of bare snapshots and of files that name none.
    #[arg(long)]
    pub symbol: Option<String>,
    /// Least step of prices; default: inferred from all prices.
    #[arg(long, value_name = "STEP")]
    pub tick: Option<String>,
    /// Least step of quantities; default: inferred likewise.
    #[arg(long, value_name = "STEP")]
    pub lot: Option<String>,
}

/// `lobstream replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Recorded files: raw Binance lines, captures, Tardis CSV; gzip and zstd are opened. Or A-share Level 2, with
    /// folders, zip and Parquet: then a day, told by --date, goes into market.sse and market.szse.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Day of A-share files, such as 20230201.
    #[arg(long)]
    pub date: Option<String>,
    /// embedded:DIR or kafka://host:port
    #[arg(long, env = "LOBSTREAM_LOG", value_name = "URI")]
    pub log: String,
    /// max, xN (times real time), N/s (events per second) or step (one at a time, by orders).
    #[arg(long, default_value = "max")]
    pub speed: String,
    /// Pass over what lies before this time, such as 2024-08-08T10:00:00Z.
    #[arg(long, alias = "seek", value_name = "TIME")]
    pub from: Option<String>,
    /// Follow orders on standard input, one a line: pause, resume, step, step N, seek TIME, speed S, quit.
    #[arg(long)]
    pub control: bool,
    /// Shorten silences longer than this when pacing, such as 5s.
    #[arg(long, value_name = "DURATION")]
    pub max_gap: Option<String>,
    /// Put before every topic name, to keep environments apart on one broker.
    #[arg(long, env = "LOBSTREAM_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub topic_prefix: String,
    /// How several files become one stream: event, recv (receive time) or none (one after the other).
    #[arg(long, default_value = "event", value_name = "event|recv|none")]
    pub merge: String,
    /// Partitions of the topics; default: as many as they have, 8 if they have to be made.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: Option<u32>,
    /// What the files do not tell.
    #[command(flatten)]
    pub facts: FileFacts,
}

/// `lobstream live`
#[derive(Debug, Args)]
pub struct Live {
    /// binance-usdm or binance-spot
    #[arg(long)]
    pub venue: String,
    /// Symbols, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub symbols: Vec<String>,
    /// embedded:DIR or kafka://host:port
    #[arg(long, env = "LOBSTREAM_LOG", value_name = "URI")]
    pub log: String,
    /// Partitions of the topic; default: as many as it has, 8 if it has to be made.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: Option<u32>,
    /// Put before every topic name, to keep environments apart on one broker.
    #[arg(long, env = "LOBSTREAM_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub topic_prefix: String,
    /// WebSocket address instead of the venue's own.
    #[arg(long, value_name = "URL")]
    pub ws_base: Option<String>,
    /// REST address instead of the venue's own.
    #[arg(long, value_name = "URL")]
    pub rest_base: Option<String>,
}

/// Which application: `verify` and `inspect` are told what `run` was told.
#[derive(Debug, Args)]
pub struct AppFacts {
    /// embedded:DIR or kafka://host:port
    #[arg(long, env = "LOBSTREAM_LOG", value_name = "URI")]
    pub log: String,
    /// Name of the application: its state, offsets and derived topics.
    #[arg(long, default_value = "lob")]
    pub app: String,
    /// Put before every topic name, to keep environments apart on one broker.
    #[arg(long, env = "LOBSTREAM_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub topic_prefix: String,
    /// Put before the names of the application and of the topics it writes; default: as --topic-prefix. With one
    /// of its own a second application can read what another one reads.
    #[arg(long, value_name = "TEXT")]
    pub output_prefix: Option<String>,
    /// Venues; default: every market.* topic of the log.
    #[arg(long, value_delimiter = ',')]
    pub venues: Vec<String>,
    /// User thresholds that give buy and sell signals.
    #[arg(long, env = "LOBSTREAM_RULES", value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Where state lies when the log is Kafka; an --instance of another name keeps its own below it.
    #[arg(long, default_value = "state", value_name = "DIR")]
    pub state: PathBuf,
}

/// How a process takes part in an application.
#[derive(Debug, Args)]
pub struct Process {
    /// Stop when the input is used up; default: follow it until Ctrl-C.
    #[arg(long)]
    pub until_end: bool,
    /// Stream threads; default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,
    /// Name of this process among those that share the partitions of --app on Kafka. Each needs its own; one that
    /// comes back under its name finds its partitions and its state again.
    #[arg(long, env = "LOBSTREAM_INSTANCE", default_value = "0", value_name = "NAME")]
    pub instance: String,
}

/// `lobstream run`
#[derive(Debug, Args)]
pub struct Run {
    /// What to run.
    #[command(flatten)]
    pub of: AppFacts,
    /// A log that holds the beginning of the same topics: read first, up to where it ends.
    #[arg(long, value_name = "URI")]
    pub archive: Option<String>,
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR; may be repeated.
    #[arg(long, value_name = "URI")]
    pub results: Vec<String>,
    /// How this process takes part.
    #[command(flatten)]
    pub process: Process,
    /// How partitions are shared on Kafka: processes come and go in a group, or one process owns all of them.
    #[arg(long, default_value = "group", value_parser = ["group", "static"])]
    pub assignment: String,
    /// How a group agrees: among its members, or as the broker says (KIP-848, from Kafka 4 on).
    #[arg(long, default_value = "classic", value_parser = ["classic", "consumer"])]
    pub group_protocol: String,
    /// What a crash may leave behind on Kafka: at-least-once repeats what came after the last commit, without
    /// transactions. An embedded log is exactly-once either way.
    #[arg(long, default_value = "exactly-once", value_parser = ["exactly-once", "at-least-once"])]
    pub guarantee: String,
    /// Keep warm copies of other processes' state on Kafka, so that taking over costs little: which process this is,
    /// from 0, of how many, such as 0/2; with two copies of each task 0/3x2. Each process needs a state folder of its own.
    #[arg(long, value_name = "I/N[xCOPIES]")]
    pub standby: Option<String>,
    /// Print the topology and stop.
    #[arg(long)]
    pub describe: bool,
}

/// `lobstream verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Which run.
    #[command(flatten)]
    pub of: AppFacts,
    /// First epoch of each task that is compared.
    #[arg(long, value_name = "EPOCH", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub from: u64,
    /// Last epoch; default: the newest.
    #[arg(long, value_name = "EPOCH")]
    pub to: Option<u64>,
    /// Threads; default: one per core. They change nothing.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,
    /// Records taken at a time. It changes nothing.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
    /// Ignore decisions: tells what they cost.
    #[arg(long)]
    pub pure: bool,
    /// Other applications write the same topics: pass their records over.
    #[arg(long)]
    pub shared: bool,
}

/// `lobstream inspect`
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// Why a row of a window is missing.
    Why(InspectWhy),
    /// What the last checkpoint holds: the keys of a store, or the value of one.
    Store(InspectStore),
}

/// `lobstream inspect why`
#[derive(Debug, Args)]
pub struct InspectWhy {
    /// Of which run.
    #[command(flatten)]
    pub of: AppFacts,
    /// The topic that should hold the row, such as factors.binance-usdm.
    #[arg(long)]
    pub topic: String,
    /// Its key: the symbol.
    #[arg(long)]
    pub key: String,
    /// Start of the second that the row describes, such as 2024-08-08T23:54:20Z.
    #[arg(long, value_name = "TIME")]
    pub window: String,
}

/// `lobstream inspect store`
#[derive(Debug, Args)]
pub struct InspectStore {
    /// Of which run.
    #[command(flatten)]
    pub of: AppFacts,
    /// books or gates
    #[arg(long)]
    pub store: String,
    /// One key; default: all.
    #[arg(long)]
    pub key: Option<String>,
}

/// What `export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Per-second factor rows.
    Factors,
    /// Signals.
    Signals,
    /// Images of days, copied byte for byte.
    Images,
}

/// `lobstream export`
#[derive(Debug, Args)]
pub struct Export {
    /// A table of the daily chain, such as strategy_candidates; without one rows of --from.
    #[arg(value_name = "TABLE", conflicts_with_all = ["to", "from"])]
    pub table: Option<String>,
    /// Folder of the daily chain.
    #[command(flatten)]
    pub place: daily::DailyPlace,
    /// Which rows.
    #[arg(long, value_enum, required_unless_present = "table")]
    pub to: Option<Kind>,
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR; of images the folder that holds DATE.lmdb
    #[arg(long, value_name = "URI", required_unless_present = "table")]
    pub from: Option<String>,
    /// FILE.csv or FILE.parquet, of images another folder [default: of a table TABLE.csv or TABLE.parquet]
    #[arg(long, value_name = "FILE", required_unless_present = "table")]
    pub out: Option<PathBuf>,
    /// Of a table without --out: which of the two.
    #[arg(long, value_enum, default_value = "parquet", conflicts_with = "out")]
    pub format: ExportTo,
    /// Images of these days, such as 20230711,20230712; default: all that are there.
    #[arg(long, value_delimiter = ',', value_name = "DATE")]
    pub dates: Vec<String>,
    /// Images of these stocks, such as 600519.SH; default: all.
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
}

/// Formats of exported files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportTo {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated text.
    Csv,
}

/// `lobstream digest`
#[derive(Debug, Args)]
pub struct Digest {
    /// lmdb:DIR, mongodb://host:port[/db] or parquet:DIR
    #[arg(long, value_name = "URI")]
    pub from: String,
}
