//! `[daily]` of a configuration file: every key has a default, and none that is not known is passed over.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use lobstream_market::ashare::Board;
use lobstream_market::daily::micro::{BigFallback, BigMode, BigUnit};
use lobstream_market::daily::quality::WindowMode;
use toml_edit::{Document, Item, TableLike};

use crate::daily::settings::DailySettings;
use crate::error::Error;

/// Settings of a file, or the defaults without one. Other sections of the file are not looked at.
///
/// # Errors
/// The file cannot be read; a key is not known or its value out of range: file and key are named.
pub fn load(file: Option<&Path>) -> Result<DailySettings, Error> {
    let Some(path) = file else { return Ok(DailySettings::default()) };
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|e| Error::usage(format!("cannot read {name}: {e}")))?;
    parse(&name, &text)
}

/// Settings of a text; `name` stands before every fault.
///
/// # Errors
/// As for [`load`].
pub fn parse(name: &str, text: &str) -> Result<DailySettings, Error> {
    let document = Document::parse(text).map_err(|e| Error::usage(format!("{name}: {}", e.message())))?;
    let mut settings = DailySettings::default();
    let empty = toml_edit::Table::new();
    let root = Section::new(name, "", document.as_table());
    if let Some(daily) = root.section("daily")? {
        read(&daily, &empty, &mut settings)?;
    }
    Ok(settings)
}

fn read<'a>(daily: &Section<'a>, empty: &'a toml_edit::Table, s: &mut DailySettings) -> Result<(), Error> {
    if let Some(boards) = daily.texts("boards")? {
        let board = |t: &String| {
            let known = Board::ALL.into_iter().find(|b| b.as_str() == t);
            known.ok_or_else(|| daily.fault("boards", "may hold main, chinext, star and bse"))
        };
        s.pool.boards = boards.iter().map(board).collect::<Result<_, _>>()?;
    }
    daily.word("calendar", &["ashare"], &mut "ashare")?;
    let section = |name| Ok::<_, Error>(daily.section(name)?.unwrap_or_else(|| Section::new("", "", empty)));

    let t = section("bollinger")?;
    t.count("window", 2..=10_000, &mut s.bollinger.window)?;
    t.number("k", 1e-6..=1e6, &mut s.bollinger.k)?;
    t.count("z_window", 2..=10_000, &mut s.bollinger.z_window)?;
    t.done()?;

    let t = section("pool")?;
    let (mut mode, mut unit) = ("window", "calendar");
    t.word("mode", &["window", "event"], &mut mode)?;
    t.word("window_unit", &["calendar", "trading"], &mut unit)?;
    (s.pool.event, s.pool.trading_days) = (mode == "event", unit == "trading");
    let mut days = s.pool.window_days as usize;
    t.count("window_days", 1..=1000, &mut days)?;
    s.pool.window_days = days as u32;
    t.number("vpos_min", -1e9..=1e9, &mut s.pool.vpos_min)?;
    t.number("ppos_min", -1e9..=1e9, &mut s.pool.ppos_min)?;
    t.number("min_avg_amount", 0.0..=1e15, &mut s.pool.min_avg_amount)?;
    t.number("event_min_amount", 0.0..=1e15, &mut s.pool.event_min_amount)?;
    t.done()?;

    let t = section("big")?;
    let (mut mode, mut unit, mut fallback, mut value) = ("hist", "trade", "today", 500_000.0);
    t.word("mode", &["hist", "today", "fixed"], &mut mode)?;
    t.word("unit", &["trade", "parent"], &mut unit)?;
    t.word("fallback", &["today", "null"], &mut fallback)?;
    t.number("value", 1e-4..=1e15, &mut value)?;
    s.big.mode = match mode {
        "today" => BigMode::Today,
        "fixed" => BigMode::Fixed(value),
        _ => BigMode::Hist,
    };
    s.big.unit = if unit == "parent" { BigUnit::Parent } else { BigUnit::Trade };
    s.big.fallback = if fallback == "null" { BigFallback::Null } else { BigFallback::Today };
    t.number("q", 1e-9..=1.0 - 1e-9, &mut s.big.q)?;
    t.count("days", 1..=120, &mut s.big.days)?;
    t.count("min_days", 1..=120, &mut s.big.min_days)?;
    t.done()?;

    let t = section("quality")?;
    let mut window = "rise";
    t.word("window", &["rise", "min_close"], &mut window)?;
    s.quality.window = if window == "rise" { WindowMode::Rise } else { WindowMode::MinClose };
    t.count("max_lookback", 2..=60, &mut s.quality.max_lookback)?;
    t.basis_points("max_drawdown_bp", &mut s.quality.max_drawdown_bp)?;
    t.basis_points("pullback_min_bp", &mut s.quality.pullback_min_bp)?;
    t.count("min_rows", 1..=100_000, &mut s.quality.min_rows)?;
    if let Some(w) = t.section("weights")? {
        let weights = &mut s.quality.weights;
        w.number("big_net_share", -100.0..=100.0, &mut weights.big_net_share)?;
        w.number("pos_days_ratio", -100.0..=100.0, &mut weights.pos_days_ratio)?;
        w.number("price_return", -100.0..=100.0, &mut weights.price_return)?;
        w.number("trend_corr", -100.0..=100.0, &mut weights.trend_corr)?;
        w.number("big_cost_gain", -100.0..=100.0, &mut weights.big_cost_gain)?;
        w.number("support_ratio", -100.0..=100.0, &mut weights.support_ratio)?;
        w.done()?;
    }
    t.done()?;

    let t = section("levels")?;
    let l = &mut s.levels;
    t.count("lookback", 10..=10_000, &mut l.lookback)?;
    t.count("swing_window", 1..=100, &mut l.swing_window)?;
    t.count("min_range_pivots", 2..=1000, &mut l.min_range_pivots)?;
    t.count("min_range_bars", 2..=1000, &mut l.min_range_bars)?;
    t.basis_points("max_range_width_bp", &mut l.max_range_width_bp)?;
    t.basis_points("merge_bp", &mut l.merge_bp)?;
    t.count("recent_bars", 1..=10_000, &mut l.recent_bars)?;
    t.basis_points("major_bp", &mut l.major_bp)?;
    t.count("max_levels", 1..=1000, &mut l.max_levels)?;
    t.basis_points("flip_bp", &mut l.flip_bp)?;
    t.done()?;

    let t = section("level_tests")?;
    t.basis_points("band_bp", &mut s.tests.band_bp)?;
    t.seconds("join_s", &mut s.tests.join_s)?;
    t.count("min_ticks", 1..=1_000_000, &mut s.tests.min_ticks)?;
    t.seconds("penetration_grace_s", &mut s.tests.penetration_grace_s)?;
    t.seconds("horizon_s", &mut s.tests.horizon_s)?;
    t.done()?;

    let t = section("level_scores")?;
    t.numbers("support", &mut s.tests.support)?;
    t.numbers("resistance", &mut s.tests.resistance)?;
    t.done()?;

    let t = section("candidates")?;
    let c = &mut s.candidates;
    let (mut flow, mut strength) = ("required", usize::from(c.min_strength));
    t.number("quality_top", 1e-6..=1.0, &mut c.quality_top)?;
    t.number("max_ppos", -1e9..=1e9, &mut c.max_ppos)?;
    t.count("min_strength", 0..=100, &mut strength)?;
    c.min_strength = strength as u8;
    t.word("flow", &["required", "optional"], &mut flow)?;
    c.flow_optional = flow == "optional";
    t.basis_points("max_dist_bp", &mut c.max_dist_bp)?;
    t.number("support_quantile", 0.0..=1.0, &mut c.support_quantile)?;
    t.number("resistance_quantile", 0.0..=1.0, &mut c.resistance_quantile)?;
    t.count("history_days", 1..=90, &mut c.history_days)?;
    t.count("min_history", 1..=1_000_000, &mut c.min_history)?;
    t.done()?;
    daily.done()
}

/// A table, and which of its keys were asked for.
struct Section<'a> {
    file: &'a str,
    path: String,
    table: &'a dyn TableLike,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    fn new(file: &'a str, path: &str, table: &'a dyn TableLike) -> Section<'a> {
        Section { file, path: path.to_owned(), table, asked: RefCell::default() }
    }

    fn item(&self, key: &'static str) -> Option<&'a Item> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key)
    }

    fn fault(&self, key: &str, what: &str) -> Error {
        Error::usage(format!("{}: {}{key} {what}", self.file, self.path))
    }

    fn section(&self, key: &'static str) -> Result<Option<Section<'a>>, Error> {
        let Some(item) = self.item(key) else { return Ok(None) };
        let table = item.as_table_like().ok_or_else(|| self.fault(key, "must be a table"))?;
        Ok(Some(Section::new(self.file, &format!("{}{key}.", self.path), table)))
    }

    /// All keys must have been asked for.
    fn done(&self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        let unknown = self.table.iter().map(|(key, _)| key).find(|key| !asked.contains(key));
        match unknown {
            Some(key) => {
                let known: Vec<&str> = asked.iter().copied().collect();
                Err(self.fault(key, &format!("is not known; known here: {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn number(&self, key: &'static str, range: RangeInclusive<f64>, into: &mut f64) -> Result<(), Error> {
        let Some(item) = self.item(key) else { return Ok(()) };
        let number = item.as_float().or_else(|| item.as_integer().map(|i| i as f64));
        *into = number.filter(|x| range.contains(x)).ok_or_else(|| {
            self.fault(key, &format!("must be a number from {} to {}", range.start(), range.end()))
        })?;
        Ok(())
    }

    fn integer(&self, key: &'static str, range: RangeInclusive<i64>, into: &mut i64) -> Result<(), Error> {
        let Some(item) = self.item(key) else { return Ok(()) };
        let what = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let integer = item.as_integer().filter(|i| range.contains(i));
        *into = integer.ok_or_else(|| self.fault(key, &what()))?;
        Ok(())
    }

    fn count(&self, key: &'static str, range: RangeInclusive<usize>, into: &mut usize) -> Result<(), Error> {
        let mut n = *into as i64;
        self.integer(key, *range.start() as i64..=*range.end() as i64, &mut n)?;
        *into = n as usize;
        Ok(())
    }

    fn basis_points(&self, key: &'static str, into: &mut i64) -> Result<(), Error> {
        self.integer(key, 0..=9_999, into)
    }

    fn seconds(&self, key: &'static str, into: &mut i64) -> Result<(), Error> {
        self.integer(key, 0..=14_400, into)
    }

    fn word(&self, key: &'static str, words: &[&'static str], into: &mut &'static str) -> Result<(), Error> {
        let Some(item) = self.item(key) else { return Ok(()) };
        let word = item.as_str().and_then(|t| words.iter().find(|w| **w == t));
        *into = word.ok_or_else(|| self.fault(key, &format!("must be {}", words.join(" or "))))?;
        Ok(())
    }

    fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>, Error> {
        let Some(item) = self.item(key) else { return Ok(None) };
        let texts =
            item.as_array().and_then(|all| all.iter().map(|t| t.as_str().map(str::to_owned)).collect());
        texts.map(Some).ok_or_else(|| self.fault(key, "must be a list of texts"))
    }

    fn numbers<const N: usize>(&self, key: &'static str, into: &mut [f64; N]) -> Result<(), Error> {
        let Some(item) = self.item(key) else { return Ok(()) };
        let number = |v: &toml_edit::Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
        let all: Option<Vec<f64>> = item.as_array().and_then(|all| all.iter().map(number).collect());
        let right =
            all.filter(|all| all.iter().all(|x| (0.0..=1.0).contains(x)) && all.iter().sum::<f64>() > 0.0);
        let right: Option<[f64; N]> = right.and_then(|all| all.try_into().ok());
        *into = right.ok_or_else(|| self.fault(key, &format!("must be {N} numbers from 0 to 1")))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The block of the page: every key at its default.
    const DEFAULTS: &str = r#"
        [other]
        x = 1
        [daily]
        boards = ["main", "chinext", "star"]
        calendar = "ashare"
        [daily.bollinger]
        window = 20
        k = 2.0
        z_window = 120
        [daily.pool]
        mode = "window"
        window_days = 20
        window_unit = "calendar"
        vpos_min = 99.0
        ppos_min = 50.0
        min_avg_amount = 30_000_000.0
        event_min_amount = 100_000_000.0
        [daily.big]
        mode = "hist"
        q = 0.90
        days = 60
        min_days = 5
        unit = "trade"
        fallback = "today"
        [daily.quality]
        window = "rise"
        max_lookback = 20
        max_drawdown_bp = 600
        pullback_min_bp = 200
        min_rows = 5
        weights = { big_net_share = 0.25, pos_days_ratio = 0.20, price_return = 0.15, trend_corr = 0.15, big_cost_gain = 0.15, support_ratio = 0.10 }
        [daily.levels]
        lookback = 270
        swing_window = 2
        min_range_pivots = 4
        min_range_bars = 10
        max_range_width_bp = 800
        merge_bp = 20
        recent_bars = 40
        major_bp = 400
        max_levels = 40
        flip_bp = 50
        [daily.level_tests]
        band_bp = 50
        join_s = 60
        min_ticks = 5
        penetration_grace_s = 60
        horizon_s = 1800
        [daily.level_scores]
        support = [0.35, 0.15, 0.25, 0.25]
        resistance = [0.35, 0.15, 0.25, 0.10, 0.15]
        [daily.candidates]
        quality_top = 0.30
        max_ppos = 50.0
        min_strength = 70
        flow = "required"
        max_dist_bp = 500
        support_quantile = 0.70
        resistance_quantile = 0.60
        history_days = 60
        min_history = 20
    "#;

    #[test]
    fn the_block_of_the_page_is_the_default() {
        assert_eq!(parse("f", DEFAULTS).expect("right"), DailySettings::default());
        assert_eq!(parse("f", "").expect("right"), DailySettings::default());
    }

    #[test]
    fn every_key_changes_the_hash_of_the_settings() {
        let hash = DailySettings::default().hash();
        for (key, other) in [
            ("k = 2.0", "k = 1.5"),
            ("mode = \"window\"", "mode = \"event\""),
            ("q = 0.90", "q = 0.95"),
            ("flow = \"required\"", "flow = \"optional\""),
            ("support = [0.35", "support = [0.45"),
            ("trend_corr = 0.15", "trend_corr = 0"),
            ("boards = [\"main\", ", "boards = ["),
        ] {
            assert!(DEFAULTS.contains(key), "{key}");
            assert_ne!(parse("f", &DEFAULTS.replace(key, other)).expect(other).hash(), hash, "{other}");
        }
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_named() {
        for (text, says) in [
            ("[daily]\nwindow = 1", "daily.window is not known"),
            ("[daily.bollinger]\nwindow = 1", "daily.bollinger.window must be a whole number from 2"),
            ("[daily.big]\nq = 1.0", "daily.big.q must be a number"),
            ("[daily.levels]\nmerge_bp = -1", "daily.levels.merge_bp"),
            ("[daily.level_scores]\nsupport = [1, 2]", "daily.level_scores.support must be 4 numbers"),
            ("[daily.pool]\nmode = \"x\"", "daily.pool.mode must be window or event"),
            ("[daily.quality.weights]\nx = 1", "daily.quality.weights.x is not known"),
            ("[daily]\nboards = [\"nasdaq\"]", "daily.boards"),
            ("daily = 3", "daily must be a table"),
        ] {
            let error = parse("f.toml", text).expect_err(text);
            assert!(error.to_string().contains(says) && error.exit_code() == 2, "{text}: {error}");
        }
    }
}
