//! Codecs that fail: in whatever way they do it, one record becomes a dead letter and the others go on.

use std::sync::Arc;

use lobstream_streams::record::{Codec, CodecError, Key, Record};
use lobstream_streams::topology::processor::{Context, ProcessError, Processor};
use lobstream_streams::topology::{Builder, NO_STORES, Sink, Source, Topology};

use crate::bed::Bed;
use crate::words::{Msg, text};

/// Text, but for two words.
struct Touchy;

impl Codec<Msg> for Touchy {
    fn encode(&self, value: &Msg, into: &mut Vec<u8>) -> Result<(), CodecError> {
        if *value == Msg::Word("forgetful".to_owned()) {
            into.clear();
        }
        text().encode(value, into)?;
        assert_ne!(value, &Msg::Word("unspeakable".to_owned()), "cannot say this");
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Msg, CodecError> {
        assert_ne!(bytes, b"unreadable", "cannot read this");
        text().decode(bytes)
    }
}

/// Gives every record of `k` the key that stands in its value.
struct Keyed;

impl Processor<Msg> for Keyed {
    fn process(&mut self, ctx: &mut Context<'_, Msg>, record: Record<Msg>) -> Result<(), ProcessError> {
        let Msg::Word(word) = &record.value else { return Ok(()) };
        let key = Key::from(word.as_str());
        ctx.forward(Record { key, ..record });
        Ok(())
    }
}

fn keyed(source: Arc<dyn Codec<Msg>>, sink: Arc<dyn Codec<Msg>>) -> Topology<Msg> {
    let mut t = Builder::<Msg>::new("app");
    let words = t.source("words", Source::topic("in", source));
    let keyed = t.processor("keyed", [words], NO_STORES, || Keyed);
    t.sink("out", [keyed], Sink::topic("out", sink));
    t.build().expect("valid")
}

fn run(topology: Topology<Msg>, word: &str) -> (Vec<String>, Vec<(String, String)>) {
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", Some("first")), (2, "k", Some(word)), (3, "k", Some("last"))]);
    bed.run(topology);
    let written = bed.read("out", 0).iter().map(|row| row.text().to_owned()).collect();
    let reason = |row: &crate::bed::Row| String::from_utf8_lossy(&row.headers["dlq.reason"]).into_owned();
    let letters = bed.read("app-dead-letter", 0);
    (written, letters.iter().map(|row| (row.text().to_owned(), reason(row))).collect())
}

fn refuses(topology: Topology<Msg>, word: &str, reason: &str) {
    let (written, letters) = run(topology, word);
    assert_eq!(written, ["first", "last"]);
    let [(text, why)] = &letters[..] else { panic!("{letters:?}") };
    assert!(text == word && why.contains(reason), "{letters:?}");
}

/// It ended the application: a panic of a node was a dead letter, one of a codec was not.
#[test]
fn a_codec_that_panics_refuses_one_record() {
    refuses(keyed(Arc::new(Touchy), text()), "unreadable", "panicked: ");
    refuses(keyed(text(), Arc::new(Touchy)), "unspeakable", "panicked: ");
}

/// A processor could write what its readers take for a beacon.
#[test]
fn an_output_has_no_reserved_key() {
    refuses(keyed(text(), text()), "\0b\0\0", "byte 0");
}

/// The value of the output before it was gone, and another one would have been written in its place.
#[test]
fn a_codec_that_removes_what_it_did_not_write_ends_the_application() {
    let bed = Bed::memory();
    bed.feed("in", &[(1, "k", Some("a long enough value")), (2, "k", Some("forgetful"))]);
    let error = bed.run_with(keyed(text(), Arc::new(Touchy)), bed.settings()).expect_err("it ends");
    assert!(error.to_string().contains("encode only appends"), "{error}");
    assert!(bed.read("out", 0).is_empty(), "nothing was committed");
}
