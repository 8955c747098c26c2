//! Everything that decides what the tables hold.

use lobstream_market::daily::bands::BandSettings;
use lobstream_market::daily::candidates::CandidateSettings;
use lobstream_market::daily::levels::LevelSettings;
use lobstream_market::daily::micro::BigSettings;
use lobstream_market::daily::pool::PoolSettings;
use lobstream_market::daily::quality::QualitySettings;
use lobstream_market::daily::reaction::TestSettings;

use super::hash;

/// The settings of the whole chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailySettings {
    /// Bands.
    pub bollinger: BandSettings,
    /// Active pool, and the boards that are let in.
    pub pool: PoolSettings,
    /// Big trades.
    pub big: BigSettings,
    /// Fund quality.
    pub quality: QualitySettings,
    /// Price levels.
    pub levels: LevelSettings,
    /// Tests of levels.
    pub tests: TestSettings,
    /// Candidates.
    pub candidates: CandidateSettings,
    /// Every stock that traded, not only those of the pools.
    pub universe_all: bool,
}

impl DailySettings {
    /// Of all of them: with other settings every job is done again.
    pub fn hash(&self) -> String {
        hash::of([format!("{self:?}")])
    }

    /// Bars of a stock that a day can depend on.
    pub fn reach(&self) -> usize {
        let bands = self.bollinger.reach() + 2 * self.pool.window_days as usize;
        bands.max(self.levels.lookback).max(self.quality.max_lookback)
    }
}
