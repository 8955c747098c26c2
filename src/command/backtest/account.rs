//! What an account of A shares is told, over daily tables and over bars alike.

use lobstream_backtest::RunConfig;
use lobstream_backtest::dataset::TICK_E4;
use lobstream_backtest::metrics::Conventions;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::rules::AshareRules;

use crate::cli;
use crate::config::run_file::{RunFile, SIZINGS, sizing};
use crate::error::Error;

/// Parameters of run and account.
const NAMES: [&str; 10] = [
    "cash",
    "slippage_bp",
    "max_positions",
    "sizing",
    "volume_cap",
    "slippage_ticks",
    "commission",
    "commission_min",
    "actions",
    "extrapolate",
];

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Those of run and account, and all others.
pub(super) fn split<'a>(pairs: &[(&'a str, &'a str)]) -> (Pairs<'a>, Pairs<'a>) {
    pairs.iter().partition(|(name, _)| NAMES.contains(name))
}

/// The dated rules that a flag names, or the built-in ones.
pub(super) fn rules(args: &cli::Backtest) -> Result<AshareRules, Error> {
    match &args.rules {
        Some(path) => {
            AshareRules::read(path).map_err(|e| Error::usage(format!("--rules {}: {e}", path.display())))
        }
        None => Ok(AshareRules::built_in()),
    }
}

/// Bars of one's own under the rules of the market.
pub(super) fn on_bars(
    config: &mut RunConfig,
    args: &cli::Backtest,
    file: Option<&RunFile>,
    pairs: &[(&str, &str)],
) -> Result<(), Error> {
    let (mut run, rules) = settings(config.clone(), file, pairs, rules(args)?)?;
    run.t1 = true;
    run.rules = Some(rules.hash());
    run.ashare = Some(rules);
    *config = run;
    Ok(())
}

/// What the file says, then what flags say.
pub(super) fn settings(
    base: RunConfig,
    file: Option<&RunFile>,
    pairs: &[(&str, &str)],
    mut rules: AshareRules,
) -> Result<(RunConfig, AshareRules), Error> {
    let conventions = conventions(Conventions::ASHARE, &base, file);
    let mut run = RunConfig { conventions, ..base };
    let mut account = run.portfolio.unwrap_or_default();
    let mut slippage = file.and_then(|file| file.slippage).unwrap_or(ticks(1));
    let (mut rate, mut min) = file.map_or((None, None), |file| file.commission);
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
            "slippage_ticks" => {
                slippage = ticks(u32::try_from(whole()?).map_err(|_| wrong("write 0 or more"))?);
            }
            "slippage_bp" => slippage = Slippage::Bp(number()?),
            "commission" => rate = Some(number()?),
            "commission_min" => min = Some(number()?),
            "actions" => account.apply_actions = flag()?,
            "extrapolate" => rules.extrapolate = flag()?,
            _ => return Err(wrong("is no setting of the account")),
        }
    }
    if rate.is_some() || min.is_some() {
        rules = rules.with_commission(rate.unwrap_or(0.000_25), min.unwrap_or(5.0))?;
    }
    account.slippage_ticks = match slippage {
        Slippage::Ticks { n, .. } => i64::from(n),
        Slippage::None | Slippage::Bp(_) | Slippage::HalfSpread => 0,
    };
    run.slippage = if slippage == Slippage::None { ticks(0) } else { slippage };
    run.portfolio = Some(account);
    Ok((run, rules))
}

fn ticks(n: u32) -> Slippage {
    Slippage::Ticks { n, tick: TICK_E4 as f64 / 1e4 }
}

/// Those of a market, with what the file says of them.
pub(super) fn conventions(market: Conventions, base: &RunConfig, file: Option<&RunFile>) -> Conventions {
    let Conventions { rf, mar, .. } = base.conventions;
    Conventions { rf, mar, ppy: file.and_then(|file| file.ppy).unwrap_or(market.ppy), ..market }
}
