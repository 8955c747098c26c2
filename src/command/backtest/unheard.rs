//! Settings that a run cannot follow: each is refused by its name, none is dropped in silence.

use crate::cli;
use crate::config::run_file::RunFile;
use crate::error::Error;

/// What a run trades on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// Stored daily tables, by the rules of A shares.
    Daily,
    /// Bars of the user's own, by the same rules.
    AshareBars,
    /// Rows or bars without rules but fees.
    Plain,
}

/// Refuses the first setting of file or flags that says nothing to such a run.
pub(super) fn refuse(on: On, file: Option<&RunFile>, pairs: &[(&str, &str)]) -> Result<(), Error> {
    for (key, place) in file.iter().flat_map(|file| &file.said) {
        if let Some(why) = why_not(on, key) {
            return Err(Error::usage(format!("{place}: {why}")));
        }
    }
    for (key, value) in pairs {
        if let Some(why) = why_not(on, key) {
            return Err(Error::usage(format!("--set {key}={value}: {why}")));
        }
    }
    Ok(())
}

/// Why a key says nothing here; `None` if it does, or is no key of a run.
fn why_not(on: On, key: &str) -> Option<&'static str> {
    match (on, key) {
        (On::Daily | On::AshareBars, "fraction") => {
            Some("says nothing here: an account of A shares takes max_positions and sizing")
        }
        (On::Daily | On::AshareBars, "maker_bp" | "taker_bp" | "fee_bp") => {
            Some("says nothing here: fees of A shares are dated; set commission and commission_min")
        }
        (On::Daily | On::AshareBars, "accounting") => {
            Some("units know no lots, limits or dated fees: write cash, or leave it out")
        }
        (On::Daily, "fill") => Some("candidates of daily tables say themselves when they fill: leave it out"),
        (On::Daily, "model" | "slippage_bp") => {
            Some("fills on daily tables are worse by whole ticks: write ticks or none, or set slippage_ticks")
        }
        (On::AshareBars, "actions") => {
            Some("bars tell no ex-dates, so nothing can be booked on them: trade daily tables with --daily")
        }
        (On::Plain, "commission" | "commission_min") => {
            Some("is of A shares; elsewhere set maker_bp and taker_bp, or --set fee_bp")
        }
        (On::Plain, "max_positions" | "sizing" | "volume_cap") => {
            Some("is for A shares; elsewhere fraction says how much an entry takes")
        }
        (On::Plain, "slippage_ticks") => Some("is for A shares; elsewhere set slippage_bp"),
        (On::Plain, "actions" | "extrapolate") => Some("is for A shares"),
        _ => None,
    }
}

/// Refuses flags and keys of rows and bars, which say nothing to a run over daily tables.
pub(super) fn refuse_flags_of_bars(args: &cli::Backtest, file: Option<&RunFile>) -> Result<(), Error> {
    let crypto = match args.market {
        Some(market) => market == cli::Market::Crypto,
        None => file.is_some_and(|file| file.ashare == Some(false)),
    };
    if crypto {
        return Err(Error::usage("daily tables are of A shares: leave market = crypto out"));
    }
    let flags = [
        ("--bar", args.bar.is_some()),
        ("--signals", args.signals.is_some()),
        ("--venue", args.venue.is_some()),
        ("[data] results of the run file", file.is_some_and(|file| file.from.is_some())),
        ("[data] bars of the run file", file.is_some_and(|file| !file.bars.is_empty())),
        ("[data] step of the run file", file.is_some_and(|file| file.step.is_some())),
    ];
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Error::usage(format!("{flag} is for rows and bars, not for --daily"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use lobstream_backtest::RunConfig;

    use super::*;
    use crate::config::sheet::Sheet;

    #[test]
    fn what_says_nothing_is_refused_by_name() {
        let file = |text: &str| {
            let sheet = Sheet::parse("run.toml", text).expect("TOML");
            RunFile::read(&sheet, RunConfig::default()).expect("a run")
        };
        let cases = [
            (
                On::AshareBars,
                "[backtest.portfolio]\nfraction = 0.5\n",
                "run.toml:2: [backtest.portfolio] fraction",
            ),
            (
                On::Daily,
                "[backtest.fees]\nmaker_bp = 1\ntaker_bp = 2\n",
                "run.toml:2: [backtest.fees] maker_bp",
            ),
            (
                On::Daily,
                "[backtest.slippage]\nmodel = \"bp\"\nvalue = 5\n",
                "run.toml:2: [backtest.slippage] model",
            ),
            (On::Daily, "[backtest]\nfill = \"close\"\n", "run.toml:2: [backtest] fill"),
            (On::Plain, "[backtest.fees]\ncommission = 0.0002\n", "run.toml:2: [backtest.fees] commission"),
            (
                On::Plain,
                "[backtest.fees]\nmaker_bp = 1\ntaker_bp = 2\ncommission_min = 1\n",
                "run.toml:4: [backtest.fees] commission_min",
            ),
            (
                On::Plain,
                "[backtest.portfolio]\nsizing = \"slot\"\n",
                "run.toml:2: [backtest.portfolio] sizing",
            ),
        ];
        for (on, text, start) in cases {
            let error = refuse(on, Some(&file(text)), &[]).expect_err(text);
            assert!(error.to_string().starts_with(start), "{error}, expected {start}");
            assert_eq!(error.exit_code(), 2);
        }
        let heard = "[backtest]\nfill = \"next_open\"\n[backtest.portfolio]\naccounting = \"cash\"\n\
                     [backtest.slippage]\nmodel = \"ticks\"\nvalue = 2\n[backtest.fees]\ncommission = 0.0002\n";
        assert!(refuse(On::Daily, Some(&file(heard)), &[("sizing", "slot")]).is_ok());
        let flag = refuse(On::AshareBars, None, &[("n", "20"), ("fee_bp", "3")]).expect_err("refused");
        assert!(flag.to_string().starts_with("--set fee_bp=3:"), "{flag}");
    }
}
