//! A few combinations on one thread: in one pass where that is the same, through the general engine else.

use crate::band_pass::{self, BandColumns, Clock, Kept, Plan};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::metrics::{Benchmark, measure_totals};
use crate::model::fee::Fees;
use crate::model::slippage::Slippage;
use crate::run::{Accounting, RunConfig, run};
use crate::strategy::StrategyConfig;
use crate::sweep::SweepRow;

/// One combination.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its number in grid order.
    pub(super) index: usize,
    /// Values of the parameters that vary.
    pub(super) params: Vec<String>,
    pub(super) strategy: StrategyConfig,
}

/// What all combinations share.
pub(super) struct Spread<'a> {
    data: &'a Dataset,
    base: &'a RunConfig,
    /// The bar times, if one pass may run at all: its fees, equal for all symbols.
    pass: Option<(Clock, Fees)>,
}

impl<'a> Spread<'a> {
    pub(super) fn new(data: &'a Dataset, base: &'a RunConfig) -> Result<Spread<'a>, Error> {
        // What a run refuses is refused once, before the threads start.
        base.check(data.series())?;
        Ok(Spread { data, base, pass: one_pass(data, base) })
    }

    /// Runs combinations that are ordered by window.
    pub(super) fn run(&self, jobs: &[Job]) -> Result<Vec<(usize, SweepRow)>, Error> {
        let mut rows = Vec::with_capacity(jobs.len());
        let mut passes: Vec<(&Job, Kept<'_>)> = Vec::new();
        for job in jobs {
            match self.pass(&job.strategy) {
                Some(kept) => passes.push((job, kept)),
                None => rows.push((job.index, self.general(job)?)),
            }
        }
        self.all_series(&mut passes);
        rows.extend(passes.into_iter().map(|(job, kept)| (job.index, self.measured(job, kept))));
        Ok(rows)
    }

    fn pass(&self, strategy: &StrategyConfig) -> Option<Kept<'_>> {
        let (clock, fees) = self.pass.as_ref()?;
        match strategy {
            StrategyConfig::Bollinger(rule) => {
                Some(Kept::new(Plan::new(rule, self.base.fill, *fees)?, clock))
            }
            _ => None,
        }
    }

    /// One series after the other, so that its bars and bands stay near while all combinations run over them.
    fn all_series(&self, passes: &mut [(&Job, Kept<'_>)]) {
        if passes.is_empty() {
            return;
        }
        let series = self.data.series();
        let share = self.base.cash / series.len().max(1) as f64;
        for (k, series) in series.iter().enumerate() {
            for same in passes.chunk_by_mut(|a, b| a.1.n() == b.1.n()) {
                let bands = BandColumns::new(series, same[0].1.n());
                same.iter_mut().for_each(|(_, kept)| kept.add(k, series, share, &mut &bands));
            }
        }
    }

    fn measured(&self, job: &Job, kept: Kept<'_>) -> SweepRow {
        let metrics = measure_totals(&kept.finish(), self.base.cash, &self.base.conventions);
        SweepRow::new(job.params.clone(), job.strategy.clone(), &metrics)
    }

    fn general(&self, job: &Job) -> Result<SweepRow, Error> {
        let (strategy, benchmark) = (job.strategy.clone(), Benchmark::None);
        let result = run(self.data, &RunConfig { strategy, benchmark, ..self.base.clone() })?;
        Ok(SweepRow::new(job.params.clone(), job.strategy.clone(), &result.metrics))
    }
}

fn one_pass(data: &Dataset, base: &RunConfig) -> Option<(Clock, Fees)> {
    let series = data.series();
    let fees = base.fees_on(&series.first()?.venue);
    let plain = base.accounting == Accounting::Unit
        && base.slippage == Slippage::None
        && !base.t1
        // Finer prices inside a bar are there only where rows were: `fits` refuses those.
        && series.iter().all(|s| s.detail.is_empty() && base.fees_on(&s.venue) == fees && band_pass::fits(s));
    plain.then(|| (Clock::new(series), fees))
}
