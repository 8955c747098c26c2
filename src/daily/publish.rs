//! Where rows go beside the store: a Parquet part per table and day, and a MongoDB.

use std::fs;
use std::path::{Path, PathBuf};

use lobstream_market::calendar::Day;
use lobstream_market::daily::job::{Job, JobRunRow};
use lobstream_market::factor::columns::{Cell, Column};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::table::TableRow;
use crate::error::Error;
use crate::mongo::{Mongo, Upsert};
use crate::parquet::Table;

/// The folder of a table's part of a day.
pub fn part(dir: &Path, table: &str, day: Day) -> PathBuf {
    dir.join("daily").join(table).join(format!("trade_date={day}")).join("part-0.parquet")
}

/// Writes a day's rows of a table as its Parquet part, which is there as a whole or not at all. Without rows
/// there is no part.
///
/// # Errors
/// What the system says.
pub(super) fn write_part<T: TableRow>(dir: &Path, day: Day, rows: &[T]) -> Result<(), Error> {
    let path = part(dir, T::TABLE, day);
    if rows.is_empty() {
        return match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("cannot remove", &path, e)),
            _ => Ok(()),
        };
    }
    let mut table = Table::new(T::FIELDS);
    rows.iter().for_each(|row| table.push(row.fields()));
    let mut bytes = Vec::new();
    let units: Vec<(String, &str)> =
        T::FIELDS.iter().map(|c| (format!("lobstream.doc.{}", c.name), c.doc.trim())).collect();
    let mut notes = vec![("lobstream.schema", T::TABLE)];
    notes.extend(units.iter().map(|(name, doc)| (name.as_str(), *doc)));
    table.write(&mut bytes, &notes).map_err(|e| Error::file("cannot write", &path, e))?;
    let folder = path.parent().expect("a part lies in a folder");
    fs::create_dir_all(folder).map_err(|e| Error::file("cannot make", folder, e))?;
    let unfinished = folder.join("part-0.unfinished");
    fs::write(&unfinished, bytes).map_err(|e| Error::file("cannot write", &unfinished, e))?;
    fs::rename(&unfinished, &path).map_err(|e| Error::file("cannot write", &path, e))
}

/// Tables in a MongoDB: collection = table, `_id` = the row's key.
#[derive(Debug)]
pub struct MongoTables {
    mongo: Mongo,
}

impl MongoTables {
    /// Connects.
    ///
    /// # Errors
    /// As the driver says.
    pub fn connect(uri: &str) -> Result<MongoTables, Error> {
        Ok(MongoTables { mongo: Mongo::connect(uri)? })
    }

    /// The address without its secrets.
    pub fn name(&self) -> &str {
        self.mongo.name()
    }

    /// Is this run of a job what is published already?
    pub(super) fn has(&self, run: &JobRunRow) -> Result<bool, Error> {
        let found: Option<Published> = self.mongo.get("job_runs", &run_id_of(run.trade_date, run.job))?;
        Ok(found.is_some_and(|p| p.output_hash == run.output_hash && p.status == run.status.as_str()))
    }

    /// Upserts a day's rows, then takes away those of the day that another run wrote.
    pub(super) fn replace_day<T: TableRow>(
        &self,
        day: Day,
        rows: &[T],
        run_id: &str,
        created_ns: i64,
    ) -> Result<(), Error> {
        let date = T::FIELDS.iter().find(|c| DATES.contains(&c.name)).map_or("trade_date", |c| c.name);
        self.mongo.ensure_index(T::TABLE, &[date])?;
        self.mongo.ensure_index(T::TABLE, &["ts_code", date])?;
        let documents: Vec<Document<'_>> = rows
            .iter()
            .map(|row| Document { columns: T::FIELDS, cells: row.fields(), run: Some((run_id, created_ns)) })
            .collect();
        let upserts: Vec<Upsert<'_, Document<'_>>> = rows
            .iter()
            .zip(&documents)
            .map(|(row, fields)| Upsert { id: row.id(), fields, rev: None })
            .collect();
        self.mongo.upsert(T::TABLE, &upserts)?;
        self.mongo.delete_others(T::TABLE, (date, i64::from(day.number())), ("run_id", run_id))
    }

    /// Tells a run, after its rows.
    pub(super) fn put_run(&self, run: &JobRunRow) -> Result<(), Error> {
        let fields = Document { columns: JobRunRow::COLUMNS, cells: run.cells(), run: None };
        let id = run_id_of(run.trade_date, run.job);
        self.mongo.upsert("job_runs", &[Upsert { id, fields: &fields, rev: None }])
    }
}

/// Columns that say to which day a row belongs.
const DATES: [&str; 3] = ["trade_date", "calc_date", "window_end"];

fn run_id_of(day: Day, job: Job) -> String {
    format!("{day}|{job}")
}

#[derive(serde::Deserialize)]
struct Published {
    output_hash: String,
    status: String,
}

/// A row as a document: dates as YYYYMMDD, what is missing as null.
struct Document<'a> {
    columns: &'static [Column],
    cells: Vec<Cell>,
    run: Option<(&'a str, i64)>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            match cell {
                Cell::Null => map.serialize_entry(column.name, &None::<i64>)?,
                Cell::Bool(b) => map.serialize_entry(column.name, b)?,
                Cell::Int(i) => map.serialize_entry(column.name, i)?,
                Cell::Float(x) => map.serialize_entry(column.name, x)?,
                Cell::Date(day) => map.serialize_entry(column.name, &i64::from(day.number()))?,
                Cell::Text(t) => map.serialize_entry(column.name, t)?,
            }
        }
        if let Some((run_id, created_ns)) = self.run {
            map.serialize_entry("run_id", run_id)?;
            map.serialize_entry("created_at", &created_ns)?;
        }
        map.end()
    }
}
