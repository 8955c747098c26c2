//! `Stored`: values that a store can write down and read back.

use crate::record::CodecError;
use crate::wire::{Reader, Writer};

/// A value of a [`Window`](crate::store::window::Window) store or of a table. Equal values give equal bytes:
/// digests of state depend on it.
pub trait Stored: Clone + Send + 'static {
    /// Appends everything that [`Stored::decode`] needs.
    fn encode(&self, into: &mut Vec<u8>);
    /// The value that these bytes say.
    ///
    /// # Errors
    /// They say none: another version wrote them, or they are damaged.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            fn encode(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(&self.to_be_bytes());
            }

            fn decode(bytes: &[u8]) -> Result<$number, CodecError> {
                let bytes = bytes.try_into().map_err(|_| odd_length(bytes.len()))?;
                Ok(<$number>::from_be_bytes(bytes))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

fn odd_length(len: usize) -> CodecError {
    CodecError::new(format!("a number of {len} bytes"))
}

impl Stored for String {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<String, CodecError> {
        String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::new("text that is not UTF-8"))
    }
}

impl Stored for Vec<u8> {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn encode(&self, into: &mut Vec<u8>) {
        let mut w = Writer::default();
        self.0.encode(&mut w.0);
        into.extend_from_slice(&(w.0.len() as u32).to_be_bytes());
        into.extend_from_slice(&w.0);
        self.1.encode(into);
    }

    fn decode(bytes: &[u8]) -> Result<(A, B), CodecError> {
        let mut r = Reader(bytes);
        Ok((A::decode(r.bytes()?)?, B::decode(r.0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<S: Stored + PartialEq + std::fmt::Debug>(value: S) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(S::decode(&bytes), Ok(value));
    }

    #[test]
    fn values_survive_their_bytes() {
        survives(u64::MAX - 1);
        survives(-2.5f64);
        survives("ä".to_owned());
        survives((vec![1, 2], (7i32, String::new())));
    }

    #[test]
    fn bytes_that_say_nothing_are_refused() {
        assert!(u64::decode(&[1, 2]).is_err());
        assert!(String::decode(&[0xff]).is_err());
        assert!(<(u8, u8)>::decode(&[0, 0, 0, 9, 1]).is_err());
    }
}
