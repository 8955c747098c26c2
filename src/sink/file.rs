//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// End of the names of files that are still being written.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Writes a file under a name of its own, makes it durable, then gives it its name; a file that had the name
/// is replaced. If anything fails, nothing of it stays.
///
/// # Errors
/// What the system or `work` says.
pub(crate) fn write_whole(
    path: &Path,
    work: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let failed = |e| Error::file("cannot write", path, e);
    let written = write_durably(&unfinished, work, failed);
    let named = written.and_then(|()| give_name(&unfinished, path).map_err(failed));
    named.inspect_err(|_| {
        // What failed is told; that the rest of it cannot be removed would only hide it.
        let _ = fs::remove_file(&unfinished);
    })
}

fn write_durably(
    path: &Path,
    work: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
    failed: impl Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut out = BufWriter::new(File::create(path).map_err(&failed)?);
    work(&mut out)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed)
}

fn give_name(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// Makes the names in a directory durable.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Other systems keep names by themselves and refuse to open a directory.
#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_fails_leaves_the_old_one_and_nothing_else() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("x.csv");
        let failed = |e| Error::file("cannot write", &path, e);
        write_whole(&path, |out| out.write_all(b"old").map_err(failed)).expect("written");
        let error = write_whole(&path, |out| {
            out.write_all(b"new").map_err(failed)?;
            Err(Error::file("cannot write", &path, "disk full"))
        })
        .expect_err("fails");
        assert!(error.to_string().ends_with("x.csv: disk full"), "{error}");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1);
    }
}
