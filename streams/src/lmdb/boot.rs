//! Marks of commits that may not have reached the disk: one small file per process that writes without
//! syncing, holding the boot id. A mark of another boot means that power was lost under it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const PREFIX: &str = "unsynced.";

/// The mark of this process; taken away by [`Mark::clear`] once everything is on the disk.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
}

impl Mark {
    /// Makes the mark durable before the first commit that is not.
    pub(super) fn set(dir: &Path) -> io::Result<Mark> {
        let path = dir.join(format!("{PREFIX}{}", std::process::id()));
        let mut file = File::create(&path)?;
        file.write_all(boot_id().as_bytes())?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Mark { path })
    }

    /// Everything is on the disk.
    pub(super) fn clear(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Did the machine go down while a process wrote without syncing? An unknown boot id counts as another
/// boot: better a store restored once too often than one that is wrong.
pub(super) fn power_was_lost(dir: &Path) -> io::Result<bool> {
    let now = boot_id();
    for mark in marks(dir)? {
        if now.is_empty() || fs::read_to_string(&mark)? != now {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Marks that killed processes left behind; after a sync they say nothing any more.
pub(super) fn left_behind(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let alive = |mark: &PathBuf| {
        let pid = mark.extension().unwrap_or_default();
        Path::new("/proc").join(pid).exists()
    };
    Ok(marks(dir)?.into_iter().filter(|mark| !alive(mark)).collect())
}

/// Takes all marks away, with the store they spoke of.
pub(super) fn forget(dir: &Path) -> io::Result<()> {
    marks(dir)?.iter().try_for_each(fs::remove_file)
}

fn marks(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Empty where the system does not tell.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mark_of_another_boot_tells_of_lost_power() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert!(!power_was_lost(dir.path()).expect("readable"));
        let mark = Mark::set(dir.path()).expect("writable");
        assert!(!power_was_lost(dir.path()).expect("readable"));
        fs::write(dir.path().join("unsynced.77"), "another boot").expect("writable");
        assert!(power_was_lost(dir.path()).expect("readable"));
        forget(dir.path()).expect("writable");
        assert!(!power_was_lost(dir.path()).expect("readable"));
        assert!(mark.clear().is_err(), "forgotten with the others");
    }

    #[test]
    fn a_mark_is_left_behind_when_its_process_is_gone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let _own = Mark::set(dir.path()).expect("writable");
        let dead = dir.path().join(format!("{PREFIX}999999999"));
        fs::write(&dead, boot_id()).expect("writable");
        assert_eq!(left_behind(dir.path()).expect("readable"), [dead]);
    }
}
