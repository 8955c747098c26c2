//! The files of an environment, before LMDB sees them.

use std::fs;
use std::io;
use std::path::Path;

use super::boot;

/// The data file inside the directory.
pub(super) const FILE: &str = "lobstream.lmdb";
/// The lock file beside it: who reads what, over all processes.
const LOCK_FILE: &str = "lobstream.lmdb-lock";
/// Room for 254 readers at once.
const LOCK_BYTES: usize = 16 << 10;

/// Makes the lock file with all its blocks. LMDB would make it sparse and write to it through a map, where
/// a full disk is not an error but the end of the process. Linked into place when it is whole, because
/// another process may be opening it.
pub(super) fn make_lock_file(dir: &Path) -> io::Result<()> {
    let path = dir.join(LOCK_FILE);
    if path.exists() {
        return Ok(());
    }
    let draft = dir.join(format!("{LOCK_FILE}.{}", std::process::id()));
    let written = fs::write(&draft, [0; LOCK_BYTES]);
    if written.is_ok() {
        // Another process was faster, or the file system has no links: then it is as LMDB makes it.
        drop(fs::hard_link(&draft, &path));
    }
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

/// Moves the data file out of the way, so that the environment begins anew.
pub(super) fn set_aside(dir: &Path) -> io::Result<()> {
    if dir.join(FILE).exists() {
        fs::rename(dir.join(FILE), dir.join(format!("{FILE}.discarded")))?;
    }
    tracing::warn!(dir = %dir.display(), "Store discarded: power was lost before it was synced");
    boot::forget(dir)
}
