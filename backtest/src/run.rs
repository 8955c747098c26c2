//! One run: a strategy over a dataset, from configuration to measured result.

mod daily;

use std::sync::Arc;

use lobstream_market::instrument::Venue;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use daily::{run_daily, run_daily_with};

use crate::dataset::{Basis, Dataset, Series};
use crate::engine::ashare::{AshareAccount, TICK, day_limits};
use crate::engine::daily::{LateRead, PortfolioConfig};
use crate::engine::{
    self, Counts, EquityPoint, Fill, HashTrade, Intent, Moment, Outcome, Rejection, Rules, Trade, drive,
    drive_within, run_hash,
};
use crate::error::Error;
use crate::metrics::benchmark::hold;
use crate::metrics::{Benchmark, Conventions, Metrics, measure};
use crate::model::fee::Fees;
use crate::model::slippage::Slippage;
use crate::portfolio::{CashAccount, UnitAccount};
use crate::rules::AshareRules;
use crate::strategy::hold::Hold;
use crate::strategy::{Strategy, StrategyConfig};

/// How money is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accounting {
    /// Cash and quantities, exact to 10⁻⁸.
    #[default]
    Cash,
    /// Each symbol all in with its equal share, as fractions. Equal to vectorised references.
    Unit,
}

/// Everything that decides the result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunConfig {
    /// Which rule.
    pub strategy: StrategyConfig,
    /// Where decisions fill. Default at the next open.
    pub fill: Fill,
    /// Let the seconds inside a longer bar decide between stop and target. Default true.
    pub detail: bool,
    /// Start capital, quote currency. Default 1 000 000.
    pub cash: f64,
    /// Share of the equity that an entry takes. Default `None`: one by the number of symbols.
    pub fraction: Option<f64>,
    /// How money is counted. Default cash.
    pub accounting: Accounting,
    /// Fees. Default `None`: the base tier of each venue.
    pub fees: Option<Fees>,
    /// Slippage. Default 1 basis point.
    pub slippage: Slippage,
    /// What a year and a day are, for ratios. Default 365 days of UTC.
    pub conventions: Conventions,
    /// What the run is compared with. Default nothing.
    pub benchmark: Benchmark,
    /// Rules of A shares that runs over bars follow: limits, lots, dated fees. Default `None`: no limits, any
    /// quantity, and `fees`.
    #[serde(skip)]
    pub ashare: Option<AshareRules>,
    /// What is bought on a day of Shanghai is sold on a later one; then nothing is sold short. Default false.
    #[serde(skip_serializing_if = "is_false")]
    pub t1: bool,
    /// Of runs over bars: nothing is decided on bars that begin before this instant, ms, nor counted; they warm the
    /// rule up. Default `None`: all bars count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Of runs over daily tables: what the account does. Default `None`: its own defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portfolio: Option<PortfolioConfig>,
    /// Hash of the market rules, set by a run that has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}

/// Accounts in CNY are exact to 0.01, so what they begin with must be.
fn whole_fen(cash: f64) -> Result<(), Error> {
    if (cash * 100.0).round() / 100.0 == cash {
        return Ok(());
    }
    let expected = "CNY with at most two decimals".to_owned();
    Err(Error::Parameter { name: "cash", value: cash.to_string(), expected })
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            strategy: StrategyConfig::BollingerFlow(Default::default()),
            fill: Fill::NextOpen,
            detail: true,
            cash: 1_000_000.0,
            fraction: None,
            accounting: Accounting::Cash,
            fees: None,
            slippage: Slippage::Bp(1.0),
            conventions: Conventions::default(),
            benchmark: Benchmark::None,
            ashare: None,
            t1: false,
            from_ms: None,
            portfolio: None,
            rules: None,
        }
    }
}

impl RunConfig {
    /// First 16 hex digits of the SHA-256 of this configuration as JSON.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(self).expect("numbers are finite once checked, keys are text");
        crate::model::hex(&Sha256::digest(text.as_bytes())[..8])
    }

    /// Fees on a venue.
    pub fn fees_on(&self, venue: &str) -> Fees {
        self.fees.unwrap_or_else(|| Fees::of_venue(venue))
    }

    /// Share of the equity that an entry takes, of `n` symbols.
    pub fn fraction_of(&self, n: usize) -> f64 {
        self.fraction.unwrap_or(1.0 / n.max(1) as f64)
    }

    /// Is something decided on a bar that begins then?
    fn counts(&self, begin_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| begin_ms >= from_ms)
    }

    fn rules(&self) -> Rules {
        let (fill, brackets) = (self.fill, self.strategy.brackets());
        let market = self.ashare.as_ref().map(|_| self.portfolio.unwrap_or_default());
        Rules {
            fill,
            brackets,
            slippage: self.slippage,
            detail: self.detail,
            t1: self.t1,
            tick: market.map(|_| TICK),
            volume_cap: market.and_then(|account| account.volume_cap),
        }
    }

    pub(crate) fn check(&self, series: &[Arc<Series>]) -> Result<(), Error> {
        let bad = |name, value: f64, expected: &str| {
            Err(Error::Parameter { name, value: value.to_string(), expected: expected.to_owned() })
        };
        self.strategy.check()?;
        self.rules().check()?;
        self.fees.map_or(Ok(()), |fees| fees.check())?;
        if !(self.cash > 0.0 && self.cash <= 1e12) {
            return bad("cash", self.cash, "an amount above 0 and at most 1e12");
        }
        if let Some(fraction) = self.fraction.filter(|x| !(*x > 0.0 && *x <= 1.0)) {
            return bad("fraction", fraction, "a share above 0 and at most 1");
        }
        if self.ashare.is_some() {
            self.check_ashare()?;
        }
        if self.slippage == Slippage::HalfSpread && series.iter().any(|s| s.basis == Basis::Traded) {
            let (name, value) = ("slippage.model", "half_spread".to_owned());
            let expected = "none, bp or ticks: bars of traded prices tell no spread".to_owned();
            return Err(Error::Parameter { name, value, expected });
        }
        self.conventions.check()?;
        self.check_short(series)
    }

    /// An account of A shares has slots and dated fees, and counts in fen.
    fn check_ashare(&self) -> Result<(), Error> {
        let unheard = |name, value: String, expected: &str| {
            Err(Error::Parameter { name, value, expected: expected.to_owned() })
        };
        if self.accounting == Accounting::Unit {
            let expected = "an account in CNY: units know no lots, limits or dated fees";
            return unheard("accounting", "unit".to_owned(), expected);
        }
        if let Some(fraction) = self.fraction {
            return unheard(
                "fraction",
                fraction.to_string(),
                "none on A shares, but max_positions and sizing",
            );
        }
        if let Some(fees) = self.fees {
            return unheard(
                "fees.taker_bp",
                fees.taker_bp.to_string(),
                "none on A shares, whose fees are dated",
            );
        }
        whole_fen(self.cash)
    }

    fn check_short(&self, series: &[Arc<Series>]) -> Result<(), Error> {
        let spot = |s: &&Arc<Series>| self.t1 || s.venue.parse() == Ok(Venue::BinanceSpot);
        match series.iter().find(spot) {
            Some(series) if self.strategy.may_short() => {
                Err(Error::ShortOnSpot { venue: series.venue.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What a run was and what came of it.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// What decided it.
    pub config: RunConfig,
    /// What it ran on.
    pub series: Vec<Arc<Series>>,
    /// Length of a bar, ms.
    pub step_ms: i64,
    /// By exit time, then series, then entry time.
    pub trades: Vec<Trade>,
    /// Orders that were not filled.
    pub rejections: Vec<Rejection>,
    /// One point per bar time.
    pub equity: Vec<EquityPoint>,
    /// What it is compared with, at the same times; `None` without a benchmark.
    pub benchmark: Option<Vec<EquityPoint>>,
    /// Counted.
    pub counts: Counts,
    /// Counted beside them, by name: what could not be judged, what was refused or cut.
    pub tally: Vec<(&'static str, usize)>,
    /// Rows that were read before they were known.
    pub late_reads: Vec<LateRead>,
    /// Measured.
    pub metrics: Metrics,
    /// Equal for two runs if and only if trades and equity are.
    pub hash: String,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
}

impl RunResult {
    /// First and last instant of all series that count; `None` if there is nothing.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let spans = self.series.iter().filter_map(|series| series.span_ms());
        let (from, to) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some((self.config.from_ms.map_or(from, |counted| from.max(counted)), to))
    }
}

/// Runs a strategy over a dataset. No trades is a valid result.
///
/// # Errors
/// A parameter out of range, shorts on a spot venue, a short beyond its collateral, a strategy that needs data of
/// another kind.
pub fn run(data: &Dataset, config: &RunConfig) -> Result<RunResult, Error> {
    let wrong = |needs| Err(Error::WrongData { strategy: config.strategy.name(), needs });
    match &config.strategy {
        StrategyConfig::BollingerMicro(_) => wrong("daily tables: --daily DIR"),
        StrategyConfig::Own(_) => wrong("its own rule: call run_with"),
        StrategyConfig::BollingerFlow(params) => run_with(data, config, |_| params.rule()),
        StrategyConfig::Bollinger(params) => run_with(data, config, |_| params.rule()),
        StrategyConfig::Signals(params) => run_with(data, config, |_| params.rule()),
        StrategyConfig::Hold => run_with(data, config, |_| Hold),
    }
}

/// Runs a rule of one's own, one object per series; `config.strategy` names it and says how positions end.
///
/// ```
/// use lobstream_backtest::engine::{Brackets, Intent, Moment};
/// use lobstream_backtest::model::Side;
/// use lobstream_backtest::run::run_with;
/// use lobstream_backtest::strategy::{Own, Strategy};
/// use lobstream_backtest::{Dataset, RunConfig, Series, StrategyConfig};
///
/// /// Buys after two rising closes, sells after a falling one.
/// #[derive(Default)]
/// struct Momentum {
///     last: [f64; 2],
/// }
///
/// impl Strategy for Momentum {
///     fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
///         let [before, last] = self.last;
///         self.last = [last, now.close()];
///         let rises = before > 0.0 && before < last && last < now.close();
///         Intent { enter: rises.then_some(Side::Long), exit_long: now.close() < last, exit_short: false }
///     }
/// }
///
/// let bars = [[10.0; 4], [11.0; 4], [12.0; 4], [12.5; 4], [12.0; 4], [11.5; 4]];
/// let data = Dataset::from_series(vec![Series::from_ohlc("mine", "X", 60_000, 0, &bars)?])?;
/// let own = Own { name: "momentum", brackets: Brackets { sl: Some(0.2), ..Brackets::default() }, short: false };
/// let config = RunConfig { strategy: StrategyConfig::Own(own), ..RunConfig::default() };
/// let result = run_with(&data, &config, |_series| Momentum::default())?;
/// assert_eq!((result.trades[0].i0, result.trades[0].i1), (3, 5));
/// # Ok::<(), lobstream_backtest::Error>(())
/// ```
///
/// # Errors
/// As of [`run`].
pub fn run_with<S: Strategy>(
    data: &Dataset,
    config: &RunConfig,
    rule: impl Fn(&Series) -> S,
) -> Result<RunResult, Error> {
    let series = data.series();
    config.check(series)?;
    let fees: Vec<Fees> = series.iter().map(|series| config.fees_on(&series.venue)).collect();
    let mut rules: Vec<S> = series.iter().map(|series| rule(series)).collect();
    let decide = |k: usize, now: &Moment<'_>| {
        let intent = rules[k].on_bar(now);
        if config.counts(now.begin_ms()) { intent } else { Intent::default() }
    };
    let mut outcome = match (config.accounting, &config.ashare) {
        (Accounting::Cash, Some(market)) => {
            let limits =
                series.iter().map(|series| day_limits(series, market)).collect::<Result<Vec<_>, _>>()?;
            let codes: Vec<&str> = series.iter().map(|series| series.symbol.as_str()).collect();
            let (account, sl) = (config.portfolio.unwrap_or_default(), config.strategy.brackets().sl);
            engine::daily::check(&account)?;
            let mut account = AshareAccount::new(config.cash, market.clone(), account, sl, &codes);
            drive_within(series, &limits, &config.rules(), &mut account, decide)?
        }
        (Accounting::Cash, None) => {
            let mut account = CashAccount::new(config.cash, config.fraction_of(series.len()), &fees);
            drive(series, &config.rules(), &mut account, decide)?
        }
        (Accounting::Unit, _) => {
            drive(series, &config.rules(), &mut UnitAccount::shared(config.cash, &fees), decide)?
        }
    };
    if let Some(from_ms) = config.from_ms {
        outcome.equity.retain(|point| point.ts_ms > from_ms);
        outcome.counts.bars =
            series.iter().map(|s| s.bars.ts_ms.iter().filter(|ms| **ms >= from_ms).count()).sum();
    }
    balance(&outcome, config.cash)?;
    let benchmark = match config.benchmark {
        Benchmark::None => None,
        Benchmark::Hold => Some(hold(series, config.from_ms, config.cash, &outcome.equity)),
    };
    Ok(RunResult {
        config: config.clone(),
        series: series.to_vec(),
        step_ms: data.step_ms(),
        metrics: measure(&outcome, config.cash, &config.conventions, benchmark.as_deref()),
        benchmark,
        hash: hash(&outcome, series),
        warnings: warnings(series, config, &outcome.trades),
        trades: outcome.trades,
        rejections: outcome.rejections,
        equity: outcome.equity,
        counts: outcome.counts,
        tally: Vec::new(),
        late_reads: Vec::new(),
    })
}

/// Numbers are numbers, and Σ P&L, open positions included, is what the equity gained.
fn balance(outcome: &Outcome, start: f64) -> Result<(), Error> {
    finite(outcome)?;
    let earned: f64 = outcome.trades.iter().map(|trade| trade.pnl).sum();
    let gained = outcome.equity.last().map_or(0.0, |point| point.equity - start);
    if (earned - gained).abs() <= 1e-9 * start.max(1.0) {
        return Ok(());
    }
    Err(Error::Invariant { what: format!("trades earned {earned}, equity gained {gained}") })
}

/// Nothing that was computed is infinite or no number.
fn finite(outcome: &Outcome) -> Result<(), Error> {
    let point = outcome.equity.iter().find(|point| !point.equity.is_finite());
    let trade =
        outcome.trades.iter().find(|t| ![t.entry, t.exit, t.pnl, t.fees].iter().all(|x| x.is_finite()));
    let what = match (point, trade) {
        (Some(point), _) => format!("equity at {} ms is {}", point.ts_ms, point.equity),
        (None, Some(trade)) => format!("a trade entered at {} ms has no number: {trade:?}", trade.entry_ms),
        (None, None) => return Ok(()),
    };
    Err(Error::Invariant { what })
}

fn hash(outcome: &Outcome, series: &[Arc<Series>]) -> String {
    let units = |value: f64| (value * 1e8).round() as i64;
    let lines: Vec<HashTrade<'_>> = outcome
        .trades
        .iter()
        .map(|trade| HashTrade {
            symbol: &series[trade.series].symbol,
            entry_ns: trade.entry_ms * 1_000_000,
            exit_ns: trade.exit_ms * 1_000_000,
            qty: units(trade.qty),
            entry_ticks: units(trade.entry),
            exit_ticks: units(trade.exit),
            pnl: trade.pnl,
            reason: trade.reason.as_str(),
        })
        .collect();
    run_hash(&lines, &outcome.equity)
}

fn warnings(series: &[Arc<Series>], config: &RunConfig, trades: &[Trade]) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(rules) = &config.ashare {
        let told = |s: &&Arc<Series>| s.bars.pre_close.iter().flatten().count() == s.bars.len();
        warnings.push(if series.iter().filter(told).count() == series.len() {
            "limits come from pre_close of the files; nothing is booked on ex-dates, and days without limits after a \
             listing are not known"
                .to_owned()
        } else {
            "limits_approx: limits come from the close before where the files have no pre_close, so they are off on \
             ex-dates and after a listing; nothing is booked on ex-dates"
                .to_owned()
        });
        let capped = config.portfolio.unwrap_or_default().volume_cap.is_some();
        let blind = series.iter().filter(|series| series.bars.volume.iter().all(Option::is_none)).count();
        if capped && blind > 0 {
            warnings.push(format!("{blind} symbols have no volumes: their orders are not capped by volume"));
        }
        let is_adjusted = |series: &Series| (0..series.bars.len()).any(|i| series.is_between_ticks(i));
        let adjusted = series.iter().filter(|series| is_adjusted(series)).count();
        if adjusted > 0 {
            warnings.push(format!(
                "{adjusted} symbols have prices between ticks of 0.01, so they are adjusted ones: after the first of them limits are a tick narrower"
            ));
        }
        warnings.extend(extrapolated(rules));
    }
    for (k, series) in series.iter().enumerate() {
        let (symbol, venue) = (&series.symbol, &series.venue);
        if series.bars.is_empty() {
            warnings.push(format!("{symbol}: no row has a valid book, so there is no bar to trade on"));
        }
        let idle = !series.bars.is_empty() && trades.iter().all(|trade| trade.series != k);
        if idle && let Some(most) = too_few(series, config) {
            let n = config.strategy.warm_up();
            warnings.push(format!(
                "{symbol}: no trade is possible: the bands need {n} bars without a long hole, the data has {most}; \
                 give it more data, a shorter --bar or a smaller --set n"
            ));
        }
        if series.ohlc_repaired > 0 {
            let n = series.ohlc_repaired;
            warnings
                .push(format!("{symbol}: {n} bars did not hold their own open or close and were widened"));
        }
        if config.fees.is_none()
            && config.ashare.is_none()
            && !matches!(venue.parse(), Ok(Venue::BinanceSpot | Venue::BinanceUsdm))
        {
            warnings.push(format!("{venue}: its fee tier is not in the table; set fees"));
        }
        if venue.parse() == Ok(Venue::BinanceCoinm) {
            warnings.push(format!("{symbol}: an inverse contract, counted here as linear in quote currency"));
        }
    }
    warnings
}

/// What a reader is told of rules that hold for earlier days than they say.
fn extrapolated(rules: &AshareRules) -> Option<String> {
    let text = "days before the first row of a rule follow that row (extrapolate)";
    rules.extrapolate.then(|| text.to_owned())
}

/// The most bars in a row, if they never were enough for bands; a hole as long as the window ends a row.
fn too_few(series: &Series, config: &RunConfig) -> Option<usize> {
    let lines = config.strategy.band_lines(series);
    if lines.is_empty() || lines.iter().any(Option::is_some) {
        return None;
    }
    let window_ms =
        series.step_ms.saturating_mul(i64::try_from(config.strategy.warm_up()).unwrap_or(i64::MAX));
    let (mut most, mut row) = (0, 0);
    for i in 0..series.bars.len() {
        let torn = i > 0 && series.known_ms(i) - series.known_ms(i - 1) > window_ms;
        row = if torn { 1 } else { row + 1 };
        most = most.max(row);
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_no_number_is_a_bug() {
        let outcome = |equity| Outcome {
            trades: Vec::new(),
            rejections: Vec::new(),
            // The sum of the trades is that of the last point alone, and would not see the one before.
            equity: [equity, 1.0].map(|equity| EquityPoint { ts_ms: 1, equity }).into(),
            counts: Counts::default(),
        };
        for bad in [f64::NAN, f64::INFINITY] {
            let error = balance(&outcome(bad), 1.0).expect_err("refused");
            assert_eq!(error.exit_code(), 7, "{error}");
        }
        assert!(balance(&outcome(1.0), 1.0).is_ok());
    }
}
