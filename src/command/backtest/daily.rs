//! What `backtest --daily` runs on: stored tables, the rules of the market, the settings of the account.

use std::path::Path;

use lobstream_backtest::dataset::{DailyData, Date, TICK_E4};
use lobstream_backtest::engine::daily::{PortfolioConfig, Sizing};
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::{RunConfig, StrategyConfig};

use crate::cli;
use crate::config::flags;
use crate::error::Error;
use crate::feed::daily_tables::{self, Period};

/// Everything that decides a run over daily tables.
pub(super) struct DailyRun {
    pub(super) data: DailyData,
    pub(super) rules: AshareRules,
    pub(super) config: RunConfig,
}

impl DailyRun {
    /// Reads settings first, then tables, so that a wrong flag is told at once.
    pub(super) fn load(
        args: &cli::Backtest,
        dir: &Path,
        base: RunConfig,
        symbols: Vec<String>,
    ) -> Result<DailyRun, Error> {
        let rules = match &args.rules {
            Some(path) => AshareRules::read(path)
                .map_err(|e| Error::usage(format!("--rules {}: {e}", path.display())))?,
            None => AshareRules::built_in(),
        };
        let (config, rules) =
            settings(base, args.strategy.as_deref(), &flags::pairs("--set", &args.set)?, rules)?;
        let period = Period {
            first: day("--first", args.first.as_deref())?,
            last: day("--last", args.last.as_deref())?,
            symbols,
        };
        Ok(DailyRun { data: daily_tables::read(dir, &period)?, rules, config })
    }
}

fn day(flag: &str, text: Option<&str>) -> Result<Option<Date>, Error> {
    let parse = |text: &str| text.parse().map_err(|e| Error::usage(format!("{flag}: {e}")));
    text.map(parse).transpose()
}

/// Parameters of run and account are named here; all others are the strategy's.
///
/// What a file says of `bollinger_micro` stays unless a flag says otherwise.
fn settings(
    base: RunConfig,
    strategy: Option<&str>,
    pairs: &[(&str, &str)],
    mut rules: AshareRules,
) -> Result<(RunConfig, AshareRules), Error> {
    let mut run = RunConfig { conventions: Conventions::ASHARE, ..base };
    let (mut account, mut rest) = (PortfolioConfig::default(), Vec::new());
    let (mut rate, mut min) = (None, None);
    for &(name, value) in pairs {
        let wrong = |what: &str| Error::usage(format!("--set {name}={value}: {what}"));
        let number = || value.parse::<f64>().map_err(|_| wrong("write a number"));
        let whole = || value.parse::<i64>().map_err(|_| wrong("write a whole number"));
        let flag = || value.parse::<bool>().map_err(|_| wrong("write true or false"));
        match name {
            "cash" => run.cash = number()?,
            "max_positions" => {
                account.max_positions = usize::try_from(whole()?).map_err(|_| wrong("write 1 or more"))?;
            }
            "sizing" => account.sizing = sizing(value).ok_or_else(|| wrong(SIZINGS))?,
            "volume_cap" if value == "none" => account.volume_cap = None,
            "volume_cap" => account.volume_cap = Some(number()?),
            "slippage_ticks" => account.slippage_ticks = whole()?,
            "commission" => rate = Some(number()?),
            "commission_min" => min = Some(number()?),
            "actions" => account.apply_actions = flag()?,
            "extrapolate" => rules.extrapolate = flag()?,
            _ => rest.push((name, value)),
        }
    }
    if rate.is_some() || min.is_some() {
        rules = rules.with_commission(rate.unwrap_or(0.000_25), min.unwrap_or(5.0))?;
    }
    let name = strategy.unwrap_or("bollinger_micro");
    let said = run.strategy.params();
    let kept = said.iter().filter(|_| run.strategy.name() == name);
    let kept = kept.map(|(name, value, _)| (*name, value.as_str()));
    run.strategy = StrategyConfig::parse(name, kept.chain(rest))?;
    let n = u32::try_from(account.slippage_ticks).unwrap_or(u32::MAX);
    run.slippage = Slippage::Ticks { n, tick: TICK_E4 as f64 / 1e4 };
    run.portfolio = Some(account);
    Ok((run, rules))
}

const SIZINGS: &str = "write slot, cash:CNY, qty:SHARES or risk:SHARE";

fn sizing(text: &str) -> Option<Sizing> {
    match text.split_once(':') {
        None => (text == "slot").then_some(Sizing::Slot),
        Some(("cash", value)) => value.parse().ok().map(Sizing::FixedCash),
        Some(("qty", value)) => value.parse().ok().map(Sizing::FixedQty),
        Some(("risk", value)) => value.parse().ok().map(Sizing::Risk),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Result<(RunConfig, AshareRules), Error> {
        settings(RunConfig::default(), None, pairs, AshareRules::built_in())
    }

    #[test]
    fn settings_of_run_account_and_strategy_are_told_apart() {
        let pairs = [
            ("cash", "5e5"),
            ("max_positions", "4"),
            ("sizing", "risk:0.01"),
            ("stop_bp", "300"),
            ("commission", "0.0002"),
        ];
        let (run, rules) = set(&pairs).expect("settings");
        let account = run.portfolio.expect("an account");
        assert_eq!((run.cash, account.max_positions, account.sizing), (5e5, 4, Sizing::Risk(0.01)));
        assert!(run.strategy.params().iter().any(|p| (p.0, p.1.as_str()) == ("stop_bp", "300")));
        assert_ne!(rules.hash(), AshareRules::built_in().hash());
    }

    #[test]
    fn wrong_settings_say_what_would_be_right() {
        for (name, value, expected) in [
            ("sizing", "half", "slot, cash:CNY"),
            ("commission", "0.01", "0.003"),
            ("break_bp", "300", "100 to 200"),
            ("fill", "close", "no parameter \"fill\""),
        ] {
            let error = set(&[(name, value)]).expect_err(name);
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
