//! The rules of the A-share market on a day: limits, lots, settlement, fees.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::dataset::Date;
use crate::error::Error;
use crate::model::ashare_fee::{AshareFees, Commission, Dated, OrderFees, OrderSide, Schedule, not_covered};
use crate::model::money::{Fen, Rate};
use crate::rules::board::{Board, Exchange};
use crate::rules::limit::{Limits, limits};
use crate::rules::lot::Lot;
use crate::rules::table::{self, Row, wrong};

const BUILT_IN: &str = include_str!("ashare_rules.toml");

/// All rules, each with the days on which it holds.
///
/// ```
/// use lobstream_backtest::rules::{AshareRules, Board};
///
/// let rules = AshareRules::built_in();
/// let day = |text: &str| text.parse().expect("a day");
/// assert_eq!(rules.limit_percent(Board::Chinext, false, day("2020-08-21"))?, 10);
/// assert_eq!(rules.limit_percent(Board::Chinext, false, day("2020-08-24"))?, 20);
/// # Ok::<(), lobstream_backtest::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AshareRules {
    fees: AshareFees,
    limits: Vec<(Board, bool, Schedule<i64>)>,
    limit_free: Vec<(Board, Dated<i64>)>,
    one_tick: Vec<(Exchange, Date)>,
    lots: Vec<(Board, Lot)>,
    settlement: Schedule<i64>,
    /// Days before the first row of a rule follow that row. Default false: they are refused.
    pub extrapolate: bool,
    hash: String,
}

impl AshareRules {
    /// The rules that come with the program.
    pub fn built_in() -> AshareRules {
        AshareRules::parse(BUILT_IN).expect("a test reads the built-in table")
    }

    /// Rules of a file in the form of the built-in one.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is no rule.
    pub fn read(path: &Path) -> Result<AshareRules, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        AshareRules::parse(&text)
    }

    /// Rules from text.
    ///
    /// # Errors
    /// A line that is no rule, a rule without its values, a kind that has no row.
    pub fn parse(text: &str) -> Result<AshareRules, Error> {
        let mut raw = Raw::default();
        for row in table::rows(text)? {
            raw.add(row)?;
        }
        raw.rules(crate::model::hex(&Sha256::digest(text.as_bytes())[..8]))
    }

    /// First 16 hex digits of the SHA-256 of the table's text, and what was changed since.
    pub fn hash(&self) -> String {
        let extrapolate = if self.extrapolate { "+extrapolate" } else { "" };
        format!("{}{extrapolate}", self.hash)
    }

    /// The same rules with a commission of one's own on all days.
    ///
    /// # Errors
    /// A rate above the legal cap of 0.3 %, or a negative amount.
    pub fn with_commission(mut self, rate: f64, min_cny: f64) -> Result<AshareRules, Error> {
        let bad = |name, value: f64, expected: &str| {
            Err(Error::Parameter { name, value: value.to_string(), expected: expected.to_owned() })
        };
        if !(0.0..=0.003).contains(&rate) {
            return bad("commission", rate, "a share from 0 to the legal cap 0.003");
        }
        if !(0.0..=1_000.0).contains(&min_cny) {
            return bad("commission_min", min_cny, "CNY an order from 0 to 1000");
        }
        let value = Commission { rate: Rate((rate * 1e8).round() as i64), min: Fen::of_cny(min_cny) };
        self.fees.commission.rows_mut().iter_mut().for_each(|row| row.value = value);
        self.hash = format!("{}+commission={rate}/{min_cny}", self.hash);
        Ok(self)
    }

    /// The same rules without any fee: for comparisons.
    pub fn without_fees(mut self) -> AshareRules {
        let none = Commission { rate: Rate(0), min: Fen::ZERO };
        self.fees.commission.rows_mut().iter_mut().for_each(|row| row.value = none);
        self.hash.push_str("+free");
        for schedule in [&mut self.fees.stamp, &mut self.fees.transfer] {
            schedule.rows_mut().iter_mut().for_each(|row| row.value = Rate(0));
        }
        self
    }

    /// Fees of an order.
    ///
    /// # Errors
    /// [`Error::RulesNotCovered`].
    pub fn fees(&self, side: OrderSide, amount: Fen, date: Date) -> Result<OrderFees, Error> {
        self.fees.of(side, amount, date, self.extrapolate)
    }

    /// Percent of the daily limit of a board.
    ///
    /// # Errors
    /// [`Error::RulesNotCovered`].
    pub fn limit_percent(&self, board: Board, st: bool, date: Date) -> Result<i64, Error> {
        let schedule = self.limits.iter().find(|(b, s, _)| (*b, *s) == (board, st));
        schedule.ok_or_else(|| not_covered("limit", date, None))?.2.at(date, self.extrapolate)
    }

    /// Limits of a day around the reference price `pre_close`, ticks of 0.01 CNY.
    ///
    /// # Errors
    /// [`Error::RulesNotCovered`].
    pub fn limits(&self, code: &str, st: bool, date: Date, pre_close: i64) -> Result<Limits, Error> {
        let percent = self.limit_percent(Board::of_code(code), st, date)?;
        let exchange = Exchange::of_code(code);
        let one_tick = self.one_tick.iter().any(|(e, from)| *e == exchange && *from <= date);
        Ok(limits(pre_close, percent, one_tick))
    }

    /// First trading days after listing that have no limit, for a stock listed on `listed`.
    pub fn limit_free_days(&self, board: Board, listed: Date) -> i64 {
        let holds = |row: &&(Board, Dated<i64>)| row.0 == board && row.1.from <= listed;
        self.limit_free.iter().rfind(holds).map_or(0, |row| row.1.value)
    }

    /// Trading days between buying and selling.
    ///
    /// # Errors
    /// [`Error::RulesNotCovered`].
    pub fn settlement_days(&self, date: Date) -> Result<i64, Error> {
        self.settlement.at(date, self.extrapolate)
    }

    /// Quantities of orders on a board.
    pub fn lot(&self, board: Board) -> Lot {
        let row = self.lots.iter().find(|(b, _)| *b == board);
        row.expect("reading refuses a table without a lot of each board").1
    }
}

/// Rows as they come.
#[derive(Default)]
struct Raw {
    commission: Vec<Dated<Commission>>,
    stamp: Vec<Dated<Rate>>,
    transfer: Vec<Dated<Rate>>,
    limits: Vec<(Board, bool, Dated<i64>)>,
    limit_free: Vec<(Board, Dated<i64>)>,
    one_tick: Vec<(Exchange, Date)>,
    lots: Vec<(Board, Lot)>,
    settlement: Vec<Dated<i64>>,
}

impl Raw {
    fn add(&mut self, mut row: Row) -> Result<(), Error> {
        let line = row.line;
        match row.kind.as_str() {
            "settlement" => self.settlement.push(dated(&mut row, |row| count(row, "days", 0..=1))?),
            "limit" => {
                let (board, st): (_, Option<bool>) = (row.take("board")?, row.maybe("st")?);
                let limit = dated(&mut row, |row| count(row, "percent", 1..=99))?;
                let both = [false, true].into_iter().filter(|x| st.is_none_or(|st| st == *x));
                self.limits.extend(both.map(|st| (board, st, limit)));
            }
            "limit_free" => {
                let board = row.take("board")?;
                self.limit_free.push((board, dated(&mut row, |row| count(row, "days", 0..=100))?));
            }
            "one_tick" => self.one_tick.push((row.take("exchange")?, row.take("from")?)),
            "stamp" => self.stamp.push(dated(&mut row, |row| row.take::<Share>("rate").map(Share::rate))?),
            "transfer" => {
                self.transfer.push(dated(&mut row, |row| row.take::<Share>("rate").map(Share::rate))?)
            }
            "commission" => self.commission.push(dated(&mut row, |row| {
                let (rate, min) = (row.take::<Share>("rate")?.rate(), row.take::<Amount>("min")?.0);
                Ok(Commission { rate, min })
            })?),
            "lot" => {
                let board = row.take("board")?;
                let first = count(&mut row, "first", 1..=1_000_000)?;
                self.lots.push((board, Lot { first, step: count(&mut row, "step", 1..=1_000_000)? }));
            }
            other => return Err(wrong(line, format!("[[{other}]] is no kind of rule"))),
        }
        row.done()
    }

    fn rules(self, hash: String) -> Result<AshareRules, Error> {
        let mut limit_free = self.limit_free;
        limit_free.sort_by_key(|row| row.1.from);
        for board in Board::ALL {
            if !self.lots.iter().any(|(b, _)| *b == board) {
                return Err(wrong(0, format!("no [[lot]] of board {board}")));
            }
        }
        let limits = Board::ALL.into_iter().flat_map(|board| [(board, false), (board, true)]);
        let of = |board, st| self.limits.iter().filter(move |row| (row.0, row.1) == (board, st));
        let limits = limits
            .map(|(board, st)| (board, st, Schedule::new("limit", of(board, st).map(|row| row.2).collect())));
        Ok(AshareRules {
            fees: AshareFees {
                commission: Schedule::new("commission", self.commission),
                stamp: Schedule::new("stamp", self.stamp),
                transfer: Schedule::new("transfer", self.transfer),
            },
            limits: limits.collect(),
            limit_free,
            one_tick: self.one_tick,
            lots: self.lots,
            settlement: Schedule::new("settlement", self.settlement),
            extrapolate: false,
            hash,
        })
    }
}

fn dated<T>(row: &mut Row, value: impl FnOnce(&mut Row) -> Result<T, Error>) -> Result<Dated<T>, Error> {
    let from = row.take("from")?;
    Ok(Dated { from, value: value(row)? })
}

fn count(row: &mut Row, key: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64, Error> {
    let (line, value) = (row.line, row.take::<i64>(key)?);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(wrong(line, format!("{key} = {value}: expected {} to {}", range.start(), range.end())))
}

/// A decimal share below 1, exact to 10⁻⁸.
struct Share(i64);

impl Share {
    fn rate(self) -> Rate {
        Rate(self.0)
    }
}

impl std::str::FromStr for Share {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Share, &'static str> {
        let units = decimal_units(text, 8).filter(|units| (0..100_000_000).contains(units));
        units.map(Share).ok_or("expected a share from 0 to below 1 with at most 8 places")
    }
}

/// CNY, exact to 0.01.
struct Amount(Fen);

impl std::str::FromStr for Amount {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Amount, &'static str> {
        let units = decimal_units(text, 2).filter(|units| (0..=10_000_000).contains(units));
        units.map(|units| Amount(Fen(units))).ok_or("expected CNY from 0 with at most 2 places")
    }
}

/// Decimal text in units of 10^−places; `None` if it has more places or is no number.
fn decimal_units(text: &str, places: u32) -> Option<i64> {
    let decimal = lobstream_market::price::Decimal::parse(text).ok()?;
    let shift = places.checked_sub(u32::from(decimal.decimals))?;
    decimal.mantissa.checked_mul(10i64.checked_pow(shift)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn a_day_before_the_first_row_is_refused_unless_extrapolated() {
        let mut rules = AshareRules::built_in();
        let early = rules.fees(OrderSide::Buy, Fen(1_000_000), day("2015-07-31"));
        let error = early.expect_err("no transfer fee is known");
        assert!(
            error.to_string().contains("transfer") && error.to_string().contains("2015-08-01"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 4);
        rules.extrapolate = true;
        assert!(rules.fees(OrderSide::Buy, Fen(1_000_000), day("2015-07-31")).is_ok());
    }

    #[test]
    fn days_without_a_limit_follow_the_day_of_listing() {
        let rules = AshareRules::built_in();
        assert_eq!(rules.limit_free_days(Board::Star, day("2020-01-02")), 5);
        assert_eq!(rules.limit_free_days(Board::Chinext, day("2020-08-21")), 0);
        assert_eq!(rules.limit_free_days(Board::Main, day("2023-04-10")), 5);
        assert_eq!(rules.limit_free_days(Board::Bse, day("2022-01-04")), 1);
    }

    #[test]
    fn a_typing_error_is_refused_with_its_line() {
        let cases = [
            ("[[limit]]\nboard = \"main\"\nfrom = \"1996-13-16\"\npercent = 10", "line 3"),
            ("[[limit]]\nboard = \"main\"\nfrom = \"1996-12-16\"\npercent = 110", "line 1"),
            ("[[limits]]\nboard = \"main\"", "line 1: [[limits]] is no kind"),
            ("[[stamp]]\nfrom = \"2008-09-19\"\nrate = \"0.1 %\"", "line 3"),
            (
                "[[stamp]]\nfrom = \"2008-09-19\"\nrate = \"0.001\"\nrate = \"0.002\"",
                "line 4: rate is given twice",
            ),
            ("[[stamp]]\nfrom = \"2008-09-19\"", "line 1: [[stamp]] needs rate"),
            ("[[one_tick]]\nexchange = \"SZ\"\nfrom = \"2011-02-28\"\nsince = 3", "does not know \"since\""),
            ("percent = 10", "line 1: expected a header"),
            ("[[lot]]\nboard = \"main\"\nfirst = 100\nstep = 100", "no [[lot]] of board chinext"),
        ];
        for (text, expected) in cases {
            let error = AshareRules::parse(text).expect_err("refused");
            assert!(error.to_string().contains(expected), "{error} should contain {expected}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn commission_of_ones_own_is_bounded_by_law() {
        let rules = AshareRules::built_in().with_commission(0.0003, 0.0).expect("legal");
        let fees = rules.fees(OrderSide::Buy, Fen(100_000), day("2025-06-03")).expect("covered");
        assert_eq!((fees.commission, fees.stamp, fees.transfer), (Fen(30), Fen(0), Fen(1)));
        assert!(AshareRules::built_in().with_commission(0.004, 5.0).is_err());
    }
}
