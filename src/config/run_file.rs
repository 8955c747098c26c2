//! `run.toml`: what a backtest is made of. Flags come after it and win.

use std::path::PathBuf;

use lobstream_backtest::metrics::{Benchmark, Conventions};
use lobstream_backtest::model::fee::Fees;
use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::{Accounting, Error as BacktestError, Fill, RunConfig, StrategyConfig};

use crate::config::sheet::{Section, Sheet};
use crate::error::Error;

/// A run as its file has it.
#[derive(Clone, Debug)]
pub struct RunFile {
    /// Everything that decides the result.
    pub config: RunConfig,
    /// Where rows are stored, if it says.
    pub from: Option<String>,
    /// Files with bars, if it says.
    pub bars: Vec<PathBuf>,
    /// Symbols; empty: all.
    pub symbols: Vec<String>,
    /// Bar step, such as `1m`, if it says.
    pub step: Option<String>,
}

/// Tables of a run; a sweep has one more.
pub const TABLES: [&str; 3] = ["backtest", "strategy", "data"];

impl RunFile {
    /// Reads `[backtest]`, `[strategy.<name>]` and `[data]`. `base` holds what is not said.
    ///
    /// # Errors
    /// An unknown key, a value out of range: file, line and key.
    pub fn read(sheet: &Sheet, base: RunConfig) -> Result<RunFile, Error> {
        let root = sheet.root();
        let mut config = base;
        if let Some(section) = root.table("backtest")? {
            backtest(&section, &mut config)?;
        }
        strategy(&root, &mut config)?;
        let mut file = RunFile { config, from: None, bars: Vec::new(), symbols: Vec::new(), step: None };
        if let Some(section) = root.table("data")? {
            section.known(&["results", "bars", "symbols", "step"])?;
            file.from = section.text("results")?.map(str::to_owned);
            file.bars = section.texts("bars")?.unwrap_or_default().into_iter().map(PathBuf::from).collect();
            file.symbols = section.texts("symbols")?.unwrap_or_default();
            file.step = section.text("step")?.map(str::to_owned);
        }
        Ok(file)
    }
}

fn backtest(section: &Section<'_>, config: &mut RunConfig) -> Result<(), Error> {
    section.known(&[
        "engine",
        "strategy",
        "market",
        "fill",
        "detail",
        "portfolio",
        "fees",
        "slippage",
        "metrics",
    ])?;
    section.word("engine", &[("bars", ())])?;
    // The market decides first, because what is said below changes its defaults.
    match section.word("market", &[("ashare", true), ("crypto", false)])? {
        Some(true) => config.conventions = Conventions::ASHARE,
        Some(false) => config.conventions = Conventions::default(),
        None => {}
    }
    set(&mut config.fill, section.word("fill", &[("next_open", Fill::NextOpen), ("close", Fill::Close)])?);
    set(&mut config.detail, section.word("detail", &[("off", false), ("ticks", true)])?);
    if let Some(section) = section.table("portfolio")? {
        section.known(&["cash", "fraction", "accounting"])?;
        set(&mut config.cash, section.number("cash", 1e-6..=1e12)?);
        config.fraction = section.number("fraction", 1e-9..=1.0)?.or(config.fraction);
        let words = [("cash", Accounting::Cash), ("unit", Accounting::Unit)];
        set(&mut config.accounting, section.word("accounting", &words)?);
    }
    if let Some(section) = section.table("fees")? {
        section.known(&["maker_bp", "taker_bp"])?;
        let of = |key: &str| {
            let missing = || section.wrong(key, "is missing: set both maker_bp and taker_bp");
            section.number(key, -100.0..=1_000.0)?.ok_or_else(missing)
        };
        config.fees = Some(Fees { maker_bp: of("maker_bp")?, taker_bp: of("taker_bp")? });
    }
    if let Some(section) = section.table("slippage")? {
        config.slippage = slippage(&section)?;
    }
    section.table("metrics")?.map_or(Ok(()), |section| metrics(&section, config))
}

fn slippage(section: &Section<'_>) -> Result<Slippage, Error> {
    section.known(&["model", "value"])?;
    let value = section.number("value", 0.0..=1_000.0)?;
    match section.text("model")? {
        Some("none") => Ok(Slippage::None),
        Some("half_spread") => Ok(Slippage::HalfSpread),
        Some("bp") => {
            value.map(Slippage::Bp).ok_or_else(|| section.wrong("value", "is missing: basis points"))
        }
        Some(other) => {
            Err(section.wrong("model", format!("must be one of none, bp, half_spread, is {other:?}")))
        }
        None => Err(section.wrong("model", "is missing: none, bp or half_spread")),
    }
}

fn metrics(section: &Section<'_>, config: &mut RunConfig) -> Result<(), Error> {
    section.known(&["step", "ppy", "rf", "mar", "benchmark"])?;
    section.word("step", &[("1d", ())])?;
    set(&mut config.conventions.ppy, section.number("ppy", 1.0..=366.0)?);
    set(&mut config.conventions.rf, section.number("rf", -0.1..=0.1)?);
    set(&mut config.conventions.mar, section.number("mar", -0.1..=0.1)?);
    let words = [("none", Benchmark::None), ("hold", Benchmark::Hold)];
    set(&mut config.benchmark, section.word("benchmark", &words)?);
    Ok(())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// The strategy that `[backtest]` names, else the only one that has a table; its parameters from its table.
fn strategy(root: &Section<'_>, config: &mut RunConfig) -> Result<(), Error> {
    let named = root.table("backtest")?;
    let name = named.as_ref().map(|section| section.text("strategy")).transpose()?.flatten();
    let tables = root.table("strategy")?;
    let only = tables.as_ref().map(Section::keys).unwrap_or_default();
    let name = match (name, only.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => config.strategy.name(),
    };
    let wrong = |e: BacktestError| match &named {
        Some(section) => section.wrong("strategy", e),
        None => Error::from(e),
    };
    // A wrong name is told before a wrong parameter.
    config.strategy = StrategyConfig::parse(name, []).map_err(wrong)?;
    let Some(section) = tables.as_ref().map(|tables| tables.table(name)).transpose()?.flatten() else {
        return Ok(());
    };
    let mut values = Vec::new();
    for key in section.keys() {
        let [value] = section.values(key)?.try_into().map_err(|_| section.wrong(key, "must be one value"))?;
        values.push((key, value));
        let so_far = values.iter().map(|(key, value): &(&str, String)| (*key, value.as_str()));
        config.strategy = StrategyConfig::parse(name, so_far).map_err(|e| section.wrong(key, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RunFile, Error> {
        RunFile::read(&Sheet::parse("run.toml", text).expect("TOML"), RunConfig::default())
    }

    #[test]
    fn everything_that_is_said_is_taken() {
        let file = read(
            "[backtest]\nstrategy = \"bollinger\"\nmarket = \"ashare\"\nfill = \"close\"\ndetail = \"off\"\n\
             [backtest.portfolio]\ncash = 5000\naccounting = \"unit\"\n\
             [backtest.fees]\nmaker_bp = 1\ntaker_bp = 2.5\n[backtest.slippage]\nmodel = \"bp\"\nvalue = 3\n\
             [backtest.metrics]\nrf = 0.0001\nbenchmark = \"hold\"\n\
             [strategy.bollinger]\nn = 30\nk = 1.5\nsl = \"none\"\n[data]\nbars = [\"a.csv\"]\nstep = \"1m\"\n",
        )
        .expect("a run");
        let config = &file.config;
        assert_eq!((config.fill, config.detail, config.cash), (Fill::Close, false, 5_000.0));
        assert_eq!((config.accounting, config.slippage), (Accounting::Unit, Slippage::Bp(3.0)));
        assert_eq!(config.fees, Some(Fees { maker_bp: 1.0, taker_bp: 2.5 }));
        assert_eq!(config.conventions, Conventions { rf: 0.0001, ..Conventions::ASHARE });
        let params = config.strategy.params();
        let texts: Vec<_> = params.iter().take(3).map(|(name, value, _)| format!("{name} {value}")).collect();
        assert_eq!(texts, ["n 30", "k 1.5", "sl none"]);
        assert_eq!((file.bars, file.step.as_deref()), (vec![PathBuf::from("a.csv")], Some("1m")));
    }

    #[test]
    fn faults_stand_at_their_line() {
        let cases = [
            ("[backtest]\nfil = \"close\"\n", "run.toml:2: [backtest] fil: is not known here"),
            ("[backtest]\nfill = \"now\"\n", "run.toml:2: [backtest] fill: must be one of next_open, close"),
            (
                "[backtest]\nstrategy = \"x\"\n",
                "run.toml:2: [backtest] strategy: strategy \"x\" is not known",
            ),
            (
                "[strategy.bollinger]\nn = 20\nk = -1\n",
                "run.toml:3: [strategy.bollinger] k: parameter k = -1",
            ),
            (
                "[strategy.bollinger]\n\nwindow = 20\n",
                "run.toml:3: [strategy.bollinger] window: bollinger has no",
            ),
            ("[backtest.portfolio]\ncash = -5\n", "run.toml:2: [backtest.portfolio] cash: must be from"),
            ("[backtest.fees]\nmaker_bp = 1\n", "run.toml:1: [backtest.fees] taker_bp: is missing"),
            (
                "[backtest.slippage]\nmodel = \"tick\"\n",
                "run.toml:2: [backtest.slippage] model: must be one of",
            ),
        ];
        for (text, start) in cases {
            let error = read(text).expect_err(text);
            assert!(error.to_string().starts_with(start), "{error}, expected {start}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
