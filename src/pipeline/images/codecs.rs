//! How rows and images are written into topics.
//!
//! ```text
//! image    version u8 = 1 │ date v │ final u8 │ rev v │ ts_known_ns z │ status u8 │ counters 14 v │ kept 3 v │
//!          has image u8 │ v length │ 3840 bytes
//! ```

use lobstream_streams::record::{Codec, CodecError};

use super::{ImageMessage, ImageRecord};
use crate::codec::ashare;

const VERSION: u8 = 1;

/// The records of `market.sse` and `market.szse`.
pub(super) struct RowCodec;

impl Codec<ImageMessage> for RowCodec {
    fn encode(&self, message: &ImageMessage, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            ImageMessage::Row(record) => {
                ashare::encode(record, into);
                Ok(())
            }
            ImageMessage::Image(_) => Err(CodecError::new("not a row of an exchange")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<ImageMessage, CodecError> {
        ashare::decode(bytes).map(ImageMessage::Row).map_err(|e| CodecError::new(e.to_string()))
    }
}

/// The records of `image.sse` and `image.szse`.
pub(super) struct ImageCodec;

impl Codec<ImageMessage> for ImageCodec {
    fn encode(&self, message: &ImageMessage, into: &mut Vec<u8>) -> Result<(), CodecError> {
        match message {
            ImageMessage::Image(image) => {
                encode_image(image, into);
                Ok(())
            }
            ImageMessage::Row(_) => Err(CodecError::new("not an image")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<ImageMessage, CodecError> {
        decode_image(bytes).map(|image| ImageMessage::Image(Box::new(image))).map_err(CodecError::new)
    }
}

/// Appends the value of an image's record.
pub fn encode_image(image: &ImageRecord, into: &mut Vec<u8>) {
    into.push(VERSION);
    let written = postcard::to_extend(image, std::mem::take(into));
    *into = written.expect("writing to memory does not fail");
}

/// Reads what [`encode_image`] wrote.
///
/// # Errors
/// Another version, or bytes that are no image.
pub fn decode_image(bytes: &[u8]) -> Result<ImageRecord, &'static str> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|_| "not an image"),
        Some(_) | None => Err("not an image of version 1"),
    }
}
