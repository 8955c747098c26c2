//! `lobstream daily status`: what each job did on a day.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::trading_day;
use crate::cli::daily::DailyStatus;
use crate::command::say;
use crate::daily::store::Store;
use crate::error::Error;

pub(super) fn execute(args: &DailyStatus) -> Result<(), Error> {
    let store = Store::open_to_read(&args.place.dir)?;
    let day = trading_day(&store, "--date", &args.date)?;
    let runs = store.runs(day)?;
    if runs.is_empty() {
        return Err(Error::Missing {
            what: format!("nothing was run on {day}: lobstream daily run --date {day}"),
        });
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["job", "status", "rows", "seconds", "output", "warnings or error"]);
    for run in runs {
        let seconds = (run.ended_ns - run.started_ns).max(0) as f64 / 1e9;
        let output = run.output_hash.get(..12).unwrap_or_default().to_owned();
        let said =
            [run.warnings, run.error].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n");
        table.add_row([
            run.job.as_str().to_owned(),
            run.status.as_str().to_owned(),
            run.rows.to_string(),
            format!("{seconds:.3}"),
            output,
            said,
        ]);
    }
    say(format!("{day}"));
    say(table);
    Ok(())
}
