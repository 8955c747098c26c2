//! Flow of the book and flow of trades, weighed into one score.

use serde::{Deserialize, Serialize};

use crate::factor::maths::exp;
use crate::factor::row::FactorRow;
use crate::signal::gate::{Dir, Gate, GateInput, GateSettings, GateStep, Reason, Strength};

/// What happens when one leg is much older than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LagPolicy {
    /// The older leg is absent.
    DropOlder,
    /// Both are.
    Neutral,
}

/// What may be chosen. Thresholds are reached by equality.
///
/// Fields stand in the order of their names: written as JSON the settings are in canonical form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionSettings {
    /// No entry for this long after an exit, ms.
    pub cooldown_ms: i64,
    /// Score to enter.
    pub enter: f64,
    /// Score to be strong.
    pub enter_strong: f64,
    /// Score to stay.
    pub exit: f64,
    /// Score to stay strong.
    pub exit_strong: f64,
    /// A reversal at once needs `enter` · (1 + this).
    pub flip_margin: f64,
    /// What becomes of legs of different age.
    pub lag_policy: LagPolicy,
    /// A longer time between two rows ends what is held, ms.
    pub max_gap_ms: i64,
    /// Age difference of the legs that is still good, ms.
    pub max_lag_ms: i64,
    /// Agreement of the legs to enter.
    pub min_consistency: f64,
    /// A direction must be wanted this long, ms.
    pub min_duration_ms: i64,
    /// P(up) = 1/(1 + e^−(a + b·score)): a.
    pub proba_a: f64,
    /// b.
    pub proba_b: f64,
    /// Agreement of the legs to be strong.
    pub strong_consistency: f64,
    /// Weight of `z_cvd`; only the ratio of the weights counts.
    pub w_cvd: f64,
    /// Weight of `z_ofi`.
    pub w_ofi: f64,
    /// Rows with both legs before the first entry.
    pub warmup_n: u32,
    /// Legs are clipped here.
    pub z_clip: f64,
}

impl Default for FusionSettings {
    /// As documented on the signals page.
    fn default() -> FusionSettings {
        FusionSettings {
            cooldown_ms: 3_000,
            enter: 0.95,
            enter_strong: 1.70,
            exit: 0.60,
            exit_strong: 1.20,
            flip_margin: 0.05,
            lag_policy: LagPolicy::DropOlder,
            max_gap_ms: 5_000,
            max_lag_ms: 5_000,
            min_consistency: 0.30,
            min_duration_ms: 0,
            proba_a: 0.0,
            proba_b: 1.0,
            strong_consistency: 0.45,
            w_cvd: 0.4,
            w_ofi: 0.6,
            warmup_n: 10,
            z_clip: 4.0,
        }
    }
}

/// What is wrong with [`FusionSettings`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FusionFault {
    /// NaN or an infinity.
    #[error("{0} must be a finite number")]
    NotFinite(&'static str),
    /// Not above 0.
    #[error("{0} must be above 0")]
    NotPositive(&'static str),
    /// Below 0.
    #[error("{0} must not be negative")]
    Negative(&'static str),
    /// Not a share.
    #[error("{0} must lie between 0 and 1")]
    NotAShare(&'static str),
    /// Two thresholds the wrong way round.
    #[error("{0} must not be above {1}")]
    Above(&'static str, &'static str),
}

impl FusionSettings {
    /// Are the settings usable together?
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), FusionFault> {
        let numbers = [
            ("enter", self.enter),
            ("enter_strong", self.enter_strong),
            ("exit", self.exit),
            ("exit_strong", self.exit_strong),
            ("flip_margin", self.flip_margin),
            ("min_consistency", self.min_consistency),
            ("proba_a", self.proba_a),
            ("proba_b", self.proba_b),
            ("strong_consistency", self.strong_consistency),
            ("w_cvd", self.w_cvd),
            ("w_ofi", self.w_ofi),
            ("z_clip", self.z_clip),
        ];
        first(numbers, |x| !x.is_finite(), FusionFault::NotFinite)?;
        first([("w_cvd", self.w_cvd), ("w_ofi", self.w_ofi), ("z_clip", self.z_clip)], |x| x <= 0.0, {
            FusionFault::NotPositive
        })?;
        let times = [
            ("cooldown_ms", self.cooldown_ms),
            ("max_gap_ms", self.max_gap_ms),
            ("max_lag_ms", self.max_lag_ms),
            ("min_duration_ms", self.min_duration_ms),
        ];
        first(times, |ms| ms < 0, FusionFault::Negative)?;
        let shares =
            [("min_consistency", self.min_consistency), ("strong_consistency", self.strong_consistency)];
        first(shares, |x| !(0.0..=1.0).contains(&x), FusionFault::NotAShare)?;
        for (low, high, names) in [
            (self.exit, self.enter, ("exit", "enter")),
            (self.exit_strong, self.enter_strong, ("exit_strong", "enter_strong")),
            (self.enter, self.enter_strong, ("enter", "enter_strong")),
        ] {
            if low > high {
                return Err(FusionFault::Above(names.0, names.1));
            }
        }
        Ok(())
    }

    fn gate(&self) -> GateSettings {
        GateSettings {
            warmup_n: self.warmup_n,
            min_duration_ms: self.min_duration_ms,
            cooldown_ms: self.cooldown_ms,
            max_gap_ms: self.max_gap_ms,
        }
    }
}

fn first<T: Copy, const N: usize>(
    named: [(&'static str, T); N],
    wrong: impl Fn(T) -> bool,
    fault: fn(&'static str) -> FusionFault,
) -> Result<(), FusionFault> {
    named.into_iter().find(|(_, x)| wrong(*x)).map_or(Ok(()), |(name, _)| Err(fault(name)))
}

/// What the legs of a row say together; all `None` if the row cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fused {
    /// w_o·z_o + w_c·z_c; an absent leg adds 0 and keeps its weight.
    pub score: Option<f64>,
    /// min|z|/max|z| of legs of one sign, else 0; `None` with one leg.
    pub consistency: Option<f64>,
    /// |z_o − z_c|/2; `None` with one leg.
    pub dispersion: Option<f64>,
    /// P(up) of the score.
    pub proba: Option<f64>,
    /// Age difference of the legs, ms; `None` unless both legs and both ages are there.
    pub lag_ms: Option<i64>,
}

/// Legs smaller than this agree with nothing.
const LEG_MIN: f64 = 1e-9;

/// Weighs the legs of a row.
pub fn fuse(settings: &FusionSettings, row: &FactorRow) -> Fused {
    let mut legs = [row.z_ofi, row.z_cvd].map(|z| z.filter(|z| z.is_finite()));
    let ages = row.stale_ms.zip(row.trade_age_ms).filter(|_| legs.iter().all(Option::is_some));
    let lag_ms = ages.map(|(book, trade)| (book - trade).abs());
    if let Some((book, trade)) = ages.filter(|_| lag_ms.is_some_and(|lag| lag > settings.max_lag_ms)) {
        match settings.lag_policy {
            LagPolicy::DropOlder => legs[usize::from(trade > book)] = None,
            LagPolicy::Neutral => legs = [None, None],
        }
    }
    if !row.book_valid || legs == [None, None] {
        return Fused { lag_ms, ..Fused::default() };
    }
    let [ofi, cvd] = legs.map(|z| z.map(|z| z.max(-settings.z_clip).min(settings.z_clip)));
    let total = settings.w_ofi + settings.w_cvd;
    let score = settings.w_ofi / total * ofi.unwrap_or(0.0) + settings.w_cvd / total * cvd.unwrap_or(0.0);
    let both = ofi.zip(cvd);
    Fused {
        score: Some(score),
        consistency: both.map(|(o, c)| consistency(o, c)),
        dispersion: both.map(|(o, c)| (o - c).abs() / 2.0),
        proba: Some(logistic(settings.proba_a + settings.proba_b * score)),
        lag_ms,
    }
}

fn consistency(o: f64, c: f64) -> f64 {
    let (low, high) = (o.abs().min(c.abs()), o.abs().max(c.abs()));
    if low < LEG_MIN || o.signum() != c.signum() { 0.0 } else { low / high }
}

/// 1/(1 + e^−x), without overflow on either side.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + exp(-x))
    } else {
        let e = exp(x);
        e / (1.0 + e)
    }
}

/// Takes one row through the gate; `None` if the gate refuses it.
pub fn step(settings: &FusionSettings, gate: &mut Gate, fused: &Fused, ts_ms: i64) -> Option<GateStep> {
    let score = fused.score.unwrap_or(0.0);
    let agrees = |least: f64| fused.consistency.is_none_or(|c| c >= least);
    let high = score.abs() >= settings.enter;
    let strong = fused.consistency.is_some_and(|c| c >= settings.strong_consistency)
        && score.abs() >= settings.enter_strong;
    let strength = if strong { Strength::Strong } else { Strength::Normal };
    let toward = gate.phase().dir().map_or(0.0, |dir| f64::from(dir.sign()) * score);
    let input = GateInput {
        ts_ms,
        valid: fused.score.is_some(),
        raw: Dir::of(score).filter(|_| high && agrees(settings.min_consistency)).map(|dir| (dir, strength)),
        keep: toward >= settings.exit,
        keep_strong: fused.consistency.is_some() && toward >= settings.exit_strong,
        flip_ok: score.abs() >= settings.enter * (1.0 + settings.flip_margin),
        counts: fused.consistency.is_some(),
        why: if high && !agrees(settings.min_consistency) {
            Reason::LowConsistency
        } else {
            Reason::BelowEnter
        },
    };
    gate.step(&settings.gate(), &input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_does_not_overflow() {
        assert!((logistic(1.8) - 0.8581489350995123).abs() < 1e-15);
        assert_eq!([logistic(1e6), logistic(-1e6), logistic(0.0)], [1.0, 0.0, 0.5]);
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let with = |change: fn(&mut FusionSettings)| {
            let mut settings = FusionSettings::default();
            change(&mut settings);
            settings.check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|s| s.exit = 1.0), Err(FusionFault::Above("exit", "enter")));
        assert_eq!(with(|s| s.exit_strong = 2.0), Err(FusionFault::Above("exit_strong", "enter_strong")));
        assert_eq!(with(|s| s.enter = 1.8), Err(FusionFault::Above("enter", "enter_strong")));
        assert_eq!(with(|s| s.w_cvd = 0.0), Err(FusionFault::NotPositive("w_cvd")));
        assert_eq!(with(|s| s.min_consistency = 1.1), Err(FusionFault::NotAShare("min_consistency")));
        assert_eq!(with(|s| s.proba_b = f64::NAN), Err(FusionFault::NotFinite("proba_b")));
        assert_eq!(with(|s| s.cooldown_ms = -1), Err(FusionFault::Negative("cooldown_ms")));
    }
}
