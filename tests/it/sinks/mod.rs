//! Stores of results: what goes in comes out, once, whatever the store and whatever happens in between.

mod export;
mod failures;
mod rows;
mod runner;
mod stores;

use lobstream::command::digest::digest_of;
use lobstream::sink::results::Results;

use crate::support::{Folder, mongo, unique};

/// A fresh store of each kind; MongoDB only if there is one.
pub(crate) fn stores(test: &str, folder: &Folder) -> Vec<String> {
    let mut uris = vec![folder.uri("lmdb", "lmdb"), folder.uri("parquet", "parquet")];
    uris.extend(mongo(test).map(|server| database(&server, &unique("sinks"))));
    uris
}

/// The server's address with a database.
pub(crate) fn database(server: &str, name: &str) -> String {
    let (hosts, options) = server.split_once('?').unwrap_or((server, ""));
    format!("{}/{name}?{options}", hosts.trim_end_matches('/'))
}

/// Takes the database away, if the store is one.
pub(crate) fn drop_store(uri: &str) {
    if !uri.starts_with("mongodb:") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(uri).await.expect("address");
        client.default_database().expect("named").drop().await.expect("dropped");
    });
}

/// The digest's lines.
pub(crate) fn digest(uri: &str) -> Vec<String> {
    let reader = Results::open_reader(uri).expect("opens");
    digest_of(&*reader).expect("reads").iter().map(ToString::to_string).collect()
}
