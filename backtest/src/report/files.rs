//! Files appear whole or not at all, and those of an earlier report do not stay among them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Marks a folder as one of reports, and names the files of the last one, a line each.
const MARKER: &str = ".lobstream-report";

/// A folder that files are put into one by one.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    dir: &'a Path,
    /// Names of an earlier report's files.
    earlier: BTreeSet<String>,
    written: Vec<PathBuf>,
}

/// May a report be written here? Into a folder that is missing, empty or of an earlier report; into any other
/// only if `force`d.
pub(super) fn check(dir: &Path, force: bool) -> Result<(), Error> {
    let failed = |source| Error::Io { path: dir.to_owned(), source };
    if force || !dir.exists() || dir.join(MARKER).exists() {
        return Ok(());
    }
    match std::fs::read_dir(dir).map_err(failed)?.next() {
        Some(_) => Err(Error::Occupied { path: dir.to_owned() }),
        None => Ok(()),
    }
}

impl<'a> Folder<'a> {
    /// Makes the folder if it is not there.
    pub(super) fn open(dir: &'a Path, force: bool) -> Result<Folder<'a>, Error> {
        check(dir, force)?;
        let failed = |source| Error::Io { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let marker = std::fs::read_to_string(dir.join(MARKER)).unwrap_or_default();
        // Only names: whatever stands in a marker, nothing outside of the folder is ever removed.
        let is_name = |name: &&str| !name.is_empty() && !name.contains(['/', '\\']) && *name != "..";
        let earlier: BTreeSet<String> = marker.lines().filter(is_name).map(str::to_owned).collect();
        let mut folder = Folder { dir, earlier, written: Vec::new() };
        folder.mark()?;
        Ok(folder)
    }

    /// Opens a folder that holds a report, whose files stay.
    pub(super) fn add_to(dir: &'a Path) -> Result<Folder<'a>, Error> {
        let mut folder = Folder::open(dir, false)?;
        let kept = std::mem::take(&mut folder.earlier);
        folder.written = kept.into_iter().map(|name| dir.join(name)).collect();
        Ok(folder)
    }

    /// Names the files of the earlier report that are still here, and those written by now.
    fn mark(&mut self) -> Result<(), Error> {
        let written = self.written.iter().filter_map(|path| path.file_name()?.to_str()).map(str::to_owned);
        let names: BTreeSet<String> = self.earlier.iter().cloned().chain(written).collect();
        let text: String = names.into_iter().map(|name| name + "\n").collect();
        let path = self.dir.join(MARKER);
        std::fs::write(&path, text).map_err(|source| Error::Io { path, source })
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

    /// Gives a place for unfinished bytes; whatever is left there after a failure is removed.
    fn beside<T>(&self, name: &str, work: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
        let beside = self.dir.join(format!(".unfinished-{name}"));
        let result = work(&beside);
        if result.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        result
    }

    /// Removes what an earlier report left and this one did not replace. All files, in the order in which they
    /// were put.
    pub(super) fn close(mut self) -> Result<Vec<PathBuf>, Error> {
        for name in std::mem::take(&mut self.earlier) {
            let path = self.dir.join(name);
            if self.written.contains(&path) || !path.is_file() {
                continue;
            }
            std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
        }
        self.mark()?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_file_leaves_the_old_one_and_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("folder");
        let mut folder = Folder::open(dir.path(), false).expect("open");
        folder.put("a.txt", "old").expect("put");
        let failed = folder.put_with("a.txt", |path| {
            std::fs::write(path, "half").expect("write");
            Err(Error::NoRows)
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(dir.path().join("a.txt")).expect("read"), b"old");
        assert_eq!(names(dir.path()), [MARKER, "a.txt"]);
        assert_eq!(folder.close().expect("closed"), [dir.path().join("a.txt")]);
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("trades.csv"), "mine").expect("write");
        let error = Folder::open(dir.path(), false).expect_err("not ours");
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!((error.exit_code(), names(dir.path())), (6, vec!["trades.csv".to_owned()]));
        let mut folder = Folder::open(dir.path(), true).expect("forced");
        folder.put("report.html", "page").expect("put");
        folder.close().expect("closed");
        assert_eq!(names(dir.path()), [MARKER, "report.html", "trades.csv"], "only what is ours is touched");
    }

    #[test]
    fn files_of_an_earlier_report_go_and_those_of_others_stay() {
        let dir = tempfile::tempdir().expect("folder");
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "").expect("write");
        let report = dir.path().join("out");
        let write = |names: &[&str]| {
            let mut folder = Folder::open(&report, false).expect("open");
            names.iter().for_each(|name| folder.put(name, "x").expect("put"));
            folder.close().expect("closed");
        };
        write(&["price_A.png", "report.html"]);
        std::fs::write(report.join("notes.txt"), "mine").expect("write");
        let mut marker = std::fs::read_to_string(report.join(MARKER)).expect("marker");
        marker.push_str("../outside\n..\n");
        std::fs::write(report.join(MARKER), marker).expect("write");
        write(&["price_B.png", "report.html"]);
        assert_eq!(names(&report), [MARKER, "notes.txt", "price_B.png", "report.html"]);
        assert!(outside.exists(), "nothing outside of the folder is removed");
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("write");
        let error = Folder::open(&file.join("out"), false).expect_err("refused");
        assert!(error.to_string().contains("file/out"), "{error}");
    }
}
