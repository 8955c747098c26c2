//! A MongoDB database: the only file that knows the driver.
//!
//! Calls block: the driver's own threads run on a small runtime inside. Writes are upserts by `_id`, so one
//! that is repeated after a broken connection changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc, serialize_to_document};
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::{ClientOptions, IndexOptions};
use mongodb::{Client, Cursor, Database, IndexModel};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ResultsError};

/// Database of an address that names none.
const DATABASE: &str = "lobstream";
/// How long a server is looked for, unless the address says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a write waits for the majority of a replica set.
const WRITE_PATIENCE_MS: i32 = 30_000;
/// Documents of one command, far below the server's limit of 48 MB.
const COMMAND_DOCS: usize = 1000;
/// Documents of one reply.
const REPLY_DOCS: u32 = 1000;
/// How often a write is tried when its connection breaks.
const TRIES: u32 = 3;

/// An open database.
#[derive(Debug)]
pub(crate) struct Mongo {
    // Before the runtime, so that it goes first: its tasks run there.
    db: Database,
    runtime: Runtime,
    /// The address without its secrets.
    name: String,
}

/// One document to be stored.
#[derive(Debug)]
pub(crate) struct Upsert<'a, T> {
    /// Its `_id`.
    pub(crate) id: String,
    /// Everything else.
    pub(crate) fields: &'a T,
    /// A stored document whose field `rev` is above this stays as it is; `None`: always replaced.
    pub(crate) rev: Option<u16>,
}

/// The address without password and options: what messages may show.
pub(crate) fn without_secrets(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("mongodb", uri));
    // The last @: a password that was not escaped may hold others, or a / or a ?.
    let (user, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (login.split(':').next(), place),
        None => (None, rest),
    };
    let place = place.split('?').next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{user}:***@{place}"),
        None => format!("{scheme}://{place}"),
    }
}

impl Mongo {
    /// Connects and asks for a sign of life.
    ///
    /// # Errors
    /// An address that is not understood, no server within five seconds, a login that is refused.
    pub(crate) fn connect(uri: &str) -> Result<Mongo, Error> {
        let name = without_secrets(uri);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mongo")
            .enable_all()
            .build()
            .map_err(|e| failed(&name, "use", &e))?;
        let db = runtime.block_on(async {
            let mut options = ClientOptions::parse(uri).await.map_err(|e| not_understood(&name, &e))?;
            options.server_selection_timeout.get_or_insert(PATIENCE);
            options.connect_timeout.get_or_insert(PATIENCE);
            options.app_name.get_or_insert_with(|| env!("CARGO_PKG_NAME").to_owned());
            let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
            let client = Client::with_options(options).map_err(|e| not_understood(&name, &e))?;
            let db = client.database(&database);
            db.run_command(doc! { "ping": 1 }).await.map_err(|e| no_answer(&name, &e))?;
            Ok::<_, Error>(db)
        })?;
        Ok(Mongo { db, runtime, name })
    }

    /// The address without its secrets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes an ascending index over these fields if it is missing.
    ///
    /// # Errors
    /// What the server says, here and below.
    pub(crate) fn ensure_index(&self, collection: &str, fields: &[&str]) -> Result<(), Error> {
        let index = IndexModel::builder().keys(ascending(fields)).options(IndexOptions::default()).build();
        let collection = self.db.collection::<Document>(collection);
        let made = self.runtime.block_on(async { collection.create_index(index).await });
        made.map(drop).map_err(|e| failed(&self.name, "make an index in", &e.kind))
    }

    /// Stores documents in order; returns when a majority of servers has them on disk.
    pub(crate) fn upsert<T: Serialize>(
        &self,
        collection: &str,
        documents: &[Upsert<'_, T>],
    ) -> Result<(), Error> {
        for chunk in documents.chunks(COMMAND_DOCS) {
            let updates = chunk
                .iter()
                .map(update)
                .collect::<Result<Vec<Bson>, _>>()
                .map_err(|e| failed(&self.name, "write to", &e))?;
            self.runtime.block_on(self.write(doc! {
                "update": collection,
                "updates": updates,
                "ordered": true,
                "writeConcern": { "w": "majority", "j": true, "wtimeout": WRITE_PATIENCE_MS },
            }))?;
        }
        Ok(())
    }

    /// Takes away documents whose field has this value, but for those whose other field has that one.
    pub(crate) fn delete_others(
        &self,
        collection: &str,
        (field, value): (&str, i64),
        (keep, of): (&str, &str),
    ) -> Result<(), Error> {
        self.runtime.block_on(self.write(doc! {
            "delete": collection,
            "deletes": [{ "q": { field: value, keep: { "$ne": of } }, "limit": 0 }],
            "writeConcern": { "w": "majority", "j": true, "wtimeout": WRITE_PATIENCE_MS },
        }))
    }

    async fn write(&self, command: Document) -> Result<(), Error> {
        let mut tries = 0;
        let reply = loop {
            tries += 1;
            match self.db.run_command(command.clone()).await {
                Ok(reply) => break reply,
                Err(e) if tries < TRIES && connection_broke(&e) => {
                    tracing::warn!(store = self.name, error = %e.kind, "Write is tried again");
                }
                Err(e) => return Err(failed(&self.name, "write to", &e.kind)),
            }
        };
        let refused = reply.get_array("writeErrors").ok().and_then(|all| all.first()?.as_document());
        match refused.or_else(|| reply.get_document("writeConcernError").ok()) {
            Some(why) => Err(failed(&self.name, "write to", &why.get_str("errmsg").unwrap_or("no reason"))),
            None => Ok(()),
        }
    }

    /// The document with this `_id`.
    pub(crate) fn get<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<Option<T>, Error> {
        let collection = self.db.collection::<T>(collection);
        let found = self.runtime.block_on(async { collection.find_one(doc! { "_id": id }).await });
        found.map_err(|e| self.read_failed(&e))
    }

    /// Documents in ascending order of these fields; of some symbols only, unless none is named.
    pub(crate) fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        symbols: &[String],
        order: &[&str],
    ) -> Result<Found<'_, T>, Error> {
        let filter = if symbols.is_empty() {
            doc! {}
        } else {
            doc! { "symbol": { "$in": symbols } }
        };
        let collection = self.db.collection::<T>(collection);
        let cursor = self
            .runtime
            .block_on(async { collection.find(filter).sort(ascending(order)).batch_size(REPLY_DOCS).await })
            .map_err(|e| self.read_failed(&e))?;
        Ok(Found { mongo: self, cursor, ready: VecDeque::new(), ended: false })
    }

    fn read_failed(&self, error: &DriverError) -> Error {
        match &*error.kind {
            ErrorKind::BsonDeserialization(why) => self.corrupt(why),
            ErrorKind::Bson(why) => self.corrupt(why),
            _ => failed(&self.name, "read from", &error.kind),
        }
    }

    fn corrupt(&self, reason: &impl ToString) -> Error {
        ResultsError::Corrupt { place: self.name.clone(), reason: reason.to_string() }.into()
    }
}

/// Documents that were found, fetched as they are asked for.
pub(crate) struct Found<'a, T> {
    mongo: &'a Mongo,
    cursor: Cursor<T>,
    ready: VecDeque<T>,
    ended: bool,
}

impl<T: DeserializeOwned> Found<'_, T> {
    /// Takes what one reply holds: waking the runtime for each document would cost more than the document.
    async fn fetch(&mut self) -> Result<(), DriverError> {
        while self.ready.len() < REPLY_DOCS as usize {
            if !self.cursor.advance().await? {
                self.ended = true;
                break;
            }
            self.ready.push_back(self.cursor.deserialize_current()?);
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for Found<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.ended {
            let mongo = self.mongo;
            if let Err(e) = mongo.runtime.block_on(self.fetch()) {
                self.ended = true;
                return Some(Err(mongo.read_failed(&e)));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// One element of the `update` command.
fn update<T: Serialize>(upsert: &Upsert<'_, T>) -> Result<Bson, mongodb::bson::error::Error> {
    let id = upsert.id.as_str();
    let mut document = doc! { "_id": id };
    document.extend(serialize_to_document(upsert.fields)?);
    let change: Bson = match upsert.rev {
        None => document.into(),
        Some(rev) => vec![Bson::from(doc! { "$replaceWith": { "$cond": [
            { "$gt": ["$rev", i32::from(rev)] }, "$$ROOT", { "$literal": document },
        ] } })]
        .into(),
    };
    Ok(doc! { "q": { "_id": id }, "u": change, "upsert": true }.into())
}

fn ascending(fields: &[&str]) -> Document {
    fields.iter().map(|f| ((*f).to_owned(), Bson::Int32(1))).collect()
}

fn connection_broke(error: &DriverError) -> bool {
    error.contains_label(mongodb::error::RETRYABLE_WRITE_ERROR)
        || matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
}

fn not_understood(name: &str, error: &DriverError) -> Error {
    Error::usage(format!("results {name}: {}", error.kind))
}

fn no_answer(name: &str, error: &DriverError) -> Error {
    let reason = match &*error.kind {
        ErrorKind::ServerSelection { .. } => {
            "no server answers there: check the address and that the server runs".to_owned()
        }
        kind @ ErrorKind::Authentication { .. } => {
            format!("{kind}; the login is refused: check user, password and authSource")
        }
        kind => format!("{kind}; check the address and that the server runs"),
    };
    failed(name, "reach", &reason)
}

fn failed(name: &str, what: &'static str, reason: &impl ToString) -> Error {
    ResultsError::Failed { what, uri: name.to_owned(), reason: reason.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show() {
        for (uri, shown) in [
            ("mongodb://h:27017", "mongodb://h:27017"),
            ("mongodb://a,b:1/db?replicaSet=rs0", "mongodb://a,b:1/db"),
            ("mongodb://me:secret@h/db", "mongodb://me:***@h/db"),
            ("mongodb+srv://me:se/cr?e@t@h/db?x=secret", "mongodb+srv://me:***@h/db"),
            ("mongodb://h/?tlsCertificateKeyFilePassword=secret", "mongodb://h/"),
        ] {
            assert_eq!(without_secrets(uri), shown);
        }
    }

    #[test]
    fn an_address_that_is_not_understood_is_a_usage_error() {
        for uri in ["mongodb://", "mongodb://h:port", "mongodb://me:secret:x@h", "mongodb://h/?w=x&j=perhaps"]
        {
            let error = Mongo::connect(uri).expect_err(uri);
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
