//! What the integration tests share: the binary, the recordings, the servers, and loud skips.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// A finished call of the binary.
pub(crate) struct Done {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it reported.
    pub(crate) stderr: String,
}

impl Done {
    /// Asserts success and gives back standard output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts a failure: its exit code, and that the report says every one of `words`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in:\n{}", self.stderr);
        }
        self.stderr
    }
}

/// The binary with these arguments, not yet started. Wall-clock noise such as progress bars is off.
pub(crate) fn command<S: AsRef<str>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lobstream"));
    command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null()).env_remove("LOBSTREAM_RULES");
    command
}

/// No call of these tests needs this long, on however busy a machine; one that hangs must not hang the suite.
const LONGEST: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);

/// Runs the binary to its end.
pub(crate) fn lobstream<S: AsRef<str>>(args: &[S]) -> Done {
    let mut child =
        command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let stdout = read(child.stdout.take().expect("it is piped"));
    let stderr = read(child.stderr.take().expect("it is piped"));
    let code = wait(&mut child, &args.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    Done { code, stdout: stdout.join().expect("it is read"), stderr: stderr.join().expect("it is read") }
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("it can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Its exit code; after [`LONGEST`] it is killed, and the report says which call that was.
fn wait(child: &mut Child, args: &[&str]) -> Option<i32> {
    for _ in 0..LONGEST.as_millis() / LOOK.as_millis() {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return status.code();
        }
        std::thread::sleep(LOOK);
    }
    said(&format!("KILLED after {LONGEST:?}: lobstream {}", args.join(" ")));
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours").code()
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A recorded file, or `None` after saying loudly what is skipped.
pub(crate) fn recording(test: &str, name: &str) -> Option<String> {
    let path: PathBuf = root().join("../shared/data").join(name);
    if path.exists() {
        return Some(path.to_string_lossy().into_owned());
    }
    skipped(test, &format!("../shared/data/{name} is absent"));
    None
}

/// `host:port` of a real broker, or `None` after saying loudly what is skipped.
pub(crate) fn kafka(test: &str) -> Option<String> {
    server(test, "LOBSTREAM_TEST_KAFKA")
}

/// URI of a real MongoDB, or `None` after saying loudly what is skipped.
pub(crate) fn mongo(test: &str) -> Option<String> {
    server(test, "LOBSTREAM_TEST_MONGO")
}

/// A Python with the packages of tests/oracle/requirements.txt, or `None` after saying loudly what is skipped.
pub(crate) fn python(test: &str) -> Option<String> {
    server(test, "LOBSTREAM_TEST_PYTHON")
}

fn server(test: &str, variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|v| !v.is_empty());
    if value.is_none() {
        skipped(test, &format!("{variable} is not set; scripts/test sets it"));
    }
    value
}

/// Says that a test did not run.
pub(crate) fn skipped(test: &str, why: &str) {
    said(&format!("SKIPPED {test}: {why}"));
}

/// Prints a line past the test harness, which would hide it.
pub(crate) fn said(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).expect("standard error is open");
}

/// A name no other test run uses, for topics and databases on shared servers.
pub(crate) fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static N: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), N.fetch_add(1, Ordering::Relaxed))
}

/// A temporary folder that gives out paths and URIs.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// A fresh one.
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("temporary folder"))
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    /// `scheme:PATH` of a path inside.
    pub(crate) fn uri(&self, scheme: &str, name: &str) -> String {
        format!("{scheme}:{}", self.path(name))
    }
}

/// A little recording of our own making, in the spelling of Binance USD-M: four changes and four trades a second.
#[derive(Clone, Copy)]
pub(crate) struct Small {
    /// Venue time of the first message, ms.
    pub(crate) start_ms: i64,
    /// Number of the first change; ids go on from it, so that two recordings can join.
    pub(crate) first: i64,
    /// Changes.
    pub(crate) n: i64,
    /// After which change a snapshot comes.
    pub(crate) snapshot: Option<i64>,
    pub(crate) symbol: &'static str,
    /// How far the recorder's clock is ahead of the venue's, ms.
    pub(crate) clock_ahead_ms: i64,
}

impl Default for Small {
    fn default() -> Small {
        let start_ms = 1_700_000_000_000;
        Small { start_ms, first: 0, n: 48, snapshot: None, symbol: "XYZUSDT", clock_ahead_ms: 0 }
    }
}

impl Small {
    /// Its lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let (symbol, stream) = (self.symbol, self.symbol.to_ascii_lowercase());
        let mut out = Vec::new();
        for i in self.first..self.first + self.n {
            let ms = self.start_ms + 250 * (i - self.first);
            let ns = (ms + self.clock_ahead_ms) * 1_000_000;
            out.push(format!(
                r#"{ns} {{"stream":"{stream}@depth","data":{{"e":"depthUpdate","E":{ms},"T":{ms},"s":"{symbol}","U":{U},"u":{u},"pu":{pu},"b":[["99.9","{q}.5"]],"a":[["100.1","2.5"]]}}}}"#,
                U = 10 * i + 1,
                u = 10 * i + 10,
                pu = 10 * i,
                q = i % 5 + 1
            ));
            out.push(format!(
                r#"{ns} {{"stream":"{stream}@trade","data":{{"e":"trade","E":{ms},"T":{ms},"s":"{symbol}","t":{i},"p":"100.0","q":"0.5","X":"MARKET","m":false}}}}"#,
            ));
            if self.snapshot == Some(i) {
                out.push(format!(
                    r#"{ns} {{"lastUpdateId":{id},"E":{ms},"T":{ms},"bids":[["99.9","1.0"],["99.8","2.0"]],"asks":[["100.1","1.0"],["100.2","2.0"]]}}"#,
                    id = 10 * i + 5
                ));
            }
        }
        out
    }

    /// Writes it into a folder; the path.
    pub(crate) fn file(&self, folder: &Folder, name: &str) -> String {
        let path = folder.path(name);
        std::fs::write(&path, self.lines().join("\n") + "\n").expect("written");
        path
    }
}

/// A table as read from CSV: rows of text, by column name.
pub(crate) type Table = Vec<std::collections::BTreeMap<String, String>>;

/// Reads a CSV text.
pub(crate) fn table(csv: &str) -> Table {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().expect("header").split(',').collect();
    let row =
        |line: &str| names.iter().map(|n| (*n).to_owned()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// Runs over a log to its end and gives back the factor rows stored under this name.
pub(crate) fn rows(folder: &Folder, log: &str, name: &str) -> Table {
    let (results, out) = (folder.uri("lmdb", name), folder.path(&format!("{name}.csv")));
    lobstream(&["run", "--log", log, "--results", &results, "--until-end"]).ok();
    lobstream(&["export", "--to", "factors", "--from", &results, "--out", &out]).ok();
    table(&std::fs::read_to_string(out).expect("exported"))
}

/// Asks until the answer is yes or the time is up.
pub(crate) fn wait_for(within: Duration, mut yes: impl FnMut() -> bool) -> bool {
    let step = Duration::from_millis(200);
    (0..within.as_millis() / step.as_millis()).any(|_| {
        std::thread::sleep(step);
        yes()
    })
}

/// Random moments from a seed that a failing test prints (SplitMix64).
pub(crate) struct Rng(u64);

impl Rng {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// In [0, 1).
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
