//! What goes wrong is told in one sentence without secrets, with the right exit code, and breaks nothing.

use std::fs;
use std::path::Path;

use lobstream::sink::Filter;
use lobstream::sink::results::Results;
use lobstream::sink::row::Rows as Batch;
use lobstream_market::factor::row::FactorRow;
use lobstream_streams::log::{TopicName, Tp};

use super::rows::{Rows, cursor};
use super::{database, digest, drop_store};
use crate::support::{Folder, mongo, unique};

fn tp() -> Tp {
    Tp::new(&TopicName::new("factors.okx"), 0)
}

/// The rows of two batches of ten.
fn batches() -> [Vec<FactorRow>; 2] {
    let mut draw = Rows::new(40);
    [0, 1].map(|_| (0..10).map(|_| draw.factor()).collect())
}

fn filled(uri: &str) {
    let mut sink = Results::open_sink(uri).expect("opens");
    for (rows, last) in batches().into_iter().zip([9, 19]) {
        sink.write(&tp(), Batch::Factors(rows), &cursor(last)).expect("written");
    }
}

/// Opening or reading fails with this code; the message says all of `words` and no secret.
#[track_caller]
fn fails(uri: &str, code: u8, words: &[&str]) {
    let read = || {
        let reader = Results::open_reader(uri)?;
        reader.factors(&Filter::default())?.try_for_each(|row| row.map(drop))
    };
    let error = read().expect_err(uri);
    let text = error.to_string();
    assert_eq!(error.exit_code(), code, "{text}");
    assert!(words.iter().all(|w| text.contains(w)), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn what_was_never_stored_is_an_earlier_step_that_is_missing() {
    let folder = Folder::new();
    for scheme in ["lmdb", "parquet"] {
        let uri = folder.uri(scheme, "nothing");
        fails(&uri, 3, &["nothing is stored at", &uri, "lobstream run"]);
        assert!(!Path::new(&folder.path("nothing")).exists(), "looking makes nothing");
    }
    fs::create_dir(folder.path("empty")).expect("made");
    fails(&folder.uri("lmdb", "empty"), 3, &[]);
    fails(&folder.uri("parquet", "empty"), 3, &[]);
    assert_eq!(fs::read_dir(folder.path("empty")).expect("dir").count(), 0);
    if let Some(server) = mongo("what_was_never_stored_is_an_earlier_step_that_is_missing") {
        fails(&database(&server, &unique("never")), 3, &["nothing is stored at"]);
    }
}

#[test]
fn a_server_that_does_not_answer_is_named_within_seconds() {
    // Nothing listens on the discard port.
    fails(
        "mongodb://me:secret@127.0.0.1:9/db",
        1,
        &["cannot reach mongodb://me:***@127.0.0.1:9/db: no server answers there: check"],
    );
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let Some(server) = mongo("a_wrong_password_is_told_and_not_shown") else { return };
    let uri = server.replacen("mongodb://", "mongodb://me:secret@", 1);
    fails(&uri, 1, &["the login is refused", "mongodb://me:***@"]);
    assert_eq!(Results::open_sink(&uri).err().map(|e| e.exit_code()), Some(1));
}

#[test]
fn a_part_that_is_not_what_was_written_is_named() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "p");
    filled(&uri);
    let part = folder.path("p/factors/part-factors.okx-0-10-20.parquet");
    let whole = fs::read(&part).expect("part");
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&part, &whole[..cut]).expect("cut");
        fails(&uri, 4, &["part-factors.okx-0-10-20.parquet cannot be used", "not the file"]);
    }
    for at in (0..whole.len()).step_by(997) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&part, &damaged).expect("damaged");
        fails(&uri, 4, &["part-factors.okx-0-10-20.parquet cannot be used", "not the file"]);
    }
    fs::remove_file(&part).expect("removed");
    fails(&uri, 4, &["part-factors.okx-0-10-20.parquet cannot be used"]);
}

#[test]
fn a_part_of_unknown_origin_is_neither_read_nor_removed() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "p");
    filled(&uri);
    let before = digest(&uri);
    let stranger = folder.path("p/factors/part-factors.okx-0-30-40.parquet");
    fs::copy(folder.path("p/factors/part-factors.okx-0-10-20.parquet"), &stranger).expect("a stranger");
    let error = Results::open_sink(&uri).err().expect("a stranger");
    assert!(error.to_string().contains("part-factors.okx-0-30-40.parquet"), "{error}");
    assert_eq!(error.exit_code(), 4);
    assert!(Path::new(&stranger).exists());
    assert_eq!(digest(&uri), before);
}

#[test]
fn a_line_of_the_manifest_that_was_torn_does_not_count() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "p");
    filled(&uri);
    let path = folder.path("p/manifest.jsonl");
    let text = fs::read_to_string(&path).expect("manifest");
    assert_eq!(text.lines().count(), 3);
    let [_, second] = batches();
    let two = text.lines().take(2).map(|l| l.len() + 1).sum::<usize>();
    for cut in [two + 1, text.len() - 1] {
        fs::write(&path, &text[..cut]).expect("torn");
        let mut sink = Results::open_sink(&uri).expect("opens");
        assert_eq!(sink.cursor(&tp()).expect("read"), Some(cursor(9)));
        sink.write(&tp(), Batch::Factors(second.clone()), &cursor(19)).expect("written again");
        drop(sink);
        assert_eq!(fs::read_to_string(&path).expect("manifest"), text, "the same line again");
    }
    fs::write(&path, text.replacen("\"rows\"", "\"roes\"", 1)).expect("changed");
    fails(&uri, 4, &["manifest.jsonl, line 2", "missing field `rows`"]);
}

#[test]
fn parts_without_a_manifest_are_not_removed() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "p");
    filled(&uri);
    fs::remove_file(folder.path("p/manifest.jsonl")).expect("removed");
    let error = Results::open_sink(&uri).err().expect("no manifest");
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(fs::read_dir(folder.path("p/factors")).expect("dir").count(), 2);
    fs::write(folder.path("p/manifest.jsonl"), "").expect("emptied");
    fails(&uri, 4, &["manifest.jsonl, line 1", "empty"]);
}

#[test]
fn a_store_of_another_format_is_refused() {
    let folder = Folder::new();
    let uri = folder.uri("parquet", "p");
    filled(&uri);
    let path = folder.path("p/manifest.jsonl");
    let manifest = fs::read_to_string(&path).expect("manifest");
    fs::write(&path, manifest.replace("\"format\":1", "\"format\":2")).expect("changed");
    fails(&uri, 6, &["format 2", "knows 1"]);
    assert_eq!(Results::open_sink(&uri).err().map(|e| e.exit_code()), Some(6));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "").expect("written");
    for scheme in ["lmdb", "parquet"] {
        let uri = folder.uri(scheme, "file/inside");
        let error = Results::open_sink(&uri).err().expect("below a file");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("file/inside"), "{error}");
    }
}

/// A document that another program changed.
#[test]
fn a_document_that_is_no_row_is_named() {
    let Some(server) = mongo("a_document_that_is_no_row_is_named") else { return };
    let uri = database(&server, &unique("changed"));
    filled(&uri);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(&uri).await.expect("address");
        let rows = client.default_database().expect("named").collection::<mongodb::bson::Document>("factors");
        let change = mongodb::bson::doc! { "$unset": { "n_book": "" } };
        rows.update_one(mongodb::bson::doc! {}, change).await.expect("changed");
    });
    fails(&uri, 4, &["n_book"]);
    drop_store(&uri);
}
