//! Environments: order, atomicity, growth, full disks, lost power, several processes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lobstream_streams::error::StoreError;
use lobstream_streams::lmdb::{Db, Durability, Env, EnvOptions, KEY_BYTES_MAX, Layout, Unnamed};

/// Names the directory in which a test's child process works.
const CHILD_DIR: &str = "LOBSTREAM_TEST_CHILD_DIR";

fn small() -> EnvOptions {
    EnvOptions { map_size: 1 << 16, ..EnvOptions::default() }
}

fn open(dir: &Path, options: &EnvOptions) -> (Arc<Env>, Db) {
    let env = Env::open(dir, options).expect("opens");
    let db = env.database("t").expect("made");
    (env, db)
}

fn put(env: &Env, db: Db, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    env.write(|txn| txn.put(db, key, value))
}

fn get(env: &Env, db: Db, key: &[u8]) -> Option<Vec<u8>> {
    env.read(|view| Ok::<_, StoreError>(view.get(db, key)?.map(<[u8]>::to_vec))).expect("readable")
}

fn keys(env: &Env, db: Db, prefix: &[u8]) -> Vec<Vec<u8>> {
    let keys = env.read(|view| {
        view.prefix(db, prefix)?.map(|entry| Ok(entry?.0.to_vec())).collect::<Result<_, StoreError>>()
    });
    keys.expect("readable")
}

#[test]
fn a_finished_environment_of_standard_layout_is_only_read() {
    let parent = tempfile::tempdir().expect("temporary folder");
    let (dir, renamed) = (parent.path().join("day.building"), parent.path().join("day"));
    let options = EnvOptions { layout: Layout::Standard, max_dbs: 0, ..small() };
    let env = Env::open(&dir, &options).expect("opens");
    let db = env.unnamed(Unnamed::Make).expect("made");
    for key in 0..500_u16 {
        put(&env, db, &key.to_be_bytes(), &[7; 900]).expect("written, the map grows");
    }
    drop(env);
    fs::rename(&dir, &renamed).expect("renamed");
    fs::remove_file(renamed.join("lock.mdb")).expect("there is one");
    let before = fs::read(renamed.join("data.mdb")).expect("the name that others expect");
    let env = Env::open_finished(&renamed, &options).expect("opens");
    let db = env.unnamed(Unnamed::Find).expect("found");
    assert_eq!(keys(&env, db, b"").len(), 500, "no entry but ours");
    assert!(put(&env, db, b"k", b"v").is_err(), "it is read only");
    drop(env);
    assert!(
        !renamed.join("lock.mdb").exists() && before == fs::read(renamed.join("data.mdb")).expect("read")
    );
    assert!(Env::open_finished(&parent.path().join("none"), &options).is_err(), "nothing is made");
}

#[test]
fn entries_are_kept_in_key_order_across_a_reopen() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (env, db) = open(dir.path(), &EnvOptions::default());
    let other = env.database("other").expect("made");
    for key in ["b2", "a", "b", "b1", "c"] {
        put(&env, db, key.as_bytes(), key.to_uppercase().as_bytes()).expect("written");
    }
    put(&env, other, b"b9", b"not in t").expect("written");
    drop(env);
    let (env, db) = open(dir.path(), &EnvOptions::default());
    assert_eq!(keys(&env, db, b""), [&b"a"[..], b"b", b"b1", b"b2", b"c"]);
    assert_eq!(keys(&env, db, b"b"), [&b"b"[..], b"b1", b"b2"]);
    assert_eq!(get(&env, db, b"b1"), Some(b"B1".to_vec()));
    assert_eq!(get(&env, db, b"b9"), None);
    for (key, floor) in [(&b"b15"[..], Some(&b"b1"[..])), (b"b2", Some(b"b2")), (b"0", None)] {
        let found = env.read(|view| Ok::<_, StoreError>(view.floor(db, key)?.map(|(k, _)| k.to_vec())));
        assert_eq!(found.expect("readable").as_deref(), floor);
    }
    env.write(|txn| {
        txn.delete_prefix(db, b"b")?;
        txn.delete(db, b"missing")
    })
    .expect("deleted");
    assert_eq!(keys(&env, db, b""), [b"a", b"c"]);
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (env, db) = open(dir.path(), &EnvOptions::default());
    put(&env, db, b"a", b"1").expect("written");
    let failed = env.write(|txn| {
        txn.put(db, b"a", b"2")?;
        assert_eq!(txn.view().get(db, b"a")?, Some(&b"2"[..]), "it sees its own writes");
        txn.put(db, &[b'x'; KEY_BYTES_MAX + 1], b"")
    });
    let text = failed.expect_err("the key is too long").to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    assert_eq!(get(&env, db, b"a"), Some(b"1".to_vec()));
    put(&env, db, &[b'x'; KEY_BYTES_MAX], b"").expect("the longest key");
}

#[test]
fn a_full_map_grows_while_others_read() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (env, db) = open(dir.path(), &small());
    put(&env, db, b"n", &0_u32.to_be_bytes()).expect("written");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = || {
            while !done.load(Ordering::Relaxed) {
                let n = get(&env, db, b"n").expect("there");
                let n = u32::from_be_bytes(n.try_into().expect("four bytes"));
                if n > 0 {
                    assert_eq!(get(&env, db, &(n - 1).to_be_bytes()).map(|v| v.len()), Some(50_000));
                }
            }
        };
        scope.spawn(reader);
        scope.spawn(reader);
        for n in 0..200_u32 {
            env.write(|txn| {
                txn.put(db, &n.to_be_bytes(), &[7; 50_000])?;
                txn.put(db, b"n", &(n + 1).to_be_bytes())
            })
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(env.map_size().expect("mapped") >= 10_000_000);
    assert_eq!(keys(&env, db, b"").len(), 201);
}

#[test]
fn a_directory_is_opened_once_per_process() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (env, _) = open(&dir.path().join("store"), &EnvOptions::default());
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("store"), &link).expect("linked");
    let failed = Env::open(&link, &EnvOptions::default()).expect_err("it is the same directory");
    assert!(matches!(&failed, StoreError::AlreadyOpen { dir } if *dir == link), "{failed}");
    drop(env);
    Env::open(&link, &EnvOptions::default()).expect("it was closed");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("file");
    fs::write(&file, "not a folder").expect("written");
    let failed = Env::open(&file, &EnvOptions::default()).expect_err("a file is in the way").to_string();
    assert!(failed.contains(&file.display().to_string()), "{failed}");
    fs::write(dir.path().join("lobstream.lmdb"), [0x5a; 9_000]).expect("written");
    let failed = Env::open(dir.path(), &EnvOptions::default()).expect_err("not a store").to_string();
    assert!(failed.contains(&dir.path().display().to_string()), "{failed}");
}

#[test]
fn power_lost_under_fast_sets_the_store_aside() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let fast = EnvOptions { durability: Durability::Fast, ..EnvOptions::default() };
    let (env, db) = open(dir.path(), &fast);
    let marks = || -> Vec<PathBuf> {
        let entries = fs::read_dir(dir.path()).expect("readable").map(|e| e.expect("entry").path());
        entries.filter(|path| path.to_string_lossy().contains("unsynced.")).collect()
    };
    put(&env, db, b"a", b"1").expect("written");
    assert_eq!(marks().len(), 1);
    drop(env);
    assert_eq!(marks().len(), 0, "synced and closed");
    let (env, db) = open(dir.path(), &fast);
    assert_eq!(get(&env, db, b"a"), Some(b"1".to_vec()), "a clean close keeps everything");
    let [mark] = &marks()[..] else { panic!("{:?}", marks()) };
    // As the disk looks when the machine went down now and came up again.
    fs::write(mark, "the boot before").expect("written");
    let copy = copy_of(dir.path());
    let (env, db) = open(copy.path(), &EnvOptions::default());
    assert!(env.was_discarded());
    assert_eq!(get(&env, db, b"a"), None);
    assert!(copy.path().join("lobstream.lmdb.discarded").exists());
    drop(env);
    assert!(!open(copy.path(), &EnvOptions::default()).0.was_discarded(), "once");
}

fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("temporary folder");
    for entry in fs::read_dir(dir).expect("readable") {
        let entry = entry.expect("entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    copy
}

/// A copy that is taken while somebody writes has pages of several commits, as a disk may have after a power cut. If
/// the machine has been up anew since, none of it is believed.
#[test]
fn power_lost_between_writes_sets_every_torn_copy_aside() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let fast = EnvOptions { durability: Durability::Fast, ..EnvOptions::default() };
    let (env, db) = open(dir.path(), &fast);
    let done = AtomicBool::new(false);
    let copies: Vec<_> = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0_u32.. {
                if done.load(Ordering::Relaxed) {
                    return n;
                }
                put(&env, db, &(n % 5_000).to_be_bytes(), &[n as u8; 700]).expect("written");
            }
            0
        });
        let copies = (0..30).map(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            copy_of(dir.path())
        });
        let copies = copies.collect();
        done.store(true, Ordering::Relaxed);
        assert!(writer.join().expect("no panic") > 100, "it has written meanwhile");
        copies
    });
    for copy in copies {
        let mut entries = fs::read_dir(copy.path()).expect("readable").map(|e| e.expect("entry").path());
        let mark = entries.find(|path| path.to_string_lossy().contains("unsynced."));
        fs::write(mark.expect("it was not closed"), "the boot before").expect("written");
        let (env, db) = open(copy.path(), &fast);
        assert!(env.was_discarded() && keys(&env, db, b"").is_empty());
        put(&env, db, b"a", b"1").expect("it begins anew");
    }
}

#[test]
fn a_map_that_another_process_grew_is_adopted() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (env, db) = open(dir.path(), &small());
    put(&env, db, b"a", b"1").expect("written");
    let before = env.last_commit().expect("mapped");
    let output = child("child_writes_much", dir.path(), "exec \"$0\" \"$@\"");
    assert!(output.contains("WROTE 100"), "{output}");
    assert!(env.last_commit().expect("mapped") > before);
    assert_eq!(keys(&env, db, b"k").len(), 100, "read after growth");
    put(&env, db, b"b", b"2").expect("written after growth");
    assert!(env.map_size().expect("mapped") > 4_000_000);
}

#[test]
#[ignore = "runs as a child process of a_map_that_another_process_grew_is_adopted"]
fn child_writes_much() {
    let (env, db) = open(&child_dir(), &small());
    for n in 0..100_u32 {
        put(&env, db, format!("k{n}").as_bytes(), &[1; 50_000]).expect("written");
    }
    println!("WROTE {}", keys(&env, db, b"k").len());
}

#[test]
fn a_full_disk_is_an_error_that_loses_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // No file may grow past 4 MiB; the signal of that is ignored, as the application does.
    let limited = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let output = child("child_fills_the_disk", dir.path(), limited);
    let kept = output.split("KEPT ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let kept: usize = kept.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{output}"));
    assert!((10..80).contains(&kept), "{kept}");
    let (env, db) = open(dir.path(), &EnvOptions::default());
    assert_eq!(keys(&env, db, b"").len(), kept, "nothing half-written");
    put(&env, db, b"more", &[1; 50_000]).expect("there is room again");
}

#[test]
#[ignore = "runs as a child process of a_full_disk_is_an_error_that_loses_nothing"]
fn child_fills_the_disk() {
    let dir = child_dir();
    let (env, db) = open(&dir, &EnvOptions::default());
    let mut kept = 0_u32;
    let failed = loop {
        let key = kept.to_be_bytes();
        match put(&env, db, &key, &[1; 50_000]) {
            Ok(()) => kept += 1,
            Err(e) => break e,
        }
    };
    assert!(matches!(&failed, StoreError::Write { dir: named, .. } if *named == dir), "{failed:?}");
    assert_eq!(get(&env, db, &(kept - 1).to_be_bytes()).map(|v| v.len()), Some(50_000), "reads go on");
    put(&env, db, &kept.to_be_bytes(), &[1; 50_000]).expect_err("still full");
    assert_eq!(keys(&env, db, b"").len(), kept as usize);
    println!("KEPT {kept} {failed}");
}

#[test]
fn a_disk_that_is_full_at_the_start_is_an_error_too() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let own_mounts = Command::new("unshare").args(["-m", "true"]).status();
    if !own_mounts.is_ok_and(|status| status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED a_disk_that_is_full_at_the_start_is_an_error_too: mounting is not allowed"
        );
        return;
    }
    for pages in 0..6 {
        let full = format!(
            "mount -t tmpfs -o size=64k none \"${CHILD_DIR}\" && \
             dd if=/dev/zero of=\"${CHILD_DIR}/ballast\" bs=4k count={} 2>/dev/null; exec \"$0\" \"$@\"",
            16 - pages
        );
        let in_own_mounts = format!("exec unshare -m sh -c '{full}' \"$0\" \"$@\"");
        let output = child("child_opens_on_a_full_disk", dir.path(), &in_own_mounts);
        assert!(output.contains("REFUSED"), "{pages} pages free: {output}");
    }
}

#[test]
#[ignore = "runs as a child process of a_disk_that_is_full_at_the_start_is_an_error_too"]
fn child_opens_on_a_full_disk() {
    let dir = child_dir();
    let failed = Env::open(&dir, &EnvOptions::default()).and_then(|env| {
        let db = env.database("t")?;
        put(&env, db, b"a", &[1; 50_000])
    });
    let text = failed.expect_err("there is no room").to_string();
    assert!(text.contains(&dir.display().to_string()), "{text}");
    println!("REFUSED {text}");
}

#[test]
fn a_killed_reader_holds_nothing_back_after_the_next_open() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let options = EnvOptions { durability: Durability::Fast, ..EnvOptions::default() };
    let size = || fs::metadata(dir.path().join("lobstream.lmdb")).expect("a file").len();
    let churn = |n: u8| {
        let (env, db) = open(dir.path(), &options);
        (0..n).for_each(|i| put(&env, db, b"key", &[i; 20_000]).expect("written"));
        size()
    };
    let calm = churn(100);
    let mut reader = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "child_reads_for_ever", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let out = reader.stdout.take().expect("piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("READING")), "it has its view open");
    let held = churn(100);
    assert!(held > calm + 1_000_000, "while it lives it keeps old pages: {calm} to {held}");
    reader.kill().expect("killed");
    reader.wait().expect("ended");
    let after = churn(250);
    assert!(after < held * 11 / 10, "its slot is freed: {held} to {after}");
}

#[test]
#[ignore = "runs as a child process of a_killed_reader_holds_nothing_back_after_the_next_open"]
fn child_reads_for_ever() {
    let (env, db) = open(&child_dir(), &EnvOptions::default());
    let read = env.read(|view| {
        let found = view.get(db, b"key")?.is_some();
        println!("READING {found}");
        loop {
            thread::sleep(std::time::Duration::from_secs(1));
        }
        #[expect(unreachable_code, reason = "the type of the closure")]
        Ok::<bool, StoreError>(found)
    });
    drop(read);
}

fn child_dir() -> PathBuf {
    std::env::var_os(CHILD_DIR).expect("set by the parent").into()
}

/// Runs a test of this binary in a process of its own, through a shell line, and gives what it printed.
fn child(test: &str, dir: &Path, shell: &str) -> String {
    let exe = std::env::current_exe().expect("this binary");
    let mut command = Command::new("sh");
    command.args(["-c", shell]).arg(exe).args(["--ignored", "--exact", test, "--nocapture"]);
    let output = command.env(CHILD_DIR, dir).output().expect("started");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {text}", output.status);
    text
}
