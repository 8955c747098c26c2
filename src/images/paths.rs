//! Where the images of a day lie, while they are made and afterwards, and how they come into place.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::Error;

/// Where the images of a day lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DayPaths {
    out: PathBuf,
    date: String,
}

impl DayPaths {
    /// Of a date as `YYYYMMDD`.
    pub(crate) fn new(out: &Path, date: &str) -> DayPaths {
        DayPaths { out: out.to_owned(), date: date.to_owned() }
    }

    fn named(&self, suffix: &str) -> PathBuf {
        self.out.join(format!("{}.{suffix}", self.date))
    }

    /// The images.
    pub(crate) fn images(&self) -> PathBuf {
        self.named("lmdb")
    }

    /// What is known about them.
    pub(crate) fn meta(&self) -> PathBuf {
        self.named("meta.lmdb")
    }

    /// The images while they are made.
    pub(crate) fn building(&self) -> PathBuf {
        self.named("building")
    }

    pub(super) fn meta_building(&self) -> PathBuf {
        self.named("meta.building")
    }

    /// Finishes what a killed run had begun: the second rename, and days that were replaced.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn mend(&self) -> Result<(), Error> {
        let (images, building) = (self.images(), self.building());
        if building.exists() && !self.meta_building().exists() && self.meta().exists() && !images.exists() {
            rename(&building, &images)?;
        }
        if images.exists() && self.meta().exists() {
            [self.named("old"), self.named("meta.old")].iter().try_for_each(|old| remove(old))?;
        }
        Ok(())
    }

    /// Throws away what was being made.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn discard(&self) -> Result<(), Error> {
        remove(&self.building())?;
        remove(&self.meta_building())
    }

    /// Puts what was made in its place, and what was there before away.
    ///
    /// # Errors
    /// The file system.
    pub(super) fn publish(&self) -> Result<(), Error> {
        for (here, old) in [(self.meta(), self.named("meta.old")), (self.images(), self.named("old"))] {
            remove(&old)?;
            if here.exists() {
                rename(&here, &old)?;
            }
        }
        rename(&self.meta_building(), &self.meta())?;
        rename(&self.building(), &self.images())?;
        fs::File::open(&self.out)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| Error::file("cannot sync", &self.out, e))?;
        remove(&self.named("old"))?;
        remove(&self.named("meta.old"))
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|e| Error::file("cannot put in place", to, e))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("cannot remove", path, e)),
        _ => Ok(()),
    }
}
