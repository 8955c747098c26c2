//! Where the price wants to go: order flow that leads it, an anchor that it comes back to, and shocks.
//!
//! ```text
//!  shock, distance to anchor ──▶ pressure p (−1 … 1) ──▶ mid += impact · p + noise
//!                                    └─▶ sizes at the touch, who crosses the spread
//! ```
//! Flow comes first and the price follows, so order-flow imbalance foretells returns a little. Most shocks
//! are noise: the price overshoots, the flow turns, the price comes back. Some are news: the anchor goes along.

use super::dice::Dice;

/// Steps of a second.
pub(super) const STEPS_PER_SECOND: u64 = 10;

/// Share of the mid that sustained full pressure moves it by in a step.
const IMPACT: f64 = 0.25e-4;
/// What pressure keeps of itself from step to step.
const MEMORY: f64 = 0.88;
const PRESSURE_NOISE: f64 = 0.18;
/// Distance to the anchor, as a share of the price, that draws half pressure.
const PULL: f64 = 25e-4;
const ANCHOR_NOISE: f64 = 0.03e-4;

/// How restless the market is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regime {
    Calm,
    Busy,
    Wild,
}

impl Regime {
    /// Deviation of the mid in a step, as a share of it.
    fn noise(self) -> f64 {
        match self {
            Regime::Calm => 0.35e-4,
            Regime::Busy => 0.50e-4,
            Regime::Wild => 0.75e-4,
        }
    }

    /// How much more is traded than in calm times.
    pub(super) fn activity(self) -> f64 {
        match self {
            Regime::Calm => 1.0,
            Regime::Busy => 1.8,
            Regime::Wild => 2.6,
        }
    }
}

/// A burst of one-sided flow.
#[derive(Clone, Copy, Debug)]
struct Shock {
    steps_left: i64,
    sign: f64,
    is_news: bool,
}

/// The hidden state of one symbol, in ticks.
#[derive(Clone, Debug)]
pub(super) struct Price {
    pub(super) mid: f64,
    /// Who is in a hurry: 1 buyers only, −1 sellers only.
    pub(super) pressure: f64,
    pub(super) regime: Regime,
    anchor: f64,
    shock: Option<Shock>,
}

impl Price {
    pub(super) fn new(mid: f64) -> Price {
        Price { mid, pressure: 0.0, regime: Regime::Calm, anchor: mid, shock: None }
    }

    /// A tenth of a second.
    pub(super) fn step(&mut self, dice: &mut Dice) {
        self.change_regime(dice);
        let drawn = self.shock_step(dice).unwrap_or_else(|| self.pull());
        // The pressure of the step before moves the price of this one.
        self.mid += self.mid * (IMPACT * self.pressure + self.regime.noise() * dice.normal());
        self.anchor += self.anchor * ANCHOR_NOISE * dice.normal();
        let noise = PRESSURE_NOISE * dice.normal();
        self.pressure = (MEMORY * self.pressure + (1.0 - MEMORY) * drawn + noise).clamp(-1.0, 1.0);
    }

    fn pull(&self) -> f64 {
        let distance = (self.anchor - self.mid) / self.mid;
        (distance / PULL).clamp(-1.0, 1.0) * 0.5
    }

    fn change_regime(&mut self, dice: &mut Dice) {
        if dice.once_in(60 * STEPS_PER_SECOND) {
            self.regime = match dice.below(6) {
                0..3 => Regime::Calm,
                3..5 => Regime::Busy,
                _ => Regime::Wild,
            };
        }
    }

    /// The pressure that a running shock draws.
    fn shock_step(&mut self, dice: &mut Dice) -> Option<f64> {
        if self.shock.is_none() && dice.once_in(50 * STEPS_PER_SECOND) {
            let sign = if dice.once_in(2) { 1.0 } else { -1.0 };
            self.shock = Some(Shock { steps_left: dice.between(60, 120), sign, is_news: dice.below(10) < 3 });
        }
        let shock = self.shock.as_mut()?;
        shock.steps_left -= 1;
        let (sign, is_news, is_over) = (shock.sign, shock.is_news, shock.steps_left <= 0);
        if is_news {
            self.anchor += self.anchor * IMPACT * sign;
        }
        if is_over {
            self.shock = None;
        }
        Some(sign * 1.3)
    }
}
