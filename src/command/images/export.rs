//! `lobstream export --to images`: selected days and stocks in a folder of their own.

use std::collections::BTreeSet;
use std::path::Path;

use super::batch::codes;
use crate::command::say;
use crate::config::dates::Date;
use crate::error::Error;
use crate::images::{copy_day, days_in};

/// Copies days, all if none is named, and of them the stocks that are named, or all.
pub(in crate::command) fn execute(
    from: &str,
    out: &Path,
    dates: &[String],
    symbols: &[String],
) -> Result<(), Error> {
    let (dir, wanted) = (Path::new(from), codes(symbols)?);
    let days: BTreeSet<String> = if dates.is_empty() {
        days_in(dir)?.into_iter().collect()
    } else {
        let date = |text: &String| Ok::<_, Error>(Date::parse("--dates", text)?.to_string());
        dates.iter().map(date).collect::<Result<_, _>>()?
    };
    if days.is_empty() {
        let what = format!("there are no images in {from}: make them with lobstream images");
        return Err(Error::Missing { what });
    }
    for date in days {
        let n = copy_day(dir, out, &date, &wanted)?;
        say(format!("{date}: {n} images copied to {}", out.display()));
    }
    Ok(())
}
