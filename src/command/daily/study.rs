//! `lobstream daily study`: what came after high and low scores.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::trading_days;
use crate::cli::daily::DailyStudy;
use crate::command::say;
use crate::daily::history::{self, History};
use crate::daily::settings::DailySettings;
use crate::daily::store::Store;
use crate::daily::study::study;
use crate::error::Error;

pub(super) fn execute(args: &DailyStudy) -> Result<(), Error> {
    let store = Store::open_to_read(&args.place.dir)?;
    let (_, days) = trading_days(&store, &args.from, &args.to)?;
    let (from, to) = (days[0], days[days.len() - 1]);
    let (_, last) = history::calendar(&store)?;
    let history = History::load(&store, from, last, &DailySettings::default())?;
    for told in study(&store, &history, from, to)? {
        say(format!("{}, {from} to {to}", told.what));
        if told.groups.is_empty() {
            say("  no score in this time: it needs trades (--ticks of lobstream daily run)");
            continue;
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["fifth by score", "n", "mean", "median", "above 0"]);
        for (group, i) in told.groups.iter().zip(1..) {
            let percent = |x: f64| format!("{:.3} %", x * 100.0);
            table.add_row([
                i.to_string(),
                group.n.to_string(),
                percent(group.mean),
                percent(group.median),
                format!("{:.1} %", group.positive * 100.0),
            ]);
        }
        say(table);
    }
    Ok(())
}
