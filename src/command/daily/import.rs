//! `lobstream daily import bars`: vendors' files into the store.

use crate::cli::daily::DailyImportBars;
use crate::command::progress::spinner;
use crate::command::{note, say};
use crate::daily::import::{Basis, Imported, import};
use crate::daily::store::Store;
use crate::error::Error;

pub(super) fn execute(args: &DailyImportBars) -> Result<(), Error> {
    let store = Store::open_to_write(&args.place.dir)?;
    let basis = args.basis.as_deref().map(|b| if b == "qfq" { Basis::Qfq } else { Basis::Unadjusted });
    let line = spinner("import");
    let done = import(&store, &args.files, basis, |name| line.set_message(name.to_owned()));
    line.finish_and_clear();
    summary(&done?).iter().for_each(say);
    Ok(())
}

/// What an import did, a line each; what was odd is a note.
pub(super) fn summary(done: &Imported) -> Vec<String> {
    let c = &done.counters;
    let span = done.span.map_or_else(String::new, |(from, to)| format!(", {from} to {to}"));
    for (n, what) in [
        (c.duplicates, "rows of a day that comes twice: the last one counts"),
        (c.no_price, "rows without close, high or low: left out"),
        (c.suspended, "rows of suspended days: no bars"),
        (c.ohlc_violation, "rows whose open, high, low and close contradict each other: kept"),
        (c.unit_suspect, "rows whose amount does not fit the volume: kept"),
        (c.other_market, "rows of other markets: left out"),
        (c.unadjusted, "rows without an adjustment factor: taken as 1"),
    ] {
        if n > 0 {
            note(format!("note: {n} {what}"));
        }
    }
    let mut lines = Vec::new();
    if done.bar_tables > 0 {
        lines.push(format!(
            "{} rows of {} stocks in {} tables{span}; {} bars are new or other than before",
            c.rows, c.stocks, done.bar_tables, done.changed
        ));
    }
    if done.fact_tables > 0 {
        lines.push(format!("{} tables about stocks", done.fact_tables));
    }
    lines
}
