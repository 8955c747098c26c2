//! Files appear whole or not at all.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// A folder that files are put into one by one.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    dir: &'a Path,
    written: Vec<PathBuf>,
}

impl<'a> Folder<'a> {
    /// Makes the folder if it is not there.
    pub(super) fn open(dir: &'a Path) -> Result<Folder<'a>, Error> {
        let failed = |source| Error::Io { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        Ok(Folder { dir, written: Vec::new() })
    }

    /// Writes a file beside its place and then moves it there.
    pub(super) fn put(&mut self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        self.put_with(name, |path| {
            std::fs::write(path, &bytes).map_err(|source| Error::Io { path: path.to_owned(), source })
        })
    }

    /// The same for a writer that wants a path. The path ends as the name does.
    pub(super) fn put_with(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.dir.join(name);
        self.beside(name, |beside| {
            write(beside)?;
            std::fs::rename(beside, &path).map_err(|source| Error::Io { path: path.clone(), source })
        })?;
        self.written.push(path);
        Ok(())
    }

    /// What a writer writes, without keeping it as a file.
    pub(super) fn bytes_of(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        self.beside(name, |beside| {
            write(beside)?;
            let bytes = std::fs::read(beside);
            let _ = std::fs::remove_file(beside);
            bytes.map_err(|source| Error::Io { path: beside.to_owned(), source })
        })
    }

    /// Gives a place for unfinished bytes; whatever is left there after a failure is removed.
    fn beside<T>(&self, name: &str, work: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
        let beside = self.dir.join(format!(".unfinished-{name}"));
        let result = work(&beside);
        if result.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        result
    }

    /// The bytes of a file that was put here.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.dir.join(name);
        std::fs::read(&path).map_err(|source| Error::Io { path, source })
    }

    /// All files, in the order in which they were put.
    pub(super) fn close(self) -> Vec<PathBuf> {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_file_leaves_the_old_one_and_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("folder");
        let mut folder = Folder::open(dir.path()).expect("open");
        folder.put("a.txt", "old").expect("put");
        let failed = folder.put_with("a.txt", |path| {
            std::fs::write(path, "half").expect("write");
            Err(Error::NoRows)
        });
        assert!(failed.is_err());
        assert_eq!(folder.read("a.txt").expect("read"), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);
        assert_eq!(folder.close(), [dir.path().join("a.txt")]);
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("write");
        let error = Folder::open(&file.join("out")).expect_err("refused");
        assert!(error.to_string().contains("file/out"), "{error}");
    }
}
