//! `run.toml`: what a backtest is made of. Flags come after it and win.

use std::path::PathBuf;

use lobstream_backtest::engine::daily::Sizing;
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
    /// Are they A shares, if it says?
    pub ashare: Option<bool>,
    /// First and last day, if it says.
    pub first: Option<String>,
    /// Likewise.
    pub last: Option<String>,
    /// Rate of the broker and his least fee of an order in CNY, if it says.
    pub commission: (Option<f64>, Option<f64>),
    /// How much worse than its price an order fills, if it says.
    pub slippage: Option<Slippage>,
    /// Returns a year, if it says.
    pub ppy: Option<f64>,
    /// Keys that say nothing on some market, as far as they are said, each with its place in the file.
    pub said: Vec<(&'static str, String)>,
    /// What is said and does nothing here.
    pub notes: Vec<String>,
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
        let mut file = RunFile {
            config: base,
            from: None,
            bars: Vec::new(),
            symbols: Vec::new(),
            step: None,
            ashare: None,
            first: None,
            last: None,
            commission: (None, None),
            slippage: None,
            ppy: None,
            said: Vec::new(),
            notes: Vec::new(),
        };
        if let Some(section) = root.table("backtest")? {
            backtest(&section, &mut file)?;
        }
        strategy(&root, &mut file.config)?;
        if let Some(section) = root.table("data")? {
            section.known(&["results", "bars", "symbols", "step"])?;
            file.from = section.text("results")?.map(str::to_owned);
            file.bars = section.texts("bars")?.unwrap_or_default().into_iter().map(PathBuf::from).collect();
            file.symbols = section.texts("symbols")?.unwrap_or_default();
            file.step = section.text("step")?.map(str::to_owned);
        }
        Ok(file)
    }

    /// Notes which of these keys a table says, and where.
    fn note(&mut self, section: &Section<'_>, keys: &[&'static str]) {
        let there = section.keys();
        let said = keys.iter().filter(|key| there.contains(*key));
        self.said.extend(said.map(|key| (*key, section.place(key))));
    }
}

fn backtest(section: &Section<'_>, file: &mut RunFile) -> Result<(), Error> {
    section.known(&[
        "engine",
        "strategy",
        "market",
        "from",
        "to",
        "tick_round",
        "fill",
        "detail",
        "portfolio",
        "fees",
        "slippage",
        "latency",
        "queue",
        "metrics",
    ])?;
    section.word("engine", &[("bars", ())])?;
    file.first = section.text("from")?.map(str::to_owned);
    file.last = section.text("to")?.map(str::to_owned);
    tick_engine(section, &mut file.notes)?;
    file.ashare = section.word("market", &[("ashare", true), ("crypto", false)])?;
    if section.truth("tick_round")? == Some(false) {
        return Err(
            section.wrong("tick_round", "stops of A shares stand at whole ticks, all others at exact prices")
        );
    }
    let config = &mut file.config;
    // The market decides first, because what is said below changes its defaults.
    match file.ashare {
        Some(true) => config.conventions = Conventions::ASHARE,
        Some(false) => config.conventions = Conventions::default(),
        None => {}
    }
    set(&mut config.fill, section.word("fill", &[("next_open", Fill::NextOpen), ("close", Fill::Close)])?);
    set(&mut config.detail, section.word("detail", &[("off", false), ("ticks", true)])?);
    if config.fill == Fill::Close {
        file.note(section, &["fill"]);
    }
    let config = &mut file.config;
    if let Some(section) = section.table("portfolio")? {
        section.known(&["cash", "fraction", "accounting", "max_positions", "sizing", "volume_cap"])?;
        set(&mut config.cash, section.number("cash", 1e-6..=1e12)?);
        config.fraction = section.number("fraction", 1e-9..=1.0)?.or(config.fraction);
        let words = [("cash", Accounting::Cash), ("unit", Accounting::Unit)];
        set(&mut config.accounting, section.word("accounting", &words)?);
        portfolio(&section, config)?;
        if config.accounting == Accounting::Unit {
            file.note(&section, &["accounting"]);
        }
        file.note(&section, &["fraction", "max_positions", "sizing", "volume_cap"]);
    }
    if let Some(section) = section.table("fees")? {
        fees(&section, file)?;
    }
    if let Some(section) = section.table("slippage")? {
        file.slippage = Some(slippage(&section)?);
        set(&mut file.config.slippage, file.slippage);
        if matches!(file.slippage, Some(Slippage::Bp(_) | Slippage::HalfSpread)) {
            file.note(&section, &["model"]);
        }
    }
    section.table("metrics")?.map_or(Ok(()), |section| metrics(&section, file))
}

/// Basis points of the notional, or what a broker of A shares takes.
fn fees(section: &Section<'_>, file: &mut RunFile) -> Result<(), Error> {
    section.known(&["maker_bp", "taker_bp", "commission", "commission_min"])?;
    file.commission =
        (section.number("commission", 0.0..=0.003)?, section.number("commission_min", 0.0..=1_000.0)?);
    let points = |key| section.number(key, -100.0..=1_000.0);
    let missing = |key| section.wrong(key, "is missing: set both maker_bp and taker_bp");
    match (points("maker_bp")?, points("taker_bp")?) {
        (Some(maker_bp), Some(taker_bp)) => file.config.fees = Some(Fees { maker_bp, taker_bp }),
        (None, None) if file.commission != (None, None) => {}
        (None, _) => return Err(missing("maker_bp")),
        (_, None) => return Err(missing("taker_bp")),
    }
    file.note(section, &["maker_bp", "taker_bp", "commission", "commission_min"]);
    Ok(())
}

/// What an account of A shares does; other accounts know `fraction` alone.
fn portfolio(section: &Section<'_>, config: &mut RunConfig) -> Result<(), Error> {
    let slots = section.count("max_positions", 1..=100_000)?;
    let size = section.text("sizing")?;
    let size = size.map(|text| sizing(text).ok_or_else(|| section.wrong("sizing", SIZINGS))).transpose()?;
    // `none` and a number are both understood: they are read as a word first.
    let cap = match section.values("volume_cap")?.as_slice() {
        [text] if text == "none" => Some(None),
        [] => None,
        _ => section.number("volume_cap", 1e-9..=1.0)?.map(Some),
    };
    if slots.is_some() || size.is_some() || cap.is_some() {
        let account = config.portfolio.get_or_insert_default();
        set(&mut account.max_positions, slots);
        set(&mut account.sizing, size);
        set(&mut account.volume_cap, cap);
    }
    Ok(())
}

/// How sizes are written.
pub const SIZINGS: &str = "write slot, cash:CNY, qty:SHARES or risk:SHARE";

/// How much an entry buys; `None` for anything but [`SIZINGS`].
pub fn sizing(text: &str) -> Option<Sizing> {
    match text.split_once(':') {
        None => (text == "slot").then_some(Sizing::Slot),
        Some(("cash", value)) => value.parse().ok().map(Sizing::FixedCash),
        Some(("qty", value)) => value.parse().ok().map(Sizing::FixedQty),
        Some(("risk", value)) => value.parse().ok().map(Sizing::Risk),
        Some(_) => None,
    }
}

/// Latency and queue belong to an engine over book events. They are checked, so that a file means the same for both.
fn tick_engine(section: &Section<'_>, notes: &mut Vec<String>) -> Result<(), Error> {
    if let Some(latency) = section.table("latency")? {
        latency.known(&["order_ms", "response_ms"])?;
        latency.number("order_ms", 0.0..=60_000.0)?;
        latency.number("response_ms", 0.0..=60_000.0)?;
        notes.push("[backtest.latency] does nothing: orders on bars fill at prices of bars".to_owned());
    }
    if let Some(queue) = section.table("queue")? {
        queue.known(&["model"])?;
        queue.word("model", &[("risk_averse", ()), ("power", ()), ("log", ()), ("front", ())])?;
        notes.push("[backtest.queue] does nothing: orders on bars do not queue".to_owned());
    }
    Ok(())
}

fn slippage(section: &Section<'_>) -> Result<Slippage, Error> {
    section.known(&["model", "value"])?;
    let value = section.number("value", 0.0..=1_000.0)?;
    match section.text("model")? {
        Some("none") => Ok(Slippage::None),
        Some("half_spread") => Ok(Slippage::HalfSpread),
        Some("ticks") => {
            let whole = value.filter(|n| n.fract() == 0.0);
            let ticks = |n: f64| Slippage::Ticks { n: n as u32, tick: 0.01 };
            whole.map(ticks).ok_or_else(|| section.wrong("value", "must be a whole number of ticks of 0.01"))
        }
        Some("bp") => {
            value.map(Slippage::Bp).ok_or_else(|| section.wrong("value", "is missing: basis points"))
        }
        Some(other) => {
            Err(section.wrong("model", format!("must be one of none, bp, ticks, half_spread, is {other:?}")))
        }
        None => Err(section.wrong("model", "is missing: none, bp, ticks or half_spread")),
    }
}

fn metrics(section: &Section<'_>, file: &mut RunFile) -> Result<(), Error> {
    section.known(&["step", "ppy", "rf", "mar", "benchmark"])?;
    section.word("step", &[("1d", ())])?;
    file.ppy = section.number("ppy", 1.0..=366.0)?;
    let config = &mut file.config;
    set(&mut config.conventions.ppy, file.ppy);
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

    /// The example of the manual, as it stands.
    #[test]
    fn a_file_of_all_keys_is_read() {
        let file = read(
            "[backtest]\nengine = \"bars\"\nstrategy = \"bollinger_micro\"\nmarket = \"ashare\"\nfrom = \"20240102\"\n\
             to = \"20250630\"\nfill = \"next_open\"\ndetail = \"off\"\ntick_round = true\n[backtest.portfolio]\n\
             cash = 1_000_000.0\nmax_positions = 4\nsizing = \"risk:0.01\"\nvolume_cap = 0.2\naccounting = \"cash\"\n\
             [backtest.fees]\ncommission = 0.0002\ncommission_min = 1.0\n[backtest.slippage]\nmodel = \"ticks\"\n\
             value = 2\n[backtest.latency]\norder_ms = 10\nresponse_ms = 10\n[backtest.queue]\nmodel = \"risk_averse\"\n\
             [backtest.metrics]\nstep = \"1d\"\nppy = 252\nrf = 0.0\n[strategy.bollinger_micro]\nstop_bp = 400\n",
        )
        .expect("a run");
        let account = file.config.portfolio.expect("an account");
        assert_eq!((account.max_positions, account.sizing), (4, Sizing::Risk(0.01)));
        assert_eq!(account.volume_cap, Some(0.2));
        assert_eq!(file.config.slippage, Slippage::Ticks { n: 2, tick: 0.01 });
        assert_eq!((file.ashare, file.commission), (Some(true), (Some(0.0002), Some(1.0))));
        assert_eq!((file.first.as_deref(), file.last.as_deref()), (Some("20240102"), Some("20250630")));
        assert_eq!(file.notes.len(), 2, "latency and queue: {:?}", file.notes);
        let none = read("[backtest.portfolio]\nvolume_cap = \"none\"\n").expect("a run").config.portfolio;
        assert_eq!(none.expect("an account").volume_cap, None);
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
            (
                "[backtest.portfolio]\nmax_positions = 0\n",
                "run.toml:2: [backtest.portfolio] max_positions: must be",
            ),
            (
                "[backtest.portfolio]\nsizing = \"all\"\n",
                "run.toml:2: [backtest.portfolio] sizing: write slot",
            ),
            ("[backtest.queue]\nmodel = \"best\"\n", "run.toml:2: [backtest.queue] model: must be one of"),
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
