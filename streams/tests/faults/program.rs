//! A process of its own that runs an application on an embedded log, tells what happens in it line by line, and is
//! looked at from outside. Its tasks keep environments of their own, as on Kafka.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lobstream_streams::log::{self, Log};
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::runtime::{App, Until};
use lobstream_streams::settings::{Settings, Sharing};

use crate::fixture::{Machine, Protocol};
use crate::stateless::without_state;
use crate::{fixture, restore};

const ORDER: &str = "LOBSTREAM_MEASURED_CHILD";
const PATIENCE: Duration = Duration::from_secs(120);

/// A running application.
pub(crate) struct Program {
    child: Child,
    /// Closing it asks the application to end in order.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    started: Instant,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Memory of its own in KiB, without the files that it maps.
    pub(crate) anonymous_kib: u64,
    pub(crate) open_files: usize,
}

/// Starts `app`: "counts" and "everything" run to the end of their input, "for ever" is the latter until it is told to
/// stop.
#[expect(clippy::disallowed_methods, reason = "times how long a start takes")]
pub(crate) fn start(dir: &Path, app: &str) -> Program {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "program::runs_as_ordered", "--nocapture"])
        .env(ORDER, format!("{}|{app}", dir.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let started = Instant::now();
    let stdout = child.stdout.take().expect("piped");
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)).ok()
    });
    let stdin = child.stdin.take();
    Program { child, stdin, lines, started }
}

impl Program {
    /// Waits until it says something that begins so; the rest of the line, and the time since its start.
    pub(crate) fn wait_for(&self, word: &str) -> (String, Duration) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never said {word}"));
            if let Some((_, rest)) = line.split_once(word) {
                return (rest.trim().to_owned(), self.started.elapsed());
            }
        }
    }

    pub(crate) fn footprint(&mut self) -> Footprint {
        assert!(self.child.try_wait().expect("asked").is_none(), "it has ended");
        let process = Path::new("/proc").join(self.child.id().to_string());
        let status = std::fs::read_to_string(process.join("status")).expect("a process of Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line for it");
        let anonymous_kib = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let open_files = std::fs::read_dir(process.join("fd")).expect("readable").count();
        Footprint { anonymous_kib, open_files }
    }

    /// Lets it come to its end, or ends it if it would go on for ever.
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        let status = self.child.wait().expect("gone");
        let rest: Vec<String> = self.lines.iter().collect();
        assert!(status.success(), "{status} {rest:?}");
    }
}

/// Of a log that this process and the programs share.
pub(crate) fn open(dir: &Path) -> Arc<dyn Log> {
    log::open(&format!("embedded:{}", dir.join("log").display())).expect("a log")
}

fn settings(dir: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.state_dir = dir.join("state");
    settings.assignment = Sharing::Static;
    settings.poison_percent_max = 100;
    settings
}

/// Not a test: the body of a program.
#[test]
#[ignore = "a child process of other tests"]
fn runs_as_ordered() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let (dir, app) = order.split_once('|').expect("a folder and a name");
    let dir = Path::new(dir);
    let log = without_state(&open(dir));
    let clock = Arc::new(Machine::new());
    match app {
        "counts" => run(&App::new(restore::counts(), log, settings(dir), clock), Until::End),
        _ => {
            let topology = fixture::topology("app", Protocol::A);
            let until = if app == "everything" { Until::End } else { Until::Shutdown };
            run(&App::new(topology, log, settings(dir), clock), until);
        }
    }
}

fn run<M: Clone + Send + 'static>(app: &App<M>, until: Until) {
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    let (shutdown, progress, ended) = (&shutdown, &progress, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while progress.snapshot().records_in == 0 && !ended.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            println!("FIRST RECORD");
        });
        if until == Until::Shutdown {
            // The end of the parent counts as an order to stop.
            scope.spawn(move || {
                let mut rest = [0; 16];
                while std::io::stdin().read(&mut rest).is_ok_and(|n| n > 0) {}
                shutdown.store(true, Ordering::Release);
            });
            scope.spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    println!("PROCESSED {}", progress.snapshot().records_in);
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        let outcome = app.run(until, shutdown, progress);
        ended.store(true, Ordering::Release);
        let snapshot = progress.snapshot();
        println!("RESTORED {} {}", snapshot.restore_records, snapshot.restore.max.as_micros());
        if let Err(e) = outcome {
            println!("ENDED {e}");
            // Others may wait for the standard input.
            std::process::exit(3);
        }
    });
}
