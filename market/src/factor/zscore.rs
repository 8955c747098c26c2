//! How unusual is a value? The two scores of a row: winsorised for flow of the book, hybrid for trade flow.

use serde::{Deserialize, Serialize};

use crate::factor::maths::{Sorted, exp2, finite};
use crate::factor::window::{Moments, Ring};

/// Makes a MAD comparable with a standard deviation of normal data.
const MAD_TO_SD: f64 = 1.4826;

/// Settings of [`Wins`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WinsSettings {
    /// Values of the baseline, at most.
    pub n: usize,
    /// Values it needs.
    pub min_n: usize,
    /// The value is clipped this many scaled MADs from the median.
    pub k: f64,
    /// The score is clipped here.
    pub limit: f64,
}

impl Default for WinsSettings {
    /// 300 values, 60 needed, clipped at 3 scaled MADs and at a score of 8.
    fn default() -> WinsSettings {
        WinsSettings { n: 300, min_n: 60, k: 3.0, limit: 8.0 }
    }
}

/// Winsorised z-score against the values before.
///
/// ```text
/// y = x clipped to med ± k·1.4826·MAD      (no clip if MAD = 0)
/// z = (y − mean)/sd, clipped to ±limit     (sd with divisor n − 1)
/// ```
/// The raw value joins the baseline, never the clipped one: a history of clipped values would collapse.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wins {
    settings: WinsSettings,
    window: Moments,
    sorted: Sorted,
}

impl Wins {
    /// Without history.
    pub fn new(settings: WinsSettings) -> Wins {
        Wins { window: Moments::new(settings.n), sorted: Sorted::default(), settings }
    }

    /// The score of a finite value, which then joins the history. `None` while the baseline is too short,
    /// or if all its values are equal.
    pub fn push(&mut self, x: f64) -> Option<f64> {
        let z = self.score(x);
        if let Some(old) = self.window.push(x) {
            self.sorted.remove(old);
        }
        self.sorted.insert(x);
        z
    }

    fn score(&self, x: f64) -> Option<f64> {
        let WinsSettings { min_n, k, limit, n: _ } = self.settings;
        if self.window.len() < min_n || self.window.is_flat() {
            return None;
        }
        let reach = k * MAD_TO_SD * self.sorted.mad()?;
        let median = self.sorted.median()?;
        let y = if reach > 0.0 { x.clamp(median - reach, median + reach) } else { x };
        let z = finite((y - self.window.mean()) / self.window.sd(1)?)?;
        Some(z.max(-limit).min(limit))
    }

    /// Forgets the history.
    pub fn clear(&mut self) {
        self.window.clear();
        self.sorted.clear();
    }
}

/// Settings of [`Hybrid`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HybridSettings {
    /// Half-life of the fast mean, s.
    pub hl_fast_s: f64,
    /// Half-life of the slow mean, s.
    pub hl_slow_s: f64,
    /// Weight of the fast mean; the slow one has the rest.
    pub w_fast: f64,
    /// The floor of the scale is this many scaled MADs.
    pub mad_mult: f64,
    /// Values that the MAD sees, at most.
    pub mad_n: usize,
    /// The first score comes with this push.
    pub freeze_min: u32,
    /// The score is clipped here.
    pub limit: f64,
    /// A longer time between two pushes is a gap, s.
    pub gap_s: f64,
    /// Pushes after a gap without a score, beside the first.
    pub gap_n: u32,
}

impl Default for HybridSettings {
    /// Half-lives 60 s and 600 s, weights 0.2 and 0.8, floor 1.8 MADs of 300, first score at push 50,
    /// clipped at 8, silent for three pushes after more than 5 s.
    fn default() -> HybridSettings {
        HybridSettings {
            hl_fast_s: 60.0,
            hl_slow_s: 600.0,
            w_fast: 0.20,
            mad_mult: 1.8,
            mad_n: 300,
            freeze_min: 50,
            limit: 8.0,
            gap_s: 5.0,
            gap_n: 2,
        }
    }
}

/// The least scale.
const SCALE_MIN: f64 = 1e-9;
/// The least time between two pushes, s.
const DT_MIN: f64 = 0.001;
/// The MAD is trusted from this many values on, if a fifth of its window is not more.
const MAD_MIN: usize = 50;

/// Score of a signed flow, scaled but not centred.
///
/// ```text
/// fast, slow = means of |δ| that forget by half in hl_fast_s, hl_slow_s
/// scale = max(w·fast + (1−w)·slow, mad_mult·1.4826·MAD, 1e-9)
/// z = δ/scale, clipped to ±limit
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hybrid {
    settings: HybridSettings,
    fast: f64,
    slow: f64,
    last_s: Option<f64>,
    ring: Ring,
    sorted: Sorted,
    pushes: u32,
    muted: u32,
}

impl Hybrid {
    /// Without history.
    pub fn new(settings: HybridSettings) -> Hybrid {
        Hybrid {
            ring: Ring::new(settings.mad_n),
            sorted: Sorted::default(),
            fast: 0.0,
            slow: 0.0,
            last_s: None,
            pushes: 0,
            muted: 0,
            settings,
        }
    }

    /// The score of a finite value at a time in seconds, the value itself included in the scale. `None` for
    /// the first pushes and for those at and after a gap.
    pub fn push(&mut self, x: f64, t_s: f64) -> Option<f64> {
        self.smooth(x.abs(), t_s);
        if let Some(old) = self.ring.push(x) {
            self.sorted.remove(old);
        }
        self.sorted.insert(x);
        self.pushes = self.pushes.saturating_add(1);
        if self.muted > 0 {
            self.muted -= 1;
            return None;
        }
        if self.pushes < self.settings.freeze_min {
            return None;
        }
        let limit = self.settings.limit;
        Some(finite(x / self.scale())?.max(-limit).min(limit))
    }

    fn smooth(&mut self, size: f64, t_s: f64) {
        let settings = &self.settings;
        match self.last_s.replace(t_s) {
            None => (self.fast, self.slow) = (size, size),
            Some(last) => {
                let dt = (t_s - last).max(DT_MIN);
                self.fast += (1.0 - exp2(-dt / settings.hl_fast_s)) * (size - self.fast);
                self.slow += (1.0 - exp2(-dt / settings.hl_slow_s)) * (size - self.slow);
                if dt > settings.gap_s {
                    self.muted = settings.gap_n.saturating_add(1);
                }
            }
        }
    }

    fn scale(&self) -> f64 {
        let HybridSettings { w_fast, mad_mult, mad_n, .. } = self.settings;
        let trusted = self.ring.len() >= MAD_MIN.max(mad_n / 5);
        let mad = if trusted { self.sorted.mad().unwrap_or(0.0) } else { 0.0 };
        let mean = w_fast * self.fast + (1.0 - w_fast) * self.slow;
        mean.max(MAD_TO_SD * mad * mad_mult).max(SCALE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: Option<f64>, want: f64) {
        let got = got.expect("a score");
        assert!((got - want).abs() <= 1e-12, "{got} for {want}");
    }

    #[test]
    fn wins_example_of_the_factor_page() {
        let mut z = Wins::new(WinsSettings { n: 4, min_n: 4, ..WinsSettings::default() });
        for x in [2.0, 4.0, 4.0, 6.0] {
            assert_eq!(z.push(x), None);
        }
        near(z.push(9.0), 2.7237101194877553);
    }

    #[test]
    fn wins_stores_the_raw_value_so_its_history_does_not_collapse() {
        let mut z = Wins::new(WinsSettings { n: 20, min_n: 5, k: 0.9, limit: 8.0 });
        let values = || (0..2_000).map(|i| f64::from((i * 7919) % 101) - 50.0);
        let last = values().map(|x| z.push(x)).last().flatten();
        assert!(last.is_some_and(|z| z.abs() < 3.0), "{last:?}");
        let sd = z.window.sd(1).expect("spread");
        assert!(sd > 20.0, "{sd}");
    }

    #[test]
    fn wins_is_silent_on_a_flat_baseline_and_clips_its_score() {
        let mut z = Wins::new(WinsSettings { n: 8, min_n: 2, k: 1e9, limit: 2.0 });
        assert_eq!([1.0, 1.0, 1.0].map(|x| z.push(x)), [None, None, None]);
        assert_eq!(z.push(100.0), None, "still flat before it");
        assert_eq!(z.push(1e6), Some(2.0));
        z.clear();
        assert_eq!(z.push(1.0), None);
    }

    #[test]
    fn hybrid_example_of_the_factor_page() {
        let mut z = Hybrid::new(HybridSettings { freeze_min: 2, ..HybridSettings::default() });
        assert_eq!(z.push(6.0, 0.0), None);
        near(z.push(-3.0, 1.0), -0.5008065134676436);
        assert_eq!(z.push(0.0, 2.0), Some(0.0));
        near(z.push(9.0, 3.0), 1.50476424417593);
    }

    #[test]
    fn hybrid_is_silent_at_a_gap_and_two_pushes_after() {
        let mut z = Hybrid::new(HybridSettings { freeze_min: 1, ..HybridSettings::default() });
        let some = |x: Option<f64>| x.is_some();
        let at = [0.0, 1.0, 6.0, 11.001, 12.0, 13.0, 14.0].map(|t| some(z.push(1.0, t)));
        assert_eq!(at, [true, true, true, false, false, false, true], "5 s is no gap, more is");
    }
}
