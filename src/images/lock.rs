//! One run at a time makes a day in a folder.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::error::Error;

/// Folder of locks below the output: an empty file for each day, which stays.
const LOCKS: &str = ".lock";

/// Holds a day until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(super) struct DayLock {
    // Closing the file gives the lock back.
    _file: File,
}

impl DayLock {
    /// Takes the day.
    ///
    /// # Errors
    /// Another run has it (exit code 6); the file system.
    pub(super) fn take(out: &Path, date: &str) -> Result<DayLock, Error> {
        let dir = out.join(LOCKS);
        fs::create_dir_all(&dir).map_err(|e| Error::file("cannot make", &dir, e))?;
        let path = dir.join(date);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| Error::file("cannot open", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(DayLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let out = out.display();
                let what =
                    format!("another run makes {date} in {out}: wait for it, or give this one another --out");
                Err(Error::Exists { what })
            }
            Err(TryLockError::Error(e)) => Err(Error::file("cannot lock", &path, e)),
        }
    }
}
