//! `sweep.toml`: a run, and what of it varies.

use lobstream_backtest::model::slippage::Slippage;
use lobstream_backtest::sweep::{Axis, Choice, Objective, SweepConfig};
use lobstream_backtest::{Accounting, RunConfig};

use crate::config::run_file::{RunFile, TABLES};
use crate::config::sheet::{Section, Sheet};
use crate::error::Error;

/// A sweep as its file has it.
#[derive(Clone, Debug)]
pub struct SweepFile {
    /// The run that does not vary, and its data.
    pub run: RunFile,
    /// What varies, and how the best is chosen.
    pub sweep: SweepConfig,
}

impl SweepFile {
    /// Reads a run and `[sweep]`. A sweep counts in units without slippage unless the file says otherwise.
    ///
    /// # Errors
    /// An unknown key, a value out of range, no `[sweep.grid]`: file, line and key.
    pub fn read(sheet: &Sheet) -> Result<SweepFile, Error> {
        let root = sheet.root();
        root.known(&[&TABLES[..], &["sweep"]].concat())?;
        let base =
            RunConfig { accounting: Accounting::Unit, slippage: Slippage::None, ..RunConfig::default() };
        let run = RunFile::read(sheet, base)?;
        unheard(&root, &run)?;
        let Some(section) = root.table("sweep")? else {
            return Err(
                root.wrong("sweep", "is missing: name what varies in [sweep.grid], such as n = [10, 20]")
            );
        };
        section.known(&["grid", "random", "seed", "objective", "min_trades"])?;
        let words = Objective::ALL.map(|objective| (objective.key(), objective));
        let objective = section.word("objective", &words)?.unwrap_or_default();
        let choice = match section.count("random", 1..=1_000_000)? {
            Some(n) => Choice::Random { n, seed: section.count("seed", 0..=i64::MAX)?.unwrap_or(1) as u64 },
            None if section.keys().contains(&"seed") => {
                return Err(section.wrong("seed", "does nothing without random = N"));
            }
            None => Choice::Grid,
        };
        let sweep = SweepConfig {
            base: run.config.clone(),
            axes: axes(&section)?,
            choice,
            objective,
            min_trades: section.count("min_trades", 0..=1_000_000_000)?.unwrap_or(10),
        };
        Ok(SweepFile { run, sweep })
    }
}

/// A sweep trades units over all bars, by the rules of no market: what asks for more is not passed over in silence.
fn unheard(root: &Section<'_>, run: &RunFile) -> Result<(), Error> {
    let asked = [
        ("from", run.first.is_some()),
        ("to", run.last.is_some()),
        ("fees.commission", run.commission != (None, None)),
        ("portfolio", run.config.portfolio.is_some()),
    ];
    match (asked.iter().find(|(_, asked)| *asked), root.table("backtest")?) {
        (Some((key, _)), Some(section)) => {
            Err(section.wrong(key, "does nothing in a sweep; run it with `lobstream backtest -c`"))
        }
        _ => Ok(()),
    }
}

fn axes(section: &Section<'_>) -> Result<Vec<Axis>, Error> {
    let missing = || section.wrong("grid", "is missing: a table of parameters, such as n = [10, 20]");
    let grid = section.table("grid")?.ok_or_else(missing)?;
    grid.keys().into_iter().map(|key| axis(&grid, key)).collect()
}

/// `[a, b, c]`, one value, or `{ from, to, step }`.
fn axis(grid: &Section<'_>, key: &str) -> Result<Axis, Error> {
    if !grid.is_table(key) {
        let values = grid.values(key)?;
        return match values.is_empty() {
            true => Err(grid.wrong(key, "must have at least one value")),
            false => Ok(Axis { name: key.to_owned(), values }),
        };
    }
    let range = grid.table(key)?.ok_or_else(|| grid.wrong(key, "must be a range"))?;
    range.known(&["from", "to", "step"])?;
    let number = |name: &str| {
        let missing = || range.wrong(name, "is missing: a range has from, to and step");
        range.number(name, f64::MIN..=f64::MAX)?.ok_or_else(missing)
    };
    Axis::range(key, number("from")?, number("to")?, number("step")?).map_err(|e| grid.wrong(key, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SweepFile, Error> {
        SweepFile::read(&Sheet::parse("sweep.toml", text).expect("TOML"))
    }

    #[test]
    fn lists_and_ranges_vary_in_the_order_of_the_file() {
        let text = "[strategy.bollinger]\ntp = 0.03\n[sweep]\nrandom = 3\nseed = 9\nobjective = \"sqn\"\n\
                    [sweep.grid]\nn = { from = 10, to = 30, step = 10 }\nsl = [\"none\", 0.02]\n";
        let file = read(text).expect("a sweep");
        let axes: Vec<String> =
            file.sweep.axes.iter().map(|axis| format!("{} {}", axis.name, axis.values.join(" "))).collect();
        assert_eq!(axes, ["n 10 20 30", "sl none 0.02"]);
        assert_eq!(file.sweep.choice, Choice::Random { n: 3, seed: 9 });
        assert_eq!((file.sweep.objective, file.sweep.min_trades), (Objective::Sqn, 10));
        assert_eq!(file.sweep.base.accounting, Accounting::Unit);
    }

    #[test]
    fn the_example_is_a_sweep() {
        let file = read(include_str!("../../examples/sweep.toml")).expect("a sweep");
        let sizes: Vec<usize> = file.sweep.axes.iter().map(|axis| axis.values.len()).collect();
        assert_eq!((sizes, file.sweep.base.conventions.ppy), (vec![3, 7], 252.0));
    }

    #[test]
    fn faults_stand_at_their_line() {
        let cases = [
            ("[backtest]\n", "sweep.toml:1: sweep: is missing"),
            ("[sweep]\n", "sweep.toml:1: [sweep] grid: is missing"),
            ("[sweep]\nseed = 3\n[sweep.grid]\nn = 1\n", "sweep.toml:2: [sweep] seed: does nothing"),
            ("[sweep.grid]\nn = []\n", "sweep.toml:2: [sweep.grid] n: must have at least one value"),
            ("[sweep.grid]\nn = { from = 1, to = 2 }\n", "sweep.toml:2: [sweep.grid.n] step: is missing"),
            (
                "[sweep.grid]\nk = { from = 1, to = 2, step = 0 }\n",
                "sweep.toml:2: [sweep.grid] k: sweep over k",
            ),
            ("[sweep]\nobjective = \"profit\"\n", "sweep.toml:2: [sweep] objective: must be one of sharpe"),
            (
                "[sweep.grid]\nn = 1\n[backtest]\nfrom = \"20240102\"\n",
                "sweep.toml:4: [backtest] from: does nothing",
            ),
            ("[walk]\n[sweep.grid]\nn = 1\n", "sweep.toml:1: walk: is not known here"),
        ];
        for (text, start) in cases {
            let error = read(text).expect_err(text).to_string();
            assert!(error.starts_with(start), "{error}, expected {start}");
        }
    }
}
