//! The files inside a tar archive that is already unpacked in memory.

/// One file of an archive.
pub(super) struct Member<'a> {
    pub(super) name: String,
    pub(super) bytes: &'a [u8],
}

/// Length of a block; headers and the bodies of files begin at multiples of it.
const BLOCK: usize = 512;

/// Is this the beginning of an archive?
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// All regular files, in the archive's order. Long names of GNU archives are followed; of pax headers only the
/// files that they describe are read, by their short names.
///
/// # Errors
/// A header that cannot be read; an archive that ends too early.
pub(super) fn members(mut bytes: &[u8]) -> Result<Vec<Member<'_>>, String> {
    let (mut found, mut long_name) = (Vec::new(), None);
    while let Some(header) = bytes.get(..BLOCK).filter(|h| h.iter().any(|b| *b != 0)) {
        let length = octal(&header[124..136]).ok_or("a header without a length")?;
        let body = bytes.get(BLOCK..BLOCK + length).ok_or("the archive ends in the middle of a file")?;
        match header[156] {
            b'L' => long_name = Some(text(body)),
            b'0' | 0 => {
                let name = long_name.take().unwrap_or_else(|| text(&header[..100]));
                found.push(Member { name, bytes: body });
            }
            _ => {}
        }
        let next = BLOCK + length.next_multiple_of(BLOCK);
        bytes = bytes.get(next..).ok_or("the archive ends in the middle of a file")?;
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(bytes: &[u8]) -> Option<usize> {
    let digits = text(bytes);
    usize::from_str_radix(digits.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, body) in files {
            let mut header = vec![0; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
            header[156] = b'0';
            header[257..262].copy_from_slice(b"ustar");
            out.extend(header);
            out.extend(*body);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        out.resize(out.len() + 2 * BLOCK, 0);
        out
    }

    #[test]
    fn files_come_out_as_they_went_in_and_a_cut_is_noticed() {
        let long = vec![7; 1025];
        let bytes = archive(&[("a.csv", b"x"), ("b/c.csv", &long), ("empty", b"")]);
        assert!(is_tar(&bytes) && !is_tar(b"ts_code,trade_date"));
        let found = members(&bytes).expect("an archive");
        let names: Vec<&str> = found.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["a.csv", "b/c.csv", "empty"]);
        assert_eq!((found[0].bytes, found[1].bytes), (&b"x"[..], &long[..]));
        assert!(members(&bytes[..1600]).is_err());
    }
}
