//! Files as lines: compressed or not, read and unpacked on a thread of their own.
//!
//! Memory is bounded by a few blocks, or by one line if that is longer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{InputError, InputKind};

const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS_WAITING: usize = 2;
/// The longest line that is read; exchange information is the longest that is real, a few MiB.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A line of a file, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) bytes: &'a [u8],
    /// It ends with a line feed, as every whole line does.
    pub(crate) ended: bool,
}

/// The lines of one file.
#[derive(Debug)]
pub(crate) struct Lines {
    file: String,
    blocks: Receiver<Result<Vec<u8>, (InputKind, String)>>,
    block: Vec<u8>,
    at: usize,
    number: u64,
}

impl Lines {
    /// Opens a file and starts unpacking it. `read` counts the bytes taken from the disk.
    pub(crate) fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Lines, InputError> {
        let name = path.display().to_string();
        let error = |kind, what: String| InputError { kind, file: name.clone(), line: None, what };
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => error(InputKind::Missing, "no such file".into()),
            _ => error(InputKind::Unreadable, e.to_string()),
        })?;
        Lines::of(name, Counted { file, read: read.clone() })
    }

    /// The lines of what a reader gives, unpacked if it is compressed. `name` stands in errors.
    pub(crate) fn of(name: String, source: impl Read + Send + 'static) -> Result<Lines, InputError> {
        let error = |kind, what: String| InputError { kind, file: name.clone(), line: None, what };
        let source = unpack(source).map_err(|(kind, what)| error(kind, what))?;
        let (send, blocks) = sync_channel(BLOCKS_WAITING);
        thread::Builder::new()
            .name("unpack".into())
            .spawn(move || send_blocks(source, &send))
            .map_err(|e| error(InputKind::Unreadable, format!("no thread to read it: {e}")))?;
        Ok(Lines { file: name, blocks, block: Vec::new(), at: 0, number: 0 })
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, InputError> {
        if self.at == self.block.len() {
            match self.blocks.recv() {
                Ok(Ok(block)) => (self.block, self.at) = (block, 0),
                Ok(Err((kind, what))) => return Err(self.error(kind, what)),
                Err(_) => return Ok(None),
            }
        }
        let rest = &self.block[self.at..];
        let (len, ended) = match memchr::memchr(b'\n', rest) {
            Some(len) => (len, true),
            None => (rest.len(), false),
        };
        let start = self.at;
        self.at += len + usize::from(ended);
        self.number += 1;
        let bytes = &self.block[start..start + len];
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { number: self.number, bytes, ended }))
    }

    fn error(&self, kind: InputKind, what: String) -> InputError {
        InputError { kind, file: self.file.clone(), line: Some(self.number + 1), what }
    }
}

struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Containers that other readers open, and what to do meanwhile.
const REFUSED: [(&[u8], &str); 5] = [
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz is not read: unpack it first"),
    (&[0x04, 0x22, 0x4d, 0x18], "an LZ4 frame is not read: unpack it first"),
    (b"PK\x03\x04", "zip is not read: unpack it first"),
    (b"PAR1", "Parquet is not a feed format"),
    (b"version https://git-lfs", "this is a Git LFS pointer, not the file: fetch it with git lfs pull"),
];

fn unpack(mut file: impl Read + Send + 'static) -> Result<Box<dyn Read + Send>, (InputKind, String)> {
    let unreadable = |e: io::Error| (InputKind::Unreadable, e.to_string());
    let mut magic = Vec::with_capacity(32);
    (&mut file).take(24).read_to_end(&mut magic).map_err(unreadable)?;
    if let Some((_, what)) = REFUSED.iter().find(|(m, _)| magic.starts_with(m)) {
        return Err((InputKind::FormatRefused, (*what).to_owned()));
    }
    let kind = [magic.first().copied(), magic.get(1).copied()];
    let zstd = magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = io::Cursor::new(magic).chain(file);
    Ok(match kind {
        [Some(0x1f), Some(0x8b)] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        _ if zstd => Box::new(zstd::stream::read::Decoder::new(whole).map_err(unreadable)?),
        _ => Box::new(whole),
    })
}

/// Sends blocks of whole lines; the last block may end without a line feed.
fn send_blocks(mut source: Box<dyn Read + Send>, to: &SyncSender<Result<Vec<u8>, (InputKind, String)>>) {
    let mut rest = Vec::new();
    loop {
        let before = rest.len();
        let mut block = rest;
        block.reserve(BLOCK_BYTES);
        let outcome = (&mut source).take(BLOCK_BYTES as u64).read_to_end(&mut block);
        let whole = memchr::memrchr(b'\n', &block[before..]).map_or(0, |at| before + at + 1);
        let end = matches!(outcome, Ok(0));
        rest = if end { Vec::new() } else { block.split_off(whole) };
        if !block.is_empty() && to.send(Ok(block)).is_err() {
            return;
        }
        if let Err(error) = outcome {
            let _ = to.send(Err(reading_failed(&error)));
            return;
        }
        if rest.len() > LINE_BYTES_MAX {
            let what = format!("a line of more than {} MiB", LINE_BYTES_MAX >> 20);
            let _ = to.send(Err((InputKind::Malformed, what)));
            return;
        }
        if end {
            return;
        }
    }
}

fn reading_failed(error: &io::Error) -> (InputKind, String) {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            InputKind::Truncated,
            "the compressed data end too early: the file was cut off, get it again".to_owned(),
        ),
        _ => (InputKind::Unreadable, format!("{error}: the file is damaged or cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines_of(bytes: &[u8]) -> (Vec<(u64, String, bool)>, Option<InputError>) {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x");
        std::fs::write(&path, bytes).expect("write");
        let mut lines = Lines::open(&path, &Arc::default()).expect("open");
        let mut got = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(l)) => got.push((l.number, String::from_utf8_lossy(l.bytes).into_owned(), l.ended)),
                Ok(None) => return (got, None),
                Err(error) => return (got, Some(error)),
            }
        }
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).expect("pack");
        packed.finish().expect("pack")
    }

    #[test]
    fn lines_keep_their_numbers_and_their_ends() {
        let (got, error) = lines_of(b"one\r\n\nthree");
        assert_eq!(error, None);
        assert_eq!(got, [(1, "one".into(), true), (2, "".into(), true), (3, "three".into(), false)]);
        assert_eq!(lines_of(b""), (vec![], None));
    }

    #[test]
    fn lines_longer_than_a_block_and_across_blocks_are_whole() {
        let long = "x".repeat(BLOCK_BYTES * 2 + 7);
        let text = format!("{long}\nshort\n{long}\n");
        for packed in [text.clone().into_bytes(), gz(text.as_bytes()), zstd(text.as_bytes())] {
            let (got, error) = lines_of(&packed);
            assert_eq!(error, None);
            assert_eq!(got.iter().map(|l| l.1.len()).collect::<Vec<_>>(), [long.len(), 5, long.len()]);
        }
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).expect("pack")
    }

    #[test]
    fn members_of_a_gzip_follow_each_other() {
        let packed = [gz(b"a\n"), gz(b"b\n")].concat();
        assert_eq!(lines_of(&packed).0.len(), 2);
    }

    #[test]
    fn a_cut_file_gives_its_lines_and_then_says_so() {
        let text: String = (0..50_000).map(|i| format!("line {i}\n")).collect();
        for packed in [gz(text.as_bytes()), zstd(text.as_bytes())] {
            let (got, error) = lines_of(&packed[..packed.len() / 2]);
            let error = error.expect("an error");
            assert_eq!(error.kind, InputKind::Truncated);
            assert_eq!(error.line, Some(got.len() as u64 + 1));
            assert!(got.iter().all(|l| l.2), "no torn line is handed over");
            assert!(got.iter().enumerate().all(|(i, l)| l.1 == format!("line {i}")));
        }
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("dir");
        let open = |bytes: &[u8]| {
            std::fs::write(dir.path().join("x"), bytes).expect("write");
            Lines::open(&dir.path().join("x"), &Arc::default()).expect_err("refused").kind
        };
        assert_eq!(open(b"PK\x03\x04rest"), InputKind::FormatRefused);
        assert_eq!(open(b"version https://git-lfs.github.com/spec/v1\n"), InputKind::FormatRefused);
        let missing = Lines::open(&dir.path().join("none"), &Arc::default()).expect_err("missing");
        assert_eq!(missing.kind, InputKind::Missing);
    }
}
