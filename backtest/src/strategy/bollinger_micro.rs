//! Buys next-day candidates of the daily chain near their support, and sells them in stages on the way up.

use serde::Serialize;

use crate::dataset::{Candidate, DailyBar, LevelTest};
use crate::engine::ExitReason;
use crate::engine::daily::{DailyStrategy, Decision, Held, Part, StockClose};
use crate::strategy::params::{Param, Slot};

/// One part of a whole in comparisons of levels: 1 bp.
const BP: i128 = 10_000;

/// Columns of the daily tables that the strategy reads.
pub const COLUMNS: [&str; 6] = [
    "price_position",
    "middle_band",
    "big_net_ratio",
    "order_flow_imbalance",
    "support_price",
    "resistance_price",
];

/// The strategy and its exits. L and R are support and resistance of the candidate.
///
/// ```text
/// entry open     |open − L|/L < entry_tol_bp                      fills at the open (A3: the auction price)
/// entry close    low ≥ L·(1 − low_tol_bp) and close > L           fills at the close
/// stop           round_half_up(entry·(1 − stop_bp)), every day after the entry
/// at a close, the first that holds, for the next open:
///   support_break  close < L·(1 − break_bp), and big money sold there: big_net_ratio < 0 and imbalance ≤ ofi_max
///   no_touch       no_touch_days or more held and no high ever reached the middle band
///   tp2            price_position ≥ tp2, or close ≥ R·(1 − near_res_bp)
///   tp1            price_position ≥ tp1 for the first time: half
/// ```
/// The flow at L is that of the day's tests within 0.2 % of L, else of the whole day; without either the break
/// is counted as `stop_unevaluated` and not taken. Days held count bars, the entry day is 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BollingerMicro {
    /// Variants of the entry, tried in this order of the day. Default both.
    pub entry: Vec<&'static str>,
    /// Largest distance of the open from the support, bp (exclusive). Default 50.
    pub entry_tol_bp: usize,
    /// How far the low may lie below the support for an entry at the close, bp. Default 100.
    pub low_tol_bp: usize,
    /// How far a close below the support breaks it, bp. Default 150.
    pub break_bp: usize,
    /// A break counts only with selling at the level. Default true.
    pub break_needs_flow: bool,
    /// Highest order-flow imbalance of a break. Default −0.2.
    pub ofi_max: f64,
    /// Stop below the entry, bp. Default 500.
    pub stop_bp: usize,
    /// Day from which a position that never touched the middle band is sold. Default 10.
    pub no_touch_days: usize,
    /// Price position at which half is sold. Default 50.
    pub tp1: f64,
    /// Price position at which everything is sold. Default 80.
    pub tp2: f64,
    /// Distance from the resistance that counts as reached, bp. Default 50.
    pub near_res_bp: usize,
}

impl Default for BollingerMicro {
    fn default() -> Self {
        BollingerMicro {
            entry: ENTRIES.to_vec(),
            entry_tol_bp: 50,
            low_tol_bp: 100,
            break_bp: 150,
            break_needs_flow: true,
            ofi_max: -0.2,
            stop_bp: 500,
            no_touch_days: 10,
            tp1: 50.0,
            tp2: 80.0,
            near_res_bp: 50,
        }
    }
}

/// Variants of the entry.
const ENTRIES: [&str; 2] = ["open", "close"];

impl BollingerMicro {
    pub(super) fn fields(&mut self) -> Vec<Param<'_>> {
        let bp = |value, most| Slot::Count(value, 0..=most);
        vec![
            Param::new(
                "entry",
                "variants of the entry: open, close or both",
                Slot::Words(&mut self.entry, &ENTRIES),
            ),
            Param::new(
                "entry_tol_bp",
                "largest distance of the open from the support, bp",
                bp(&mut self.entry_tol_bp, 1_000),
            ),
            Param::new(
                "low_tol_bp",
                "how far the low may lie below the support, bp",
                bp(&mut self.low_tol_bp, 1_000),
            ),
            Param::new(
                "break_bp",
                "how far a close below the support breaks it, bp",
                Slot::Count(&mut self.break_bp, 100..=200),
            ),
            Param::new(
                "break_needs_flow",
                "a break counts only with selling at the level",
                Slot::Flag(&mut self.break_needs_flow),
            ),
            Param::new(
                "ofi_max",
                "highest order-flow imbalance of a break",
                Slot::Number(&mut self.ofi_max, -1.0..=1.0),
            ),
            Param::new("stop_bp", "stop below the entry, bp", Slot::Count(&mut self.stop_bp, 1..=9_000)),
            Param::new(
                "no_touch_days",
                "day from which a position that never touched the middle band is sold",
                Slot::Count(&mut self.no_touch_days, 1..=10_000),
            ),
            Param::new(
                "tp1",
                "price position at which half is sold",
                Slot::Number(&mut self.tp1, -1_000.0..=1_000.0),
            ),
            Param::new(
                "tp2",
                "price position at which everything is sold",
                Slot::Number(&mut self.tp2, -1_000.0..=1_000.0),
            ),
            Param::new(
                "near_res_bp",
                "distance from the resistance that counts as reached, bp",
                bp(&mut self.near_res_bp, 1_000),
            ),
        ]
    }

    /// The strategy with these parameters.
    pub fn rule(&self) -> BollingerMicroRule {
        BollingerMicroRule { params: self.clone(), stop_unevaluated: 0, bands_missing: 0 }
    }
}

/// The running strategy.
#[derive(Clone, Debug)]
pub struct BollingerMicroRule {
    params: BollingerMicro,
    stop_unevaluated: usize,
    bands_missing: usize,
}

/// What was sold at a level on a day.
struct FlowAtLevel {
    big_net_ratio: f64,
    order_flow_imbalance: f64,
}

impl BollingerMicroRule {
    fn has(&self, variant: &str) -> bool {
        self.params.entry.contains(&variant)
    }

    /// The close broke the support, and the flow says that it was sold.
    fn is_broken(&mut self, held: &Held, now: &StockClose<'_>) -> bool {
        if !is_below(now.bar.close, held.support_e4, self.params.break_bp) {
            return false;
        }
        if !self.params.break_needs_flow {
            return true;
        }
        match flow_at_level(held.support_e4, now) {
            Some(flow) => flow.big_net_ratio < 0.0 && flow.order_flow_imbalance <= self.params.ofi_max,
            None => {
                self.stop_unevaluated += 1;
                false
            }
        }
    }

    fn is_near_resistance(&self, held: &Held, close: i64) -> bool {
        held.resistance_e4.is_some_and(|level| !is_below(close, level, self.params.near_res_bp))
    }
}

/// `price < level·(1 − bp)`, exactly.
fn is_below(price: i64, level: i64, bp: usize) -> bool {
    i128::from(price) * BP < i128::from(level) * (BP - bp as i128)
}

/// Of the day's tests of the level, sums over sums; without any, of the whole day.
fn flow_at_level(level: i64, now: &StockClose<'_>) -> Option<FlowAtLevel> {
    let near = |test: &&LevelTest| i128::from((test.level_e4 - level).abs()) * 1_000 <= i128::from(level) * 2;
    let (mut value, mut big_net, mut signed) = (0.0, Some(0.0), 0.0);
    for test in now.facts.tests.iter().filter(near) {
        value += test.value;
        big_net = big_net.zip(test.big_net).map(|(sum, net)| sum + net);
        signed += test.signed;
    }
    match big_net {
        Some(big_net) if value > 0.0 => {
            Some(FlowAtLevel { big_net_ratio: big_net / value, order_flow_imbalance: signed / value })
        }
        Some(_) | None => {
            let day = now.facts.flow?;
            let (big_net_ratio, order_flow_imbalance) = (day.big_net_ratio?, day.order_flow_imbalance?);
            Some(FlowAtLevel { big_net_ratio, order_flow_imbalance })
        }
    }
}

impl DailyStrategy for BollingerMicroRule {
    fn at_open(&mut self, candidate: &Candidate, open_e4: i64) -> bool {
        let level = candidate.support_e4;
        let distance = i128::from((open_e4 - level).abs()) * BP;
        self.has("open") && distance < i128::from(level) * self.params.entry_tol_bp as i128
    }

    fn at_close(&mut self, candidate: &Candidate, bar: &DailyBar) -> bool {
        let level = candidate.support_e4;
        self.has("close") && !is_below(bar.low, level, self.params.low_tol_bp) && bar.close > level
    }

    fn stop_e4(&self, entry_e4: i64) -> Option<i64> {
        let scaled = i128::from(entry_e4) * (BP - self.params.stop_bp as i128);
        // 10⁻⁸ CNY to ticks of 10⁻² CNY, half up.
        let ticks = (2 * scaled + 1_000_000).div_euclid(2_000_000);
        i64::try_from(ticks).ok().map(|ticks| ticks * crate::dataset::TICK_E4)
    }

    fn on_close(&mut self, held: &mut Held, now: &StockClose<'_>) -> Option<Decision> {
        let facts = now.facts;
        self.bands_missing += usize::from(facts.middle_band.is_none());
        held.memo.touched |= facts.middle_band.is_some_and(|mid| now.bar.high as f64 / 1e4 >= mid);
        let all = |reason| Some(Decision { reason, part: Part::All });
        if self.is_broken(held, now) {
            return all(ExitReason::SupportBreak);
        }
        if held.days >= self.params.no_touch_days && !held.memo.touched {
            return all(ExitReason::NoTouch);
        }
        let position = facts.price_position;
        if position.is_some_and(|x| x >= self.params.tp2) || self.is_near_resistance(held, now.bar.close) {
            return all(ExitReason::Tp2);
        }
        if held.memo.stage == 0 && position.is_some_and(|x| x >= self.params.tp1) {
            held.memo.stage = 1;
            return Some(Decision { reason: ExitReason::Tp1, part: Part::Half });
        }
        None
    }

    fn tally(&self) -> Vec<(&'static str, usize)> {
        vec![("stop_unevaluated", self.stop_unevaluated), ("days_without_bands", self.bands_missing)]
    }
}
