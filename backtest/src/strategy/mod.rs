//! Rules: what to do at the close of a bar, from what is known then.

mod bands;
pub mod bollinger;
pub mod bollinger_flow;
pub mod bollinger_micro;
pub mod hold;
pub mod params;
pub mod signals;

use lobstream_market::factor::technical::Bands as Band;
use serde::Serialize;

pub use bollinger::Bollinger;
pub use bollinger_flow::BollingerFlow;
pub use bollinger_micro::BollingerMicro;
pub use signals::Signals;

use crate::dataset::Series;
use crate::engine::{Brackets, Intent, Moment};
use crate::error::Error;
use crate::strategy::params::Param;

/// A rule. One object per symbol, called once per bar in order of time.
///
/// The same object may be fed live: it gets one moment and keeps whatever state it needs itself.
pub trait Strategy {
    /// Decides at a bar's close.
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent;

    /// The bands as of the last bar, for charts; `None` while there are none.
    fn band(&self) -> Option<Band> {
        None
    }
}

/// A built-in strategy with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum StrategyConfig {
    /// Dips below the lower band that the book and its flow are buying.
    BollingerFlow(BollingerFlow),
    /// Candidates of the daily chain, bought at their support: needs daily tables.
    BollingerMicro(BollingerMicro),
    /// The bands alone; the rule that vectorised references know.
    Bollinger(Bollinger),
    /// Follows stored signals.
    Signals(Signals),
    /// Buys at once and keeps.
    Hold,
    /// A rule of one's own, given to `run_with`.
    Own(Own),
}

/// What a run must know of a rule of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Own {
    /// Its name in reports.
    #[serde(rename = "own")]
    pub name: &'static str,
    /// How positions end beside the rule's own exits.
    pub brackets: Brackets,
    /// May it sell what it does not have?
    pub short: bool,
}

impl StrategyConfig {
    /// Names of all strategies.
    pub const NAMES: [&'static str; 5] =
        ["bollinger_micro", "bollinger_flow", "bollinger", "signals", "hold"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            StrategyConfig::BollingerMicro(_) => "bollinger_micro",
            StrategyConfig::BollingerFlow(_) => "bollinger_flow",
            StrategyConfig::Bollinger(_) => "bollinger",
            StrategyConfig::Signals(_) => "signals",
            StrategyConfig::Hold => "hold",
            StrategyConfig::Own(own) => own.name,
        }
    }

    /// A strategy by name, its parameters from text; those not named keep their defaults.
    ///
    /// ```
    /// use lobstream_backtest::StrategyConfig;
    ///
    /// let config = StrategyConfig::parse("bollinger", [("n", "30"), ("sl", "none")])?;
    /// assert_eq!(config.name(), "bollinger");
    /// let error = StrategyConfig::parse("bollinger", [("k", "-1")]).unwrap_err();
    /// assert_eq!(error.to_string(), "parameter k = -1: expected a number from 0.1 to 10");
    /// # Ok::<(), lobstream_backtest::Error>(())
    /// ```
    ///
    /// # Errors
    /// An unknown strategy or parameter, a value of the wrong kind or out of range.
    pub fn parse<'a>(
        name: &str,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<StrategyConfig, Error> {
        let mut config = match name {
            "bollinger_micro" => StrategyConfig::BollingerMicro(BollingerMicro::default()),
            "bollinger_flow" => StrategyConfig::BollingerFlow(BollingerFlow::default()),
            "bollinger" => StrategyConfig::Bollinger(Bollinger::default()),
            "signals" => StrategyConfig::Signals(Signals::default()),
            "hold" => StrategyConfig::Hold,
            _ => {
                let known = StrategyConfig::NAMES.join(", ");
                return Err(Error::UnknownStrategy { name: name.to_owned(), known });
            }
        };
        let strategy = config.name();
        for (name, text) in values {
            params::set(strategy, &mut config.fields(), name, text)?;
        }
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// A parameter out of range.
    pub fn check(&self) -> Result<(), Error> {
        self.clone().fields().iter().try_for_each(Param::check)
    }

    /// Name, value and meaning of each parameter.
    pub fn params(&self) -> Vec<(&'static str, String, &'static str)> {
        self.clone().fields().iter().map(|param| (param.name, param.text(), param.doc)).collect()
    }

    fn fields(&mut self) -> Vec<Param<'_>> {
        match self {
            StrategyConfig::BollingerMicro(params) => params.fields(),
            StrategyConfig::BollingerFlow(params) => params.fields(),
            StrategyConfig::Bollinger(params) => params.fields(),
            StrategyConfig::Signals(params) => params.fields(),
            StrategyConfig::Hold | StrategyConfig::Own(_) => Vec::new(),
        }
    }

    /// Stops of its positions.
    pub fn brackets(&self) -> Brackets {
        match self {
            StrategyConfig::BollingerFlow(p) => Brackets { sl: p.sl, tp: p.tp, max_hold: p.max_hold },
            StrategyConfig::Bollinger(p) => Brackets { sl: p.sl, tp: p.tp, max_hold: p.max_hold },
            StrategyConfig::Signals(p) => Brackets { sl: p.sl, tp: p.tp, max_hold: p.max_hold },
            StrategyConfig::Own(own) => own.brackets,
            StrategyConfig::BollingerMicro(_) | StrategyConfig::Hold => Brackets::default(),
        }
    }

    /// May it sell what it does not have?
    pub fn may_short(&self) -> bool {
        match self {
            StrategyConfig::BollingerFlow(params) => params.short,
            StrategyConfig::Bollinger(params) => params.short,
            StrategyConfig::Signals(params) => params.short,
            StrategyConfig::Own(own) => own.short,
            StrategyConfig::BollingerMicro(_) | StrategyConfig::Hold => false,
        }
    }

    /// Factors that it reads: the trade list shows them at entry and exit.
    pub fn factors(&self) -> &'static [&'static str] {
        match self {
            StrategyConfig::BollingerFlow(_) => &bollinger_flow::FACTORS,
            StrategyConfig::BollingerMicro(_)
            | StrategyConfig::Bollinger(_)
            | StrategyConfig::Signals(_)
            | StrategyConfig::Hold
            | StrategyConfig::Own(_) => &[],
        }
    }

    /// Least values of factors for a long entry, for a chart.
    pub fn thresholds(&self) -> Vec<(&'static str, f64)> {
        match self {
            StrategyConfig::BollingerFlow(params) => params.thresholds(),
            StrategyConfig::BollingerMicro(_)
            | StrategyConfig::Bollinger(_)
            | StrategyConfig::Signals(_)
            | StrategyConfig::Hold
            | StrategyConfig::Own(_) => Vec::new(),
        }
    }

    /// Bars in a row that it needs before it can trade.
    pub fn warm_up(&self) -> usize {
        match self {
            StrategyConfig::BollingerFlow(params) => params.n,
            StrategyConfig::Bollinger(params) => params.n,
            StrategyConfig::BollingerMicro(_)
            | StrategyConfig::Signals(_)
            | StrategyConfig::Hold
            | StrategyConfig::Own(_) => 1,
        }
    }

    /// The bands over all bars of a series, for a chart; empty if the strategy has none.
    pub fn band_lines(&self, series: &Series) -> Vec<Option<Band>> {
        match self {
            StrategyConfig::BollingerFlow(params) => lines(params.rule(), series),
            StrategyConfig::Bollinger(params) => lines(params.rule(), series),
            StrategyConfig::BollingerMicro(_)
            | StrategyConfig::Signals(_)
            | StrategyConfig::Hold
            | StrategyConfig::Own(_) => Vec::new(),
        }
    }
}

fn lines(mut rule: impl Strategy, series: &Series) -> Vec<Option<Band>> {
    (0..series.bars.len())
        .map(|i| {
            rule.on_bar(&Moment::new(series, i));
            rule.band()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_has_the_parameters_it_lists() {
        for name in StrategyConfig::NAMES {
            let config = StrategyConfig::parse(name, []).expect("defaults are in range");
            assert_eq!(config.name(), name);
            let params = config.params();
            let texts: Vec<_> = params.iter().map(|(name, value, _)| (*name, value.as_str())).collect();
            assert_eq!(StrategyConfig::parse(name, texts).expect("own text"), config);
        }
    }

    #[test]
    fn errors_name_what_would_be_right() {
        let error = |name, values: &[(&str, &str)]| {
            StrategyConfig::parse(name, values.iter().copied()).expect_err("refused").to_string()
        };
        assert_eq!(
            error("bolinger", &[]),
            "strategy \"bolinger\" is not known; known: bollinger_micro, bollinger_flow, bollinger, signals, hold"
        );
        assert_eq!(
            error("bollinger", &[("window", "20")]),
            "bollinger has no parameter \"window\"; it has: n, k, sl, tp, max_hold, short"
        );
        assert_eq!(
            error("bollinger", &[("n", "2.5")]),
            "parameter n = 2.5: expected a whole number from 2 to 100000"
        );
        assert_eq!(error("bollinger", &[("short", "yes")]), "parameter short = yes: expected true or false");
        assert_eq!(
            error("bollinger", &[("tp", "2")]),
            "parameter tp = 2: expected a number from 0.00001 to 0.99, or none"
        );
    }
}
