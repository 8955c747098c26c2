//! Which files of a folder may hold rows of a day, told by the dates in their names.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{InputError, InputKind};
use crate::feed::zip::{self, Member};

/// How deep folders inside folders are looked into.
const DEPTH_MAX: u32 = 4;

/// A file, or a member of a zip, that may hold rows of the day.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) member: Option<Member>,
    /// Bytes on disk.
    pub(super) bytes: u64,
    /// It was named itself, not found in a folder.
    pub(super) named: bool,
    magic: [u8; 4],
}

impl Candidate {
    /// Its name in messages.
    pub(super) fn file(&self) -> String {
        match &self.member {
            Some(member) => format!("{}!{}", self.path.display(), member.name),
            None => self.path.display().to_string(),
        }
    }

    pub(super) fn is_parquet(&self) -> bool {
        self.member.is_none() && &self.magic == b"PAR1"
    }
}

/// What may hold rows of `date`, in the order of names.
pub(super) fn candidates(inputs: &[PathBuf], date: u32) -> Result<Vec<Candidate>, InputError> {
    let mut found = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            add(&mut found, input, true, Some(date))?;
            continue;
        }
        let mut files = Vec::new();
        walk(input, DEPTH_MAX, &mut files)?;
        files.sort();
        for file in files {
            let inside = file.strip_prefix(input).unwrap_or(&file);
            if date_in(inside).is_none_or(|d| d == date) {
                add(&mut found, &file, false, Some(date))?;
            }
        }
    }
    Ok(found)
}

/// What a file holds, whatever its date; nothing if it cannot be read.
pub(super) fn look_into(path: &Path) -> Vec<Candidate> {
    let mut found = Vec::new();
    let looked = if path.is_file() { add(&mut found, path, true, None) } else { Ok(()) };
    looked.map(|()| found).unwrap_or_default()
}

/// Files that look like tables; hidden ones and stores are none.
fn walk(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let failed = |e: std::io::Error| error(InputKind::Unreadable, dir, e.to_string());
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth > 0 && !name.ends_with(".lmdb") && !name.ends_with(".building") {
                walk(&path, depth - 1, files)?;
            }
        } else if [".csv", ".csv.gz", ".csv.zst", ".zip", ".parquet"].iter().any(|e| name.ends_with(e)) {
            files.push(path);
        }
    }
    Ok(())
}

/// Adds a file, or those members of a zip whose names do not tell another date.
fn add(found: &mut Vec<Candidate>, path: &Path, named: bool, date: Option<u32>) -> Result<(), InputError> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => error(InputKind::Missing, path, "no such file".to_owned()),
        _ => error(InputKind::Unreadable, path, e.to_string()),
    };
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let mut head = Vec::new();
    (&mut file).take(4).read_to_end(&mut head).map_err(failed)?;
    let mut magic = [0; 4];
    magic[..head.len()].copy_from_slice(&head);
    if magic != *zip::MAGIC {
        found.push(Candidate { path: path.to_owned(), member: None, bytes, named, magic });
        return Ok(());
    }
    let members = zip::members(path).map_err(|e| error(kind_of(&e), path, e.to_string()))?;
    for member in members {
        let lower = member.name.to_ascii_lowercase();
        let table = [".csv", ".csv.gz", ".csv.zst", ".txt"].iter().any(|e| lower.ends_with(e));
        let other = date_in(Path::new(&member.name)).zip(date).is_some_and(|(said, asked)| said != asked);
        if table && !other {
            let bytes = member.bytes_packed();
            found.push(Candidate { path: path.to_owned(), member: Some(member), bytes, named, magic });
        }
    }
    Ok(())
}

/// What a failure to read says of a file.
pub(super) fn kind_of(error: &std::io::Error) -> InputKind {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => InputKind::Truncated,
        _ => InputKind::Unreadable,
    }
}

pub(super) fn error(kind: InputKind, path: &Path, what: String) -> InputError {
    InputError { kind, file: path.display().to_string(), line: None, what }
}

/// The innermost date in a path: that of the file's name, else of its folder, and so on.
fn date_in(path: &Path) -> Option<u32> {
    path.iter().rev().find_map(|part| date_in_name(&part.to_string_lossy()))
}

/// The last run of exactly eight digits that is a date.
fn date_in_name(name: &str) -> Option<u32> {
    let runs = name.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 8);
    runs.filter_map(valid_date).next_back()
}

fn valid_date(digits: &str) -> Option<u32> {
    let n: u32 = digits.parse().ok()?;
    let valid = (1990..2100).contains(&(n / 10_000))
        && (1..=12).contains(&(n / 100 % 100))
        && (1..=31).contains(&(n % 100));
    valid.then_some(n)
}

/// The number of a date written `20230201` or `2023-02-01`; `None` if it is none.
pub fn parse_date(text: &str) -> Option<u32> {
    let digits = text.replace('-', "");
    (digits.len() == 8).then_some(digits).as_deref().and_then(valid_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_date_of_a_path_counts() {
        let date = |p: &str| date_in(Path::new(p));
        assert_eq!(date("sh600519_20230201.zip"), Some(20_230_201));
        assert_eq!(date("both_20230201_03/20230202/mdl_6_28_0.csv"), Some(20_230_202));
        assert_eq!(date("20230201_sz_trade_data.parquet"), Some(20_230_201));
        assert_eq!(date("orders_10000333.csv"), None);
        assert_eq!(date("x.csv"), None);
    }

    #[test]
    fn dates_are_written_in_two_ways() {
        assert_eq!([parse_date("20230201"), parse_date("2023-02-01")], [Some(20_230_201); 2]);
        assert_eq!([parse_date("20231301"), parse_date("2023021"), parse_date("today")], [None; 3]);
    }
}
