//! The files of an environment, before LMDB sees them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Layout, boot};

/// The data file inside the directory.
const FILE: &str = "lobstream.lmdb";
/// The lock file beside it: who reads what, over all processes.
const LOCK_FILE: &str = "lobstream.lmdb-lock";
/// Both as every LMDB program names them.
const STANDARD: (&str, &str) = ("data.mdb", "lock.mdb");
/// Room for 254 readers at once.
const LOCK_BYTES: usize = 16 << 10;

/// The data file of an environment.
pub(super) fn data(dir: &Path, layout: Layout) -> PathBuf {
    dir.join(match layout {
        Layout::Own => FILE,
        Layout::Standard => STANDARD.0,
    })
}

/// Makes the lock file with all its blocks. LMDB would make it sparse and write to it through a map, where
/// a full disk is not an error but the end of the process. Linked into place when it is whole, because
/// another process may be opening it.
pub(super) fn make_lock_file(dir: &Path, layout: Layout) -> io::Result<()> {
    let name = match layout {
        Layout::Own => LOCK_FILE,
        Layout::Standard => STANDARD.1,
    };
    let path = dir.join(name);
    if path.exists() {
        return Ok(());
    }
    let draft = dir.join(format!("{name}.{}", std::process::id()));
    let written = fs::write(&draft, [0; LOCK_BYTES]);
    if written.is_ok() {
        // Another process was faster, or the file system has no links: then it is as LMDB makes it.
        drop(fs::hard_link(&draft, &path));
    }
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

/// Moves the data file out of the way, so that the environment begins anew.
pub(super) fn set_aside(dir: &Path, layout: Layout) -> io::Result<()> {
    let file = data(dir, layout);
    if file.exists() {
        fs::rename(&file, dir.join(format!("{FILE}.discarded")))?;
    }
    tracing::warn!(dir = %dir.display(), "Store discarded: power was lost before it was synced");
    boot::forget(dir)
}
