//! Processes of their own: tests of this binary, ignored unless a parent starts them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lobstream_streams::error::TxnClass;
use lobstream_streams::lmdb::Durability;
use lobstream_streams::log::Commit;
use lobstream_streams::record::Offset;

use crate::{PATIENCE, open, open_with, plain, reader, record, tp, transactional};

/// Records that `appends` writes.
pub(crate) const APPENDS: usize = 60;
const DIR: &str = "LOBSTREAM_TEST_CHILD_DIR";

/// Records that `commits_for_ever` writes to each partition in an epoch.
pub(crate) fn records_of(epoch: u64) -> u64 {
    1 + epoch % 5
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

/// Starts a child and goes on.
pub(crate) fn start(test: &str, dir: &Path, env: &[(&str, &str)]) -> Child {
    let exe = std::env::current_exe().expect("this binary");
    let mut command = Command::new(exe);
    command.args(["--ignored", "--exact", test, "--nocapture"]);
    command.env(DIR, dir).envs(env.iter().copied()).stdout(Stdio::piped());
    command.spawn().expect("started")
}

/// Runs a child through a shell line to its end and gives what it printed.
pub(crate) fn run(test: &str, dir: &Path, shell: &str) -> String {
    let exe = std::env::current_exe().expect("this binary");
    let mut command = Command::new("sh");
    command.args(["-c", shell]).arg(exe).args(["--ignored", "--exact", test, "--nocapture"]);
    let output = command.env(DIR, dir).output().expect("started");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {text}", output.status);
    text
}

pub(crate) fn wait_for_line(child: &mut Child, wanted: &str) {
    let stdout = child.stdout.take().expect("piped");
    let found = BufReader::new(stdout).lines().any(|line| line.expect("text").contains(wanted));
    assert!(found, "the child ended without saying {wanted:?}");
}

fn dir() -> PathBuf {
    std::env::var_os(DIR).expect("set by the parent").into()
}

#[test]
#[ignore = "runs as a child process of two_processes_append_to_one_partition"]
fn appends() {
    let log = open(&dir());
    let (mut producer, out) = (plain(&log), tp("t", 0));
    for i in 0..APPENDS {
        producer.send(record(&out, format!("child {i}").as_bytes(), 0)).expect("sent");
        producer.drain(PATIENCE).expect("written");
    }
}

#[test]
#[ignore = "runs as a child process of a_full_disk_stops_the_log_and_loses_nothing_that_was_told"]
fn fills_the_disk() {
    let dir = dir();
    let log = open(&dir);
    let (mut producer, out) = (transactional(&log, "app"), tp("t", 0));
    let mut told = 0;
    let failed = loop {
        let value = noise(told as u64, 50_000);
        producer.begin().expect("begun");
        producer.send(record(&out, &value, 0)).expect("sent");
        match producer.commit() {
            Ok(()) => told += 1,
            Err(e) => break e,
        }
    };
    assert_eq!(failed.class(), TxnClass::Unknown, "{failed}");
    assert!(failed.to_string().contains(&dir.display().to_string()), "{failed}");
    assert!(producer.begin().is_err(), "only drop is legal");
    let mut simple = plain(&log);
    simple.send(record(&out, &[1; 50_000], 0)).expect("taken");
    let text = simple.drain(PATIENCE).map(drop).err().map(|e| e.to_string());
    println!("TOLD {} {failed} {text:?}", told + usize::from(text.is_none()));
}

#[test]
#[ignore = "runs as a child process of a_killed_process_leaves_whole_transactions_only"]
fn commits_for_ever() {
    let fast = std::env::var("DURABILITY").is_ok_and(|name| name == "fast");
    let log = open_with(&dir(), if fast { Durability::Fast } else { Durability::Sync });
    let tps = [tp("t", 0), tp("t", 1), tp("t", 2)];
    let mut group = reader(&log, Some("app"));
    let committed = group.committed(&tps[..1]).expect("read").remove(0);
    let mut epoch: u64 = committed.map_or(0, |commit| commit.note[2..].parse().expect("an epoch"));
    let (mut producer, mut told) = (transactional(&log, "app"), false);
    loop {
        epoch += 1;
        producer.begin().expect("begun");
        for _ in 0..records_of(epoch) {
            for tp in &tps {
                producer.send(record(tp, epoch.to_string().as_bytes(), 0)).expect("sent");
            }
        }
        let commit = Commit { tp: tps[0].clone(), offset: Offset(epoch), note: format!("e={epoch}") };
        producer.send_offsets(group.group().as_ref(), &[commit]).expect("sent");
        let state = vec![("app".to_owned(), b"epoch".to_vec(), Some(epoch.to_string().into_bytes()))];
        producer.ship(&state).expect("shipped");
        producer.commit().expect("committed");
        if !told {
            println!("FIRST COMMIT");
            told = true;
        }
    }
}
