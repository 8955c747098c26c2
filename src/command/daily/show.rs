//! `lobstream daily show`: one picture of a stock's days.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lobstream_backtest::report::chart::{DailyPicture, DayCandle, LevelLine, TestMark};
use lobstream_backtest::report::{Palette, write_daily};
use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::last_row;
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::levels::{self, LevelRow};
use lobstream_market::daily::micro::MicroRow;
use lobstream_market::daily::numbers::within;
use lobstream_market::daily::reaction::LevelTestRow;

use super::{stock, trading_day};
use crate::cli::daily::DailyShow;
use crate::command::say;
use crate::config;
use crate::daily::history::History;
use crate::daily::settings::DailySettings;
use crate::daily::store::Store;
use crate::error::Error;

/// A test lies this near to the level that it is drawn at, basis points.
const SAME_LEVEL_BP: i64 = 20;

pub(super) fn execute(args: &DailyShow) -> Result<(), Error> {
    let code = stock(&args.code)?;
    let settings = config::daily::load(args.config.as_deref())?;
    let store = Store::open_to_read(&args.place.dir)?;
    let day = trading_day(&store, "--date", &args.date)?;
    // Bars of the picture, and those that its first bands need.
    let (calendar, _) = crate::daily::history::calendar(&store)?;
    let from = calendar.last(day, args.bars as usize).first().copied().unwrap_or(day);
    let history = History::load(&store, from, day, &settings)?;
    let picture = picture(&store, &history, &settings, code, day, args.bars as usize)?;
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{code}-{day}.png")));
    write_daily(&picture, Palette::Cn, &path)?;
    say(format!("{} levels, {} days: {}", picture.levels.len(), picture.days.len(), path.display()));
    Ok(())
}

fn picture(
    store: &Store,
    history: &History,
    settings: &DailySettings,
    code: StockCode,
    day: Day,
    n: usize,
) -> Result<DailyPicture, Error> {
    let bars = history.stocks.get(&code).map(|h| h.until(day)).unwrap_or_default();
    let Some(last) = bars.last() else {
        return Err(Error::Missing { what: format!("no bar of {code} up to {day} is stored") });
    };
    let first = bars.len().saturating_sub(n);
    let shown = &bars[first..];
    let days = (first..bars.len())
        .map(|i| candle(store, history, settings, code, &bars[..=i], last))
        .collect::<Result<Vec<_>, _>>()?;
    let place = |of: Day| shown.partition_point(|b| b.day < of).min(shown.len() - 1);
    let mut rows: Vec<LevelRow> = store.rows(last.day, code)?;
    if rows.is_empty() {
        rows = levels::rows(code, bars, &settings.levels);
    }
    let mut lines: Vec<LevelLine> = rows.iter().map(|row| line(row, place(row.src_date))).collect();
    for (i, bar) in shown.iter().enumerate() {
        for test in store.rows::<LevelTestRow>(bar.day, code)? {
            let level_e4 = (test.level_e4 as f64 * bar.factor_to(last)).round() as i64;
            let near = |row: &&LevelRow| within((row.level_e4 - level_e4).abs(), row.level_e4, SAME_LEVEL_BP);
            if let Some(at) = rows.iter().position(|row| near(&row)) {
                lines[at].tests.push(TestMark { at: i, big_net: test.big_net_value, score: test.score() });
            }
        }
    }
    lines.iter_mut().for_each(strongest_a_day);
    let name = history.facts.name(code);
    Ok(DailyPicture {
        title: if name.is_ascii() { format!("{code} {name}") } else { code.to_string() },
        caption: caption(last, shown, &lines, &days),
        days,
        levels: lines,
    })
}

fn candle(
    store: &Store,
    history: &History,
    settings: &DailySettings,
    code: StockCode,
    until: &[Bar],
    last: &Bar,
) -> Result<DayCandle, Error> {
    let bar = &until[until.len() - 1];
    let factor = bar.factor_to(last);
    let bands = last_row(code, history.facts.name(code), until, &settings.bollinger);
    let micro: Vec<MicroRow> = store.rows(bar.day, code)?;
    let day = bar.day.to_string();
    Ok(DayCandle {
        day: format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]),
        ohlc: [bar.open, bar.high, bar.low, bar.close].map(|p| p * factor),
        volume: bar.volume,
        bands: bands.as_ref().map(|b| [b.upper_band, b.middle_band, b.lower_band].map(|p| p * factor)),
        volume_bands: bands.and_then(|b| Some([b.v_upper_band?, b.v_middle_band?, b.v_lower_band?])),
        big_net: micro.first().and_then(|m| m.big_net_value),
    })
}

fn line(row: &LevelRow, from: usize) -> LevelLine {
    let supports = row.role.supports().then_some(true).or(row.role.resists().then_some(false));
    let kinds = row.level_type.replace("trend_pivot", "pivot").replace("measured_move_target", "target");
    let turned = if row.role.as_str().starts_with("flip") { ", flipped" } else { "" };
    LevelLine {
        price: row.level_price,
        from,
        supports,
        strength: row.strength,
        name: format!("{kinds}{turned}"),
        tests: Vec::new(),
    }
}

/// Of the tests of one day the one with the highest score is drawn.
fn strongest_a_day(line: &mut LevelLine) {
    let mut best: BTreeMap<usize, TestMark> = BTreeMap::new();
    for test in line.tests.drain(..) {
        match best.get(&test.at) {
            Some(other) if other.score >= test.score => {}
            _ => drop(best.insert(test.at, test)),
        }
    }
    line.tests = best.into_values().collect();
}

fn caption(last: &Bar, shown: &[Bar], levels: &[LevelLine], days: &[DayCandle]) -> String {
    let tests: usize = levels.iter().map(|l| l.tests.len()).sum();
    let flow = days.iter().filter(|d| d.big_net.is_some()).count();
    format!(
        "{} to {}, prices adjusted to the last day; levels with price, strength, kinds; {tests} tested on days \
         shown; {flow} days with trades",
        shown[0].day, last.day
    )
}
