//! LZ4 frames. The only file that knows lz4_flex.
//!
//! What the engine keeps has a checksum of its content (`compress`); [`plain_frame`] has none, for stores
//! that other programs read and that keep a hash elsewhere.

use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// Appends a frame that holds `plain` to `into`.
///
/// # Errors
/// None in practice: the sink is memory.
pub(crate) fn compress(plain: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    let info = FrameInfo::new().content_checksum(true).content_size(Some(plain.len() as u64));
    let mut encoder = FrameEncoder::with_frame_info(info, into);
    encoder.write_all(plain)?;
    encoder.finish()?;
    Ok(())
}

/// A frame of independent blocks of 64 KiB that tells the size of its content and has no checksums
/// (FLG 0x68, BD 0x40).
///
/// ```
/// use lobstream_streams::lz4::{content, plain_frame};
/// let frame = plain_frame(&[7; 3840])?;
/// assert_eq!(frame[..6], [0x04, 0x22, 0x4d, 0x18, 0x68, 0x40]);
/// assert_eq!(content(&frame, 3840)?, [7; 3840]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// None in practice: the sink is memory.
pub fn plain_frame(content: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent)
        .content_size(Some(content.len() as u64));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// The content of exactly one frame, whoever made it, of at most `bytes_max`.
///
/// # Errors
/// No frame, a larger one, a cut, a rest, a checksum that does not fit.
pub fn content(frame: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    decompress(frame, bytes_max)
}

/// The content of exactly one frame of at most `bytes_max`.
///
/// # Errors
/// Anything that is not what [`compress`] wrote: other bytes, other checksum, a cut, a rest.
pub(crate) fn decompress(frame: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut decoder = FrameDecoder::new(Input { rest: frame, short: false });
    let mut plain = Vec::new();
    (&mut decoder).take(bytes_max as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > bytes_max {
        return Err(io::Error::other(format!("the frame holds more than {bytes_max} bytes")));
    }
    match decoder.into_inner() {
        Input { rest: [], short: false } => Ok(plain),
        Input { short: true, .. } => Err(io::Error::other("the frame is cut")),
        Input { rest, .. } => Err(io::Error::other(format!("{} bytes follow the frame", rest.len()))),
    }
}

/// Bytes that remember whether more was asked for than there is: the decoder takes a cut between two blocks
/// for the end of the frame, and then never looks at the checksum.
struct Input<'a> {
    rest: &'a [u8],
    short: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.short |= into.len() > self.rest.len();
        self.rest.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(plain: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        compress(plain, &mut frame).expect("memory");
        frame
    }

    #[test]
    fn a_frame_gives_back_its_content() {
        let long: Vec<u8> = (0..300_000_u32).flat_map(|i| (i / 7).to_be_bytes()).collect();
        for plain in [&b""[..], b"x", &long] {
            assert_eq!(decompress(&framed(plain), 1 << 21).expect("own frame"), plain);
        }
        assert!(framed(&long).len() < long.len() / 3, "it compresses");
    }

    #[test]
    fn a_frame_without_checksums_is_cut_nowhere_and_has_no_rest() {
        let plain: Vec<u8> = (0..100_000_u32).flat_map(|i| (i / 9).to_le_bytes()).collect();
        let frame = plain_frame(&plain).expect("memory");
        assert_eq!(frame[4..14], [&[0x68, 0x40][..], &400_000_u64.to_le_bytes()].concat());
        assert_eq!(content(&frame, plain.len()).expect("own frame"), plain);
        assert!(content(&frame, plain.len() - 1).is_err(), "larger than allowed");
        assert!(content(&[&frame[..], b"x"].concat(), plain.len()).is_err(), "a rest");
        for cut in (1..frame.len()).step_by(97).chain([frame.len() - 1, frame.len() - 4]) {
            assert!(content(&frame[..cut], plain.len()).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn whatever_is_not_a_whole_frame_is_refused() {
        let frame = framed(&b"some words ".repeat(100));
        assert!(decompress(&frame, 1099).is_err(), "larger than allowed");
        assert!(decompress(&[&frame[..], b"x"].concat(), 1100).is_err(), "a rest");
        for cut in 1..frame.len() {
            assert!(decompress(&frame[..cut], 1100).is_err(), "cut at {cut}");
        }
        for at in 0..frame.len() {
            let mut bent = frame.clone();
            bent[at] ^= 0x10;
            assert!(decompress(&bent, 1100).is_err(), "bit flipped in byte {at}");
        }
    }
}
