//! Where results lie: an address names the store.

use std::path::PathBuf;

use crate::error::Error;
use crate::mongo::without_secrets;
use crate::sink::lmdb::LmdbResults;
use crate::sink::mongo::MongoResults;
use crate::sink::parquet::ParquetResults;
use crate::sink::{ResultReader, Sink};

/// A store of results, by its address.
#[derive(Clone, PartialEq, Eq)]
pub enum Results {
    /// `lmdb:DIR`
    Lmdb(PathBuf),
    /// `mongodb://host:port[,host:port][/db][?options]`; the database is `lobstream` unless named.
    Mongo(String),
    /// `parquet:DIR`
    Parquet(PathBuf),
}

impl Results {
    /// The store that an address names.
    ///
    /// # Errors
    /// The address is not understood.
    pub fn parse(uri: &str) -> Result<Results, Error> {
        match uri.split_once(':') {
            Some(("lmdb", dir)) if !dir.is_empty() => Ok(Results::Lmdb(dir.into())),
            Some(("parquet", dir)) if !dir.is_empty() => Ok(Results::Parquet(dir.into())),
            Some(("mongodb" | "mongodb+srv", rest)) if rest.starts_with("//") => {
                Ok(Results::Mongo(uri.to_owned()))
            }
            Some(_) | None => Err(Error::usage(format!(
                "results {:?} are not understood: write lmdb:DIR, mongodb://host:port[/db] or parquet:DIR",
                if uri.contains('@') { without_secrets(uri) } else { uri.to_owned() }
            ))),
        }
    }

    /// Checks that no store is named twice: two writers of one store would wait for each other, or worse.
    ///
    /// # Errors
    /// An address that is not understood, or one that comes twice.
    pub fn all_different(uris: &[String]) -> Result<(), Error> {
        let mut seen: Vec<Results> = Vec::new();
        for uri in uris {
            let results = Results::parse(uri)?.plain();
            if seen.contains(&results) {
                let name = results.name();
                return Err(Error::usage(format!("--results {name} is given twice: name every store once")));
            }
            seen.push(results);
        }
        Ok(())
    }

    /// Without spelling: `a/./b/` is `a/b`, and a database is the same whatever the options of the connection.
    fn plain(self) -> Results {
        let plain = |dir: PathBuf| std::path::absolute(&dir).unwrap_or(dir).components().collect();
        match self {
            Results::Lmdb(dir) => Results::Lmdb(plain(dir)),
            Results::Parquet(dir) => Results::Parquet(plain(dir)),
            Results::Mongo(uri) => Results::Mongo(without_secrets(&uri).trim_end_matches('/').to_owned()),
        }
    }

    /// Its address, without secrets.
    pub fn name(&self) -> String {
        match self {
            Results::Lmdb(dir) => format!("lmdb:{}", dir.display()),
            Results::Mongo(uri) => without_secrets(uri),
            Results::Parquet(dir) => format!("parquet:{}", dir.display()),
        }
    }

    /// Opens a store for writing, made if it is missing.
    ///
    /// # Errors
    /// The address is not understood; the store cannot be reached, made or written.
    pub fn open_sink(uri: &str) -> Result<Box<dyn Sink>, Error> {
        let results = Results::parse(uri)?;
        let name = results.name();
        Ok(match results {
            Results::Lmdb(dir) => Box::new(LmdbResults::create(name, &dir)?),
            Results::Mongo(uri) => Box::new(MongoResults::create(&uri)?),
            Results::Parquet(dir) => Box::new(ParquetResults::create(name, &dir)?),
        })
    }

    /// Opens a store that a sink has made.
    ///
    /// # Errors
    /// As for [`Results::open_sink`]; nothing was stored there yet.
    pub fn open_reader(uri: &str) -> Result<Box<dyn ResultReader>, Error> {
        let results = Results::parse(uri)?;
        let name = results.name();
        Ok(match results {
            Results::Lmdb(dir) => Box::new(LmdbResults::open_existing(name, &dir)?),
            Results::Mongo(uri) => Box::new(MongoResults::open_existing(&uri)?),
            Results::Parquet(dir) => Box::new(ParquetResults::open_existing(name, &dir)?),
        })
    }
}

impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_store() {
        assert_eq!(Results::parse("lmdb:a/b").expect("known"), Results::Lmdb("a/b".into()));
        assert_eq!(Results::parse("parquet:/x").expect("known"), Results::Parquet("/x".into()));
        let mongo = Results::parse("mongodb://me:secret@h/db").expect("known");
        assert_eq!(format!("{mongo:?}"), "mongodb://me:***@h/db");
    }

    #[test]
    fn a_store_is_named_once() {
        let check = |uris: &[&str]| {
            Results::all_different(&uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>())
        };
        check(&["lmdb:a", "parquet:a", "lmdb:b", "mongodb://h/a", "mongodb://h/b"]).expect("five stores");
        for twice in [["lmdb:a", "lmdb:./a/"], ["mongodb://h/a", "mongodb://h/a?w=1"]] {
            let error = check(&twice).expect_err("one store");
            assert!(error.exit_code() == 2 && error.to_string().contains("twice"), "{error}");
        }
    }

    #[test]
    fn any_other_address_is_a_usage_error_that_tells_what_to_write() {
        for uri in ["", "lmdb", "lmdb:", "parquet:", "csv:x", "mongodb:h", "mongo://me:secret@h"] {
            let error = Results::parse(uri).expect_err(uri);
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("lmdb:DIR") && !text.contains("secret"), "{text}");
        }
    }
}
