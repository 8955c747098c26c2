//! F17: hours of work take no more memory, files and room for state than its first seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bed::number;
use crate::check::check;
use crate::feed::{Bed, Workload, append, feed};
use crate::program::{Footprint, Program, open, start};
use crate::stateless::without_state;

/// Records of one step of the writer.
const STEP: u64 = 200;
/// Looks at the end of a time of work whose mean counts.
const LOOKS: usize = 8;

/// How much, for how long.
struct Load {
    per_second: u64,
    warm_up: Duration,
    rest: Duration,
    /// KiB by which memory may grow.
    growth_max: u64,
}

impl Load {
    /// A debug build cannot take the load of a release build. `LOBSTREAM_SOAK_SECONDS`: how long after the warm-up.
    fn wanted() -> Load {
        let (per_second, warm_up, rest) =
            if cfg!(debug_assertions) { (2_000, 8, 12) } else { (20_000, 30, 30) };
        let rest = number("LOBSTREAM_SOAK_SECONDS", rest);
        let growth_max = (4 << 10).max(rest * (1 << 10) / 3_600);
        let seconds = Duration::from_secs;
        Load { per_second, warm_up: seconds(warm_up), rest: seconds(rest), growth_max }
    }
}

fn step(n: u64) -> Workload {
    let start = 1_000_000 + n as i64 * 20_000;
    Workload { seed: n + 1, records: STEP, poison_every: 500, bye: false, start }
}

/// Writes on an absolute schedule for so long, from step `n` on; the step that comes next.
#[expect(clippy::disallowed_methods, reason = "the load of a test comes by the clock of the machine")]
fn write(bed: &Bed, load: &Load, time: Duration, n: u64) -> u64 {
    let (log, began) = (open(bed.dir.path()), Instant::now());
    for i in 0.. {
        let due = Duration::from_secs_f64((i * STEP) as f64 / load.per_second as f64);
        if due >= time {
            return n + i;
        }
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        append(bed, &log, step(n + i));
    }
    n
}

/// Bytes of the files of a folder and of those in it.
fn bytes_in(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let of = |entry: std::fs::DirEntry| match entry.file_type().expect("known").is_dir() {
        true => bytes_in(&entry.path()),
        // What they take on disk: maps are sparse.
        false => entry.metadata().expect("known").blocks() * 512,
    };
    entries.map(of).sum()
}

/// Waits until it has nothing left to do.
fn quiet(program: &Program, written: u64) {
    let mut before = 0;
    loop {
        let now = program.wait_for("PROCESSED").0.parse::<u64>().expect("a number");
        if now >= written && now == before {
            return;
        }
        before = now;
    }
}

/// Writes for so long, from step `n` on, and looks at the process each second. The step that comes next, and the
/// footprint in the last seconds.
fn work(bed: &Bed, load: &Load, time: Duration, n: u64, program: &mut Program) -> (u64, Footprint) {
    let (mut steps, mut seen) = (n, Vec::new());
    for _ in 0..time.as_secs() {
        steps = write(bed, load, Duration::from_secs(1), steps);
        seen.push(program.footprint());
    }
    let last = &seen[seen.len().saturating_sub(LOOKS)..];
    // What the allocator keeps for later goes up and down by a tenth.
    let anonymous_kib = last.iter().map(|seen| seen.anonymous_kib).sum::<u64>() / last.len() as u64;
    quiet(program, steps * STEP);
    (steps, Footprint { anonymous_kib, open_files: program.footprint().open_files })
}

#[test]
fn f17_work_without_end_takes_no_more_memory_files_and_room() {
    let (load, bed) = (Load::wanted(), Bed::embedded());
    let state = bed.dir.path().join("state");
    feed(&bed, &open(bed.dir.path()), step(0));
    let mut program = start(bed.dir.path(), "for ever");
    let (steps, warm) = work(&bed, &load, load.warm_up, 1, &mut program);
    let warm_state = bytes_in(&state);
    let (steps, after) = work(&bed, &load, load.rest, steps, &mut program);
    let after_state = bytes_in(&state);
    program.end();

    let growth = after.anonymous_kib.saturating_sub(warm.anonymous_kib);
    println!(
        "F17 {} records, {} a second: memory {} -> {} KiB, open files {} -> {}, state {warm_state} -> {after_state} bytes",
        steps * STEP,
        load.per_second,
        warm.anonymous_kib,
        after.anonymous_kib,
        warm.open_files,
        after.open_files,
    );
    assert!(growth < load.growth_max, "memory grew by {growth} KiB, {} are possible", load.growth_max);
    assert_eq!(after.open_files, warm.open_files);
    assert!(after_state <= warm_state + warm_state / 10, "state takes {after_state} bytes, not {warm_state}");
    // The oracle holds everything in memory.
    if steps * STEP <= 1_000_000 {
        start(bed.dir.path(), "everything").end();
        check(&bed, &without_state(&open(bed.dir.path())));
    }
}
