//! A broker of a test's own, to be stopped and killed.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::scene::said;

/// Stopped when it is dropped.
pub(crate) struct Broker {
    dir: TempDir,
    port: u16,
    /// The port that clients are told, if it is another one.
    advertised: Option<u16>,
}

impl Broker {
    /// `None`, and a word about it, where the tests have no broker at all. `advertised`: clients are told to
    /// come to this port.
    pub(crate) fn start(test: &str, advertised: Option<u16>) -> Option<Broker> {
        if std::env::var_os("LOBSTREAM_TEST_KAFKA").is_none() {
            said(&format!("SKIPPED {test}: LOBSTREAM_TEST_KAFKA is not set"));
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let mut broker = Broker { dir, port: 0, advertised };
        broker.up();
        Some(broker)
    }

    /// Where clients begin.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn up(&mut self) {
        let said = self.services("up");
        let port = said.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        self.port = port.unwrap_or_else(|| panic!("no port in {said:?}"));
    }

    /// Ends in order.
    pub(crate) fn down(&self) {
        self.services("down");
    }

    /// kill -9.
    pub(crate) fn kill(&self) {
        self.services("kill");
    }

    /// Stands still for so long.
    pub(crate) fn freeze(&self, time: Duration) {
        self.signal("STOP");
        std::thread::sleep(time);
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.path().join("kafka/pid")).expect("a process");
        let sent = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status().expect("kill runs");
        assert!(sent.success(), "the broker is there");
    }

    fn services(&self, verb: &str) -> String {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let mut command = Command::new(script);
        command.args([verb, "kafka"]);
        command.env("SERVICES_DIR", self.dir.path()).env("LOBSTREAM_SERVICES", "native");
        if let Some(port) = self.advertised {
            command.env("KAFKA_ADVERTISED_PORT", port.to_string());
        }
        let output = command.output().expect("the script runs");
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
