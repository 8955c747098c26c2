//! Members of a zip file: its directory, and each member as a stream that is checked at its end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// How every zip file begins, unless it is empty.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const END64_AT: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
/// The end record and the longest comment behind it.
const END_BYTES_MAX: u64 = 22 + 65_535;

/// One file inside a zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path inside the zip.
    pub(crate) name: String,
    bytes: u64,
    packed: u64,
    method: u16,
    crc: u32,
    /// Where its local header stands.
    at: u64,
}

impl Member {
    /// Its size inside the zip.
    pub(crate) fn bytes_packed(&self) -> u64 {
        self.packed
    }
}

/// The files of a zip in the order of their names; folders are left out.
///
/// # Errors
/// `UnexpectedEof` if it was cut off, `InvalidData` if it is damaged or encrypted.
pub(crate) fn members(path: &Path) -> io::Result<Vec<Member>> {
    let mut file = File::open(path)?;
    let (at, entries) = directory(&mut file)?;
    file.seek(SeekFrom::Start(at))?;
    let mut reader = io::BufReader::new(file);
    let mut members = Vec::new();
    for _ in 0..entries {
        members.push(entry(&mut reader)?);
    }
    members.retain(|m| !m.name.ends_with('/'));
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// Where the directory stands and how many entries it has.
fn directory(file: &mut File) -> io::Result<(u64, u64)> {
    let len = file.seek(SeekFrom::End(0))?;
    let from = len.saturating_sub(END_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the zip has no end: it was cut off");
    let end = tail.windows(4).rposition(|w| w == END).ok_or_else(cut)?;
    let record = tail.get(end..end + 22).ok_or_else(cut)?;
    let (entries, at) = (u64::from(u16_at(record, 10)), u64::from(u32_at(record, 16)));
    if entries != 0xffff && at != 0xffff_ffff {
        return Ok((at, entries));
    }
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..end)).filter(|l| l.starts_with(END64_AT));
    file.seek(SeekFrom::Start(u64_at(locator.ok_or_else(cut)?, 8)))?;
    let mut large = [0; 56];
    file.read_exact(&mut large)?;
    if !large.starts_with(END64) {
        return Err(damaged("its directory is not where it should be"));
    }
    Ok((u64_at(&large, 48), u64_at(&large, 32)))
}

fn entry(reader: &mut impl Read) -> io::Result<Member> {
    let mut fixed = [0; 46];
    reader.read_exact(&mut fixed)?;
    if !fixed.starts_with(ENTRY) {
        return Err(damaged("an entry of its directory is damaged"));
    }
    if u16_at(&fixed, 8) & 1 != 0 {
        return Err(damaged("it is encrypted: unpack it first"));
    }
    let mut variable = |n: u16| {
        let mut bytes = vec![0; usize::from(n)];
        reader.read_exact(&mut bytes).map(|()| bytes)
    };
    let name = variable(u16_at(&fixed, 28))?;
    let extra = variable(u16_at(&fixed, 30))?;
    variable(u16_at(&fixed, 32))?;
    let mut sizes = [u32_at(&fixed, 24), u32_at(&fixed, 20), u32_at(&fixed, 42)].map(u64::from);
    widen(&mut sizes, &extra);
    let [bytes, packed, at] = sizes;
    let name = String::from_utf8_lossy(&name).into_owned();
    Ok(Member { name, bytes, packed, method: u16_at(&fixed, 10), crc: u32_at(&fixed, 16), at })
}

/// Sizes that do not fit stand in extra field 1, in this order.
fn widen(sizes: &mut [u64; 3], mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + len) else { return };
        if id == 1 {
            let wide = field.chunks_exact(8).map(|c| u64_at(c, 0));
            sizes.iter_mut().filter(|s| **s == 0xffff_ffff).zip(wide).for_each(|(s, w)| *s = w);
        }
        extra = &extra[4 + len..];
    }
}

/// The unpacked bytes of a member.
///
/// # Errors
/// A method other than stored and deflate; what the system says.
pub(crate) fn open(path: &Path, member: &Member) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(member.at))?;
    let mut local = [0; 30];
    file.read_exact(&mut local)?;
    let skip = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
    file.seek(SeekFrom::Start(member.at + 30 + skip))?;
    let packed = io::BufReader::with_capacity(1 << 16, file).take(member.packed);
    let source: Box<dyn Read + Send> = match member.method {
        0 => Box::new(packed),
        8 => Box::new(DeflateDecoder::new(packed)),
        _ => return Err(damaged("it is not packed with deflate: unpack it first")),
    };
    Ok(Box::new(Checked { source, crc: Crc::new(), left: member.bytes, expected: member.crc }))
}

/// Counts and checks what goes by, and fails at the end if it is not what the directory says.
struct Checked {
    source: Box<dyn Read + Send>,
    crc: Crc,
    left: u64,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.crc.update(&buffer[..n]);
        self.left = self.left.saturating_sub(n as u64);
        if n == 0 && !buffer.is_empty() {
            if self.left > 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a member of the zip is cut off"));
            }
            if self.crc.sum() != self.expected {
                return Err(damaged("a member does not have its checksum"));
            }
        }
        Ok(n)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zip cannot be used: {what}"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two members in one folder, packed by another program: `d/a.txt` stored, `d/b.txt` deflated.
    fn zip() -> Vec<u8> {
        let python = "import io,sys,zipfile\nb=io.BytesIO()\nz=zipfile.ZipFile(b,'w')\nz.writestr('d/',b'')\n\
            z.writestr('d/b.txt',b'xyz'*5000,zipfile.ZIP_DEFLATED)\nz.writestr('d/a.txt',b'hello')\nz.close()\n\
            sys.stdout.buffer.write(b.getvalue())";
        let out = std::process::Command::new("python3").args(["-c", python]).output();
        out.map(|o| o.stdout).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.zip");
        std::fs::write(&path, bytes)?;
        let content = |m: Member| {
            let mut content = Vec::new();
            open(&path, &m)?.read_to_end(&mut content)?;
            Ok((m.name, content))
        };
        members(&path)?.into_iter().map(content).collect()
    }

    #[test]
    fn members_come_by_name_and_damage_is_seen() {
        let zip = zip();
        if zip.is_empty() {
            return crate::said("SKIPPED members_come_by_name_and_damage_is_seen: no python3 to pack a zip");
        }
        let expected =
            [("d/a.txt".to_owned(), b"hello".to_vec()), ("d/b.txt".to_owned(), b"xyz".repeat(5000))];
        assert_eq!(read(&zip).unwrap(), expected);
        assert_eq!(read(&zip[..zip.len() - 30]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut damaged = zip.clone();
        let at = zip.windows(5).position(|w| w == b"hello").unwrap();
        damaged[at] = b'j';
        assert_eq!(read(&damaged).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
