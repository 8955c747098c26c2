//! `lobstream images synth`: a market day of both exchanges that nobody traded, as a vendor would deliver it.
//!
//! Three tables: Shanghai's merged stream, Shenzhen's orders, Shenzhen's trades and cancels. Codes are integers
//! that lost their zeros, prices floats, as vendors have them. The same seed gives the same bytes.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::thread;

use lobstream_market::ashare::Exchange;
use lobstream_market::synthetic::ashare::{AshareDay, AshareOptions, AshareRows};

use super::synth_tables::{Executions, Format, Merged, Orders, Table};
use crate::cli::ImagesSynth;
use crate::command::say;
use crate::error::Error;

/// Makes the day; says how many rows of what are where.
pub(super) fn execute(args: &ImagesSynth) -> Result<(), Error> {
    let options = Synth::of(args)?;
    fs::create_dir_all(&args.out).map_err(|e| Error::file("cannot make", &args.out, e))?;
    options.refuse_what_exists()?;
    let (sh, sz) = thread::scope(|scope| {
        let sh = scope.spawn(|| options.shanghai());
        (options.shenzhen(), sh.join().expect("making a day does not panic"))
    });
    let made = [sh?, sz?].concat();
    if made.is_empty() {
        return Err(Error::usage("--stocks must be at least 1"));
    }
    for part in made {
        fs::rename(&part.from, &part.to).map_err(|e| Error::file("cannot rename", &part.from, e))?;
        say(format!("{} rows in {}", part.rows, part.to.display()));
    }
    Ok(())
}

/// A finished table that does not have its name yet.
#[derive(Clone, Debug)]
struct Part {
    from: PathBuf,
    to: PathBuf,
    rows: u64,
}

/// What is made where.
struct Synth<'a> {
    out: &'a Path,
    date: &'a str,
    seed: u64,
    format: Format,
    overwrite: bool,
    sh: AshareOptions,
    sz: AshareOptions,
}

impl Synth<'_> {
    fn of(args: &ImagesSynth) -> Result<Synth<'_>, Error> {
        let valid = args.date.len() == 8 && args.date.bytes().all(|b| b.is_ascii_digit());
        if !valid {
            return Err(Error::usage(format!("--date {}: write it as 20250102", args.date)));
        }
        // Shanghai has the smaller half of the stocks and of the rows.
        let (stocks, rows) =
            (args.stocks / 2, args.rows / u64::from(args.stocks) * u64::from(args.stocks / 2));
        Ok(Synth {
            out: &args.out,
            date: &args.date,
            seed: args.seed,
            format: if args.format == "csv" { Format::Csv } else { Format::Parquet },
            overwrite: args.overwrite,
            sh: AshareOptions { stocks, rows },
            sz: AshareOptions { stocks: args.stocks - stocks, rows: args.rows - rows },
        })
    }

    fn path(&self, table: &str, end: &str) -> PathBuf {
        self.out.join(format!("{table}_{}.{}{end}", self.date, self.format.extension()))
    }

    fn refuse_what_exists(&self) -> Result<(), Error> {
        let there = [Merged::NAME, Orders::NAME, Executions::NAME].map(|name| self.path(name, ""));
        match there.iter().find(|path| path.exists() && !self.overwrite) {
            Some(path) => {
                let what =
                    format!("{} exists: replace it with --overwrite, or name another --out", path.display());
                Err(Error::Exists { what })
            }
            None => Ok(()),
        }
    }

    fn shanghai(&self) -> Result<Vec<Part>, Error> {
        if self.sh.stocks == 0 {
            return Ok(Vec::new());
        }
        let mut merged = self.open::<Merged>()?;
        for AshareRows { sse, .. } in AshareDay::new(self.seed, Exchange::Sh, self.sh) {
            merged.append(&sse)?;
        }
        Ok(vec![merged.close()?])
    }

    fn shenzhen(&self) -> Result<Vec<Part>, Error> {
        if self.sz.stocks == 0 {
            return Ok(Vec::new());
        }
        let (mut orders, mut executions) = (self.open::<Orders>()?, self.open::<Executions>()?);
        for rows in AshareDay::new(self.seed, Exchange::Sz, self.sz) {
            orders.append(&rows.orders)?;
            executions.append(&rows.executions)?;
        }
        Ok(vec![orders.close()?, executions.close()?])
    }

    fn open<T: Table>(&self) -> Result<Open<T>, Error> {
        let (from, to) = (self.path(T::NAME, ".part"), self.path(T::NAME, ""));
        let file = File::create(&from).map_err(|e| Error::file("cannot make", &from, e))?;
        let into = BufWriter::with_capacity(1 << 20, file);
        let table = T::new(into, self.format).map_err(|e| Error::file("cannot write", &from, e))?;
        Ok(Open { table, part: Part { from, to, rows: 0 } })
    }
}

/// A table being written.
struct Open<T> {
    table: T,
    part: Part,
}

impl<T: Table> Open<T> {
    fn append(&mut self, rows: &[T::Row]) -> Result<(), Error> {
        self.part.rows += rows.len() as u64;
        self.table.append(rows).map_err(|e| Error::file("cannot write", &self.part.from, e))
    }

    fn close(self) -> Result<Part, Error> {
        self.table.finish().map_err(|e| Error::file("cannot write", &self.part.from, e))?;
        Ok(self.part)
    }
}
