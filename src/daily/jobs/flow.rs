//! Jobs on trades: microstructure of the day, fund quality.

use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::micro::{self, MicroRow};
use lobstream_market::daily::quality::{self, Flow, FundQualityRow};
use rayon::prelude::*;

use crate::daily::chain::{Chain, Made, Stop};
use crate::daily::store::ByCode;
use crate::daily::values::{pack, unpack};
use crate::error::Error;

/// Trading days back in which days with trades are looked for.
pub(in crate::daily) const VALUES_LOOKED_AT: usize = 120;
/// Trading days back in which the flow of a window is looked for.
pub(in crate::daily) const FLOWS_LOOKED_AT: usize = 60;
/// Stocks without trades that are named in a warning.
const NAMED_MAX: usize = 20;

/// Microstructure of the universe, and the trade values of every stock for later thresholds.
pub(in crate::daily) fn micro_daily(
    chain: &mut Chain<'_>,
    day: Day,
    allow_missing: bool,
) -> Result<Made<MicroRow>, Stop> {
    let prints = chain.prints(day)?;
    let universe = chain.history.universe(day, chain.settings);
    let missing: Vec<String> =
        universe.iter().filter(|c| !prints.contains_key(c)).map(StockCode::to_string).collect();
    if missing.len() * 5 > universe.len() && !allow_missing {
        return Err(Stop::Failed(format!(
            "{} of {} stocks have no trades: complete the files, or run with --allow-missing",
            missing.len(),
            universe.len()
        )));
    }
    let unit = chain.settings.big.unit;
    let values: ByCode<Vec<i64>> =
        prints.par_iter().map(|(code, prints)| (*code, micro::values(prints, unit))).collect();
    let of_stock = |code: &StockCode| -> Result<Option<MicroRow>, Error> {
        let (Some(prints), Some(today)) = (prints.get(code), values.get(code)) else { return Ok(None) };
        let past = past_values(chain, day, *code)?;
        let past: Vec<&[i64]> = past.iter().map(Vec::as_slice).collect();
        let threshold = micro::threshold(&past, today, &chain.settings.big);
        let amount = chain.history.stocks.get(code).and_then(|h| h.on(day)).and_then(|b| b.amount);
        Ok(micro::row(*code, day, prints, &threshold, amount, unit))
    };
    let rows = universe.par_iter().map(of_stock).collect::<Result<Vec<_>, Error>>()?;
    let mut made = Made::rows(rows.into_iter().flatten().collect());
    if !missing.is_empty() {
        let named = missing[..missing.len().min(NAMED_MAX)].join(" ");
        made.warnings.push(format!("{} stocks without trades: {named}", missing.len()));
    }
    made.values = Some(values.into_iter().map(|(code, v)| (code, pack(&v))).collect());
    Ok(made)
}

/// Values of the last days before `day` that have any, oldest last.
fn past_values(chain: &Chain<'_>, day: Day, code: StockCode) -> Result<Vec<Vec<i64>>, Error> {
    let mut found = Vec::new();
    for before in chain.history.calendar.last(day, VALUES_LOOKED_AT + 1).iter().rev().filter(|d| **d < day) {
        if found.len() == chain.settings.big.days {
            break;
        }
        if let Some(packed) = chain.store.get::<Vec<u8>>("values", &format!("{before}|{code}"))? {
            found.push(unpack(&packed));
        }
    }
    Ok(found)
}

/// Fund quality of the universe, scored.
pub(in crate::daily) fn fund_quality(chain: &Chain<'_>, day: Day) -> Result<Made<FundQualityRow>, Stop> {
    let settings = &chain.settings.quality;
    let earliest = chain.history.calendar.last(day, FLOWS_LOOKED_AT).first().copied().unwrap_or(day);
    let of_stock = |code: &StockCode| -> Result<Option<FundQualityRow>, Error> {
        let bars = chain.history.stocks[code].until(day);
        let bars = &bars[bars.len().saturating_sub(settings.max_lookback)..];
        let mut flows = std::collections::BTreeMap::new();
        for bar in bars.iter().filter(|b| b.day >= earliest) {
            if let Some(row) = chain.store.rows::<MicroRow>(bar.day, *code)?.into_iter().next() {
                flows.insert(bar.day, row);
            }
        }
        let flow_of = |bar: &Bar, factor: f64| flows.get(&bar.day).and_then(|row| Flow::of(row, factor));
        let close = bars.last().map_or(0.0, |b| b.close);
        let float = chain.history.facts.free_float_value(*code, day, close);
        Ok(quality::unscored(*code, bars, flow_of, float, settings))
    };
    let universe = chain.history.universe(day, chain.settings);
    let rows = universe.par_iter().map(of_stock).collect::<Result<Vec<_>, Error>>()?;
    let mut rows: Vec<FundQualityRow> = rows.into_iter().flatten().collect();
    quality::score(&mut rows, settings);
    Ok(Made::rows(rows))
}
