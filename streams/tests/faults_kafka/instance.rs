//! One process of the application under test, to be started, stopped, killed and frozen.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lobstream_streams::log;
use lobstream_streams::runtime::Until;
use lobstream_streams::runtime::metrics::Progress;
use lobstream_streams::settings::{GroupProtocol, Sharing};

use crate::fixture::{Protocol, app, settings};

const ORDER: &str = "LOBSTREAM_FAULTS_CHILD";

/// How an instance runs.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) uri: String,
    pub(crate) app: String,
    /// Of all instances; each has a folder of its own there.
    pub(crate) dir: std::path::PathBuf,
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) sharing: Sharing,
    pub(crate) threads: u32,
    pub(crate) until_end: bool,
}

/// A running instance.
pub(crate) struct Instance {
    child: Child,
    /// Closing it asks the instance to end in order.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    started: Instant,
}

impl Order {
    #[expect(clippy::disallowed_methods, reason = "times how long a start takes")]
    pub(crate) fn start(&self) -> Instance {
        let sharing = match self.sharing {
            Sharing::Static => "static",
            Sharing::Group(GroupProtocol::Classic) => "classic",
            Sharing::Group(GroupProtocol::Consumer) => "consumer",
        };
        let Order { uri, app, dir, name, protocol, threads, until_end, .. } = self;
        let dir = dir.display();
        let order = format!("{uri}|{app}|{dir}|{name}|{protocol:?}|{sharing}|{threads}|{until_end}");
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--ignored", "--exact", "instance::runs_as_ordered", "--nocapture"])
            .env(ORDER, order)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let stdout = child.stdout.take().expect("piped");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Instance { child, stdin, lines, started: Instant::now() }
    }
}

impl Instance {
    /// Time from the start of the process until it has processed a record, if it does within that time.
    pub(crate) fn first_record(&self, within: Duration) -> Option<Duration> {
        loop {
            let left = within.checked_sub(self.started.elapsed())?;
            match self.lines.recv_timeout(left) {
                Ok(line) if line.ends_with("FIRST RECORD") => return Some(self.started.elapsed()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Stops in order. The words of a process that fails are the test's.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        drop(self.stdin.take());
        self.end()
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let status = self.child.wait().expect("gone");
        let lines: Vec<String> = self.lines.iter().filter(|line| line.contains("ENDED")).collect();
        if status.success() { Ok(()) } else { Err(format!("{status} {lines:?}")) }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill");
        assert!(sent.success(), "kill -{name} {id}");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_some()
    }
}

/// Not a test: the body of an instance.
#[test]
#[ignore = "a child process of other tests"]
fn runs_as_ordered() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let fields: Vec<&str> = order.split('|').collect();
    let [uri, name, dir, instance, protocol, sharing, threads, until_end] = fields[..] else {
        panic!("not an order: {order}")
    };
    let protocol = if protocol == "A" { Protocol::A } else { Protocol::B };
    let log = log::open(uri).expect("a log");
    let mut settings = settings(&std::path::Path::new(dir).join(format!("state-{instance}")));
    settings.instance = instance.to_owned();
    settings.n_threads = threads.parse().expect("a number");
    settings.commit_interval = Duration::from_millis(50);
    settings.checkpoint_interval = Some(Duration::from_millis(200));
    settings.session_timeout = Duration::from_secs(6);
    settings.assignment = match sharing {
        "static" => Sharing::Static,
        "consumer" => Sharing::Group(GroupProtocol::Consumer),
        _ => Sharing::Group(GroupProtocol::Classic),
    };
    let until = if until_end == "true" { Until::End } else { Until::Shutdown };
    let app = app(name, protocol, &log, &settings);
    let (shutdown, progress) = (AtomicBool::new(false), Progress::default());
    let (shutdown, progress) = (&shutdown, &progress);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while progress.snapshot().records_in == 0 {
                std::thread::sleep(Duration::from_millis(2));
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
        }
        let outcome = app.run(until, shutdown, progress);
        // The other threads may still wait: they end with the process.
        match outcome {
            Ok(()) => std::process::exit(0),
            Err(e) => {
                println!("ENDED {e}");
                std::process::exit(3)
            }
        }
    });
}
