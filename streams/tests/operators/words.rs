//! A message type for tests: words, numbers, and what operators make of them, all written as text.

use std::sync::Arc;

use lobstream_streams::record::{Codec, CodecError};
use lobstream_streams::topology::window::Windowed;

/// A record of a test topology.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Msg {
    Word(String),
    Count(Windowed<u64>),
    List(Windowed<String>),
}

macro_rules! kind {
    ($kind:ident, $value:ty) => {
        impl From<$value> for Msg {
            fn from(value: $value) -> Msg {
                Msg::$kind(value)
            }
        }

        impl TryFrom<Msg> for $value {
            type Error = ();

            fn try_from(msg: Msg) -> Result<$value, ()> {
                match msg {
                    Msg::$kind(value) => Ok(value),
                    _ => Err(()),
                }
            }
        }
    };
}

kind!(Word, String);
kind!(Count, Windowed<u64>);
kind!(List, Windowed<String>);

pub(crate) struct Text;

impl Codec<Msg> for Text {
    fn encode(&self, value: &Msg, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let text = match value {
            Msg::Word(word) => word.clone(),
            Msg::Count(w) => format!("{} {} {}", w.start.0, w.end.0, w.value),
            Msg::List(w) => format!("{} {} {}", w.start.0, w.end.0, w.value),
        };
        into.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Msg, CodecError> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::new("not UTF-8"))?;
        Ok(Msg::Word(text))
    }
}

pub(crate) fn text() -> Arc<Text> {
    Arc::new(Text)
}
