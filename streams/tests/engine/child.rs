//! The application in a process of its own, which a test may kill or which kills itself at an edge.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobstream_streams::log;
use lobstream_streams::runtime::commit::Edge;

use crate::feed::Bed;
use crate::fixture::{Protocol, app, run, settings};

const ORDER: &str = "LOBSTREAM_ENGINE_CHILD";

/// How a child runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) protocol: Protocol,
    pub(crate) n_threads: u32,
    pub(crate) checkpoint_ms: u64,
    /// Slows it down, so that a kill meets it at work.
    pub(crate) pause_us: u64,
    /// Abort at the n-th visit of an edge, from 1; 0 = never.
    pub(crate) edge: u8,
    pub(crate) nth: u32,
}

impl Order {
    pub(crate) fn new(protocol: Protocol) -> Order {
        Order { protocol, n_threads: 1, checkpoint_ms: 25, pause_us: 0, edge: 0, nth: 0 }
    }

    fn command(&self, bed: &Bed) -> Command {
        let Order { protocol, n_threads, checkpoint_ms, pause_us, edge, nth } = self;
        let dir = bed.dir.path().display();
        let order = format!(
            "{}|{}|{dir}|{protocol:?}|{n_threads}|{checkpoint_ms}|{pause_us}|{edge}|{nth}",
            bed.uri, bed.app
        );
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--ignored", "--exact", "child::runs_as_ordered", "--nocapture"]);
        command.env(ORDER, order).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts a child that may write files of at most so many blocks of 512 bytes.
    pub(crate) fn start_with_file_limit(&self, bed: &Bed, blocks: u32) -> Child {
        let command = self.command(bed);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"")]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.stdout(Stdio::null()).spawn().expect("started")
    }

    /// Runs a child to its end.
    pub(crate) fn run(&self, bed: &Bed) -> ExitStatus {
        let output = self.command(bed).output().expect("started");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || self.edge > 0, "{self:?} {}\n{text}", output.status);
        output.status
    }

    /// Starts a child and kills it after a while, unless it ends before. `true`: it was killed.
    pub(crate) fn kill_after(&self, bed: &Bed, after: Duration) -> bool {
        let mut child = self.command(bed).stderr(Stdio::null()).spawn().expect("started");
        std::thread::sleep(after);
        let ended = child.try_wait().expect("asked");
        if let Some(status) = ended {
            assert!(status.success(), "{self:?} {status}");
            return false;
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        true
    }
}

/// Not a test: the body of a child.
#[test]
#[ignore = "a child process of other tests"]
fn runs_as_ordered() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let fields: Vec<&str> = order.split('|').collect();
    let [uri, name, dir, protocol, threads, checkpoint_ms, pause_us, edge, nth] = fields[..] else {
        panic!("not an order: {order}")
    };
    let protocol = if protocol == "A" { Protocol::A } else { Protocol::B };
    let log = log::open(uri).expect("a log");
    let mut settings = settings(&std::path::Path::new(dir).join("state"));
    settings.n_threads = threads.parse().expect("a number");
    settings.checkpoint_interval = Some(Duration::from_millis(checkpoint_ms.parse().expect("a number")));
    settings.take_max = 20;
    // What a killed child leaves behind is waited for by the next one.
    (settings.txn_timeout, settings.session_timeout) = (Duration::from_secs(4), Duration::from_secs(6));
    let pause = Duration::from_micros(pause_us.parse().expect("a number"));
    let (edge, nth): (u8, u32) = (edge.parse().expect("a number"), nth.parse().expect("a number"));
    let visits = AtomicU32::new(0);
    let app = app(name, protocol, &log, &settings).on_edge(move |at| {
        if at == Edge::BeforeSend {
            std::thread::sleep(pause);
        }
        if at as u8 == edge && visits.fetch_add(1, Ordering::AcqRel) + 1 == nth {
            std::process::abort();
        }
    });
    run(&app).expect("a run");
}
