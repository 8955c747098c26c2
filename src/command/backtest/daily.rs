//! What `backtest --daily` runs on: stored tables, the rules of the market, the settings of the account.

use std::path::Path;

use lobstream_backtest::dataset::{Action, DailyData, Date};
use lobstream_backtest::rules::AshareRules;
use lobstream_backtest::{RunConfig, StrategyConfig};
use lobstream_market::ashare::StockCode;
use lobstream_market::calendar::Day;

use super::account;
use super::period::Days;
use super::unheard::{self, On};
use crate::cli;
use crate::config::flags;
use crate::config::run_file::RunFile;
use crate::daily::import::{self as imported, Facts};
use crate::daily::store::Store;
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
        file: Option<&RunFile>,
        base: RunConfig,
        symbols: Vec<String>,
    ) -> Result<DailyRun, Error> {
        let (rules, pairs) = (account::rules(args)?, flags::pairs("--set", &args.set)?);
        unheard::refuse_flags_of_bars(args, file)?;
        unheard::refuse(On::Daily, file, &pairs)?;
        let (config, rules) = settings(base, file, args.strategy.as_deref(), &pairs, rules)?;
        let Days { first, last } = Days::of(args, file)?;
        let period = Period { first, last, symbols };
        let mut data = daily_tables::read(dir, &period)?;
        know(&mut data, dir)?;
        Ok(DailyRun { data, rules, config })
    }
}

/// What the store beside the tables knows of the stocks: when they were listed, and what they paid. Tables alone,
/// without a store, do.
fn know(data: &mut DailyData, dir: &Path) -> Result<(), Error> {
    let facts: Facts = match Store::open_to_read(dir) {
        Ok(store) => imported::facts(&store)?,
        Err(Error::Missing { .. }) => return Ok(()),
        Err(e) => return Err(e),
    };
    let date = |day: Day| Date::new(day.number());
    for stock in &mut data.stocks {
        let Ok(code) = stock.code.parse::<StockCode>() else { continue };
        if let Some(basic) = facts.basic.get(&code) {
            (stock.listed, stock.delisted) =
                (basic.list_date.and_then(date), basic.delist_date.and_then(date));
        }
        let e8 = |x: f64| (x * 1e8).round() as i64;
        let action = |a: &imported::Action| {
            Some(Action { ex_date: date(a.ex_date)?, cash_e8: e8(a.cash), shares_e8: e8(a.shares) })
        };
        stock.actions = facts.actions.get(&code).into_iter().flatten().filter_map(action).collect();
    }
    Ok(())
}

/// Parameters of run and account are taken first; all others are the strategy's.
///
/// What a file says of `bollinger_micro` stays unless a flag says otherwise.
fn settings(
    base: RunConfig,
    file: Option<&RunFile>,
    strategy: Option<&str>,
    pairs: &[(&str, &str)],
    rules: AshareRules,
) -> Result<(RunConfig, AshareRules), Error> {
    let (own, rest) = account::split(pairs);
    let (mut run, rules) = account::settings(base, file, &own, rules)?;
    let name = strategy.unwrap_or("bollinger_micro");
    let said = run.strategy.params();
    let kept = said.iter().filter(|_| run.strategy.name() == name);
    let kept = kept.map(|(name, value, _)| (*name, value.as_str()));
    run.strategy = StrategyConfig::parse(name, kept.chain(rest))?;
    Ok((run, rules))
}

#[cfg(test)]
mod tests {
    use lobstream_backtest::engine::daily::Sizing;

    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Result<(RunConfig, AshareRules), Error> {
        settings(RunConfig::default(), None, None, pairs, AshareRules::built_in())
    }

    #[test]
    fn the_store_tells_when_a_stock_was_listed_and_what_it_paid() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let files = [
            file("basic.csv", "ts_code,name,list_date\n600010.SH,X,20100305\n"),
            file("actions.csv", "ts_code,ex_date,cash,shares\n600010.SH,20250604,0.25,0.3\n"),
        ];
        let store = Store::open_to_write(&dir.path().join("daily")).expect("a store");
        imported::import(&store, &files, None, |_| {}).expect("imported");
        drop(store);
        let stock = lobstream_backtest::dataset::Stock { code: "600010.SH".to_owned(), ..Default::default() };
        let mut data = DailyData { stocks: vec![stock], ..DailyData::default() };
        know(&mut data, &dir.path().join("elsewhere")).expect("tables alone do");
        assert_eq!(data.stocks[0].listed, None);
        know(&mut data, &dir.path().join("daily")).expect("known");
        let stock = &data.stocks[0];
        assert_eq!(stock.listed, Date::new(20_100_305));
        let ex_date = Date::new(20_250_604).expect("a day");
        assert_eq!(stock.actions, [Action { ex_date, cash_e8: 25_000_000, shares_e8: 30_000_000 }]);
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
    fn what_a_file_says_of_a_year_and_of_slippage_stays() {
        let text = "[backtest]\nmarket = \"ashare\"\n[backtest.metrics]\nppy = 243\nrf = 0.0001\n\
                    [backtest.slippage]\nmodel = \"ticks\"\nvalue = 3\n";
        let sheet = crate::config::sheet::Sheet::parse("run.toml", text).expect("TOML");
        let file = RunFile::read(&sheet, RunConfig::default()).expect("a run");
        let rules = AshareRules::built_in();
        let (run, _) =
            settings(file.config.clone(), Some(&file), None, &[], rules.clone()).expect("settings");
        assert_eq!((run.conventions.ppy, run.conventions.rf), (243.0, 0.0001));
        assert_eq!(run.portfolio.expect("an account").slippage_ticks, 3);
        let flag = [("slippage_ticks", "0")];
        let (run, _) = settings(file.config.clone(), Some(&file), None, &flag, rules).expect("settings");
        assert_eq!(run.portfolio.expect("an account").slippage_ticks, 0);
        assert_eq!(set(&[]).expect("settings").0.conventions.ppy, 252.0);
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
