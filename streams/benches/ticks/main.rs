//! One topology beside another engine's: ticks in, per key and second count, sum and last out, when the
//! second closes. `scripts/bench-peers` runs it against Kafka Streams on one broker.
//!
//! ```text
//! ticks fill     BROKERS TOPIC --n 5000000 --keys 50 --partitions 2     plain Kafka records, as any client writes
//! ticks run      BROKERS IN OUT APP [--threads 1] [--guarantee exactly_once] [--state DIR] [--until-end]
//! ticks count    BROKERS IN OUT APP …                                   one counter per key; for restarts
//! ticks latency  BROKERS IN OUT --rate 100000 --seconds 20              paced input; how late rows become readable
//! ticks check    BROKERS IN OUT...                                      every OUT holds the rows of IN, each once
//! ```
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its result")]

mod app;
mod args;
mod check;
mod client;
mod latency;
mod tick;

use std::process::ExitCode;

use args::Args;

/// As an application should: records are made by the client's threads and given back by ours.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args = Args::of(std::env::args().skip(1).filter(|a| a != "--bench"));
    let outcome: Outcome = match args.word(0) {
        "fill" => client::fill(&args),
        "run" => app::run(&args, app::seconds),
        "count" => app::run(&args, app::counts),
        "latency" => latency::measure(&args),
        "check" => check::check(&args),
        // Without arguments, as `cargo bench` calls every benchmark.
        "" => {
            println!("ticks: needs a broker; see scripts/bench-peers");
            Ok(())
        }
        other => Err(format!("no command is called {other:?}: fill, run, count, latency, check").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ticks: {error}");
            ExitCode::FAILURE
        }
    }
}
