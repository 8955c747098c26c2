//! A few combinations on one thread: in one pass where that is the same, through the general engine else.

use crate::band_pass::{self, BandColumns, Clock, Plan};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::metrics::{Benchmark, measure};
use crate::model::fee::Fees;
use crate::model::slippage::Slippage;
use crate::run::{Accounting, RunConfig, run};
use crate::strategy::StrategyConfig;
use crate::sweep::SweepRow;

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
    pub(super) fn run(
        &self,
        jobs: &[(usize, Vec<String>, StrategyConfig)],
    ) -> Result<Vec<(usize, SweepRow)>, Error> {
        let mut bands: Option<(usize, Vec<BandColumns>)> = None;
        let mut rows = Vec::with_capacity(jobs.len());
        for (i, params, strategy) in jobs {
            let row = match self.plan(strategy) {
                Some((clock, plan)) => {
                    let bands = self.bands(&mut bands, plan.n());
                    self.pass(clock, &plan, bands, params, strategy)
                }
                None => self.general(params, strategy)?,
            };
            rows.push((*i, row));
        }
        Ok(rows)
    }

    fn plan(&self, strategy: &StrategyConfig) -> Option<(&Clock, Plan)> {
        let (clock, fees) = self.pass.as_ref()?;
        match strategy {
            StrategyConfig::Bollinger(rule) => Some((clock, Plan::new(rule, self.base.fill, *fees)?)),
            _ => None,
        }
    }

    /// The bands of a window, computed anew only if it is another one.
    fn bands<'b>(&self, kept: &'b mut Option<(usize, Vec<BandColumns>)>, n: usize) -> &'b [BandColumns] {
        if kept.as_ref().is_none_or(|(known, _)| *known != n) {
            *kept = Some((n, self.data.series().iter().map(|s| BandColumns::new(s, n)).collect()));
        }
        kept.as_ref().map_or(&[], |(_, bands)| bands)
    }

    fn pass(
        &self,
        clock: &Clock,
        plan: &Plan,
        bands: &[BandColumns],
        params: &[String],
        strategy: &StrategyConfig,
    ) -> SweepRow {
        let cash = self.base.cash;
        let outcome = band_pass::outcome(plan, self.data.series(), clock, cash, |k| &bands[k]);
        let metrics = measure(&outcome, cash, &self.base.conventions, None);
        SweepRow::new(params.to_vec(), strategy.clone(), &metrics)
    }

    fn general(&self, params: &[String], strategy: &StrategyConfig) -> Result<SweepRow, Error> {
        let config =
            RunConfig { strategy: strategy.clone(), benchmark: Benchmark::None, ..self.base.clone() };
        let result = run(self.data, &config)?;
        Ok(SweepRow::new(params.to_vec(), strategy.clone(), &result.metrics))
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
