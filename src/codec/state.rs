//! What a checkpoint holds of one symbol: a version byte, then the object as postcard, whose floats are
//! their 64 bits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::CodecError;

/// First byte of every stored object.
const VERSION: u8 = 2;

/// Appends an object.
pub fn encode_state<S: Serialize>(state: &S, into: &mut Vec<u8>) {
    into.push(VERSION);
    let tail = postcard::to_extend(state, std::mem::take(into));
    *into = tail.expect("writing to memory does not fail, and every state serialises");
}

/// Reads what [`encode_state`] wrote.
///
/// # Errors
/// Another version, or bytes that are not such an object.
pub fn decode_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, CodecError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|_| CodecError { at: 1, what: "not a stored state" })
        }
        Some(_) | None => Err(CodecError { at: 0, what: "not a state of version 2" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_to_the_bit_and_another_version_is_refused() {
        let state = ([0.1f64, -0.0, f64::MIN_POSITIVE], Some(-3i64), "BTCUSDT".to_owned());
        let mut bytes = Vec::new();
        encode_state(&state, &mut bytes);
        let back: ([f64; 3], Option<i64>, String) = decode_state(&bytes).expect("own bytes");
        assert_eq!(back.0.map(f64::to_bits), state.0.map(f64::to_bits));
        assert_eq!((back.1, back.2), (state.1, state.2));
        bytes[0] = VERSION + 1;
        assert_eq!(decode_state::<(Vec<f64>,)>(&bytes).expect_err("another version").at, 0);
        assert!(decode_state::<String>(&[VERSION, 200]).is_err(), "cut off");
    }
}
