//! What happened when the price came back to a level: table `stock_level_microstructure`.
//!
//! ```text
//!                 ┌─ band: L ± 0.5 % ─┐
//!  ···out│in in in│out <60 s│in in│out ≥60 s ···
//!        └──────── one test ──────┘    runs of trades in the band, joined over short ways out
//! ```
//! The scores named `_test` and the future returns look ahead of the test and are labels; `_live` is known
//! 60 s after it.

use serde::{Deserialize, Serialize};

use super::levels::Role;
use super::micro::cny;
use super::numbers::{from_e4, within};
use super::print::{DAY_MS, Print, trading_ms};
use crate::ashare::{StockCode, TickTime};
use crate::book::Side;
use crate::calendar::Day;
use crate::factor::columns::{columns, text_field};

/// How tests are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestSettings {
    /// Half width of the band around a level, basis points.
    pub band_bp: i64,
    /// Ways out of the band shorter than this join two runs, s.
    pub join_s: i64,
    /// Least trades in the band.
    pub min_ticks: usize,
    /// How long after the last trade in the band a breach still counts, s.
    pub penetration_grace_s: i64,
    /// Horizon of the future return within the day, s of trading time.
    pub horizon_s: i64,
    /// Weights of the support score: big net, all flow, no breach, future return.
    pub support: [f64; 4],
    /// Weights of the resistance score: big net, all flow, no breach, rejections, future return.
    pub resistance: [f64; 5],
}

impl Default for TestSettings {
    fn default() -> TestSettings {
        TestSettings {
            band_bp: 50,
            join_s: 60,
            min_ticks: 5,
            penetration_grace_s: 60,
            horizon_s: 1800,
            support: [0.35, 0.15, 0.25, 0.25],
            resistance: [0.35, 0.15, 0.25, 0.10, 0.15],
        }
    }
}

/// What a test is judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestedAs {
    /// Support.
    Support,
    /// Resistance, turned or not.
    Resistance,
    /// Resistance that has become support.
    Flip,
}

impl TestedAs {
    /// All of them.
    pub const ALL: [TestedAs; 3] = [TestedAs::Support, TestedAs::Resistance, TestedAs::Flip];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            TestedAs::Support => "support",
            TestedAs::Resistance => "resistance",
            TestedAs::Flip => "flip",
        }
    }

    /// Of a level in this role; `None` if it has none.
    pub fn of(role: Role) -> Option<TestedAs> {
        match role {
            Role::Support => Some(TestedAs::Support),
            Role::FlipSupport => Some(TestedAs::Flip),
            Role::Resistance | Role::FlipResistance => Some(TestedAs::Resistance),
            Role::Neutral => None,
        }
    }
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitSide {
    /// The next trade was above the band.
    Up,
    /// The next trade was below the band.
    Down,
    /// There was no further trade.
    SessionEnd,
}

impl ExitSide {
    /// All of them.
    pub const ALL: [ExitSide; 3] = [ExitSide::Up, ExitSide::Down, ExitSide::SessionEnd];

    /// As written in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitSide::Up => "up",
            ExitSide::Down => "down",
            ExitSide::SessionEnd => "session_end",
        }
    }
}

text_field!(TestedAs, ExitSide);

columns! {
    /// One row of `stock_level_microstructure`: one test of one level.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct LevelTestRow {
        /// Stock.
        pub ts_code: StockCode,
        /// Trading day.
        pub trade_date: Day,
        /// Price of the level, 1/10000 CNY of that day.
        pub level_e4: i64,
        /// Number of the test, from 1 in order of time.
        pub test_id: u32,
        /// Price of the level, CNY.
        pub level_price: f64,
        /// What it is judged as.
        pub level_type: TestedAs,
        /// What the level was at the close before.
        pub role: Role,
        /// Half width of the band, share of the level.
        pub band_pct: f64,
        /// Trades in the band.
        pub n_ticks: u32,
        /// First trade in the band, HHMMSSmmm.
        pub t_start: u32,
        /// Last trade in the band, HHMMSSmmm.
        pub t_end: u32,
        /// Was the day's first trade in it?
        pub opened_inside: bool,
        /// Last price in the band, CNY.
        pub last_price: f64,
        /// How it ended.
        pub exit_side: ExitSide,
        /// Volume in the band, shares.
        pub vol_total: i64,
        /// Value in the band, CNY.
        pub value_total: f64,
        /// Value of big trades that buyers took, CNY; null without a threshold known before the close.
        pub big_buy_value: Option<f64>,
        /// Value of big trades that sellers took, CNY.
        pub big_sell_value: Option<f64>,
        /// Buy minus sell, CNY.
        pub big_net_value: Option<f64>,
        /// Big net value over the value in the band.
        pub big_net_ratio: Option<f64>,
        /// (buy − sell) / value of all trades in the band.
        pub order_flow_imbalance: f64,
        /// Farthest that the price went through the level, share of it.
        pub max_penetration: f64,
        /// Share of time above the level.
        pub time_above_level_ratio: Option<f64>,
        /// Share of time below the level.
        pub time_below_level_ratio: Option<f64>,
        /// Tests of the day so far, this one too, that left on the defended side.
        pub tests_rejected: u32,
        /// Label: return of the next 30 minutes of trading.
        pub future_return_30m: Option<f64>,
        /// Label: return to the next day's close.
        pub future_return_1d: Option<f64>,
        /// Label: how well support held.
        pub support_absorption_score_test: Option<f64>,
        /// Label: how well resistance held.
        pub resistance_sell_absorption_score_test: Option<f64>,
        /// Label: how well turned support held.
        pub flip_support_score_test: Option<f64>,
        /// How well support held, known 60 s after the test.
        pub support_absorption_score_live: Option<f64>,
        /// How well resistance held, known 60 s after the test.
        pub resistance_sell_absorption_score_live: Option<f64>,
        /// How well turned support held, known 60 s after the test.
        pub flip_support_score_live: Option<f64>,
    }
}

impl LevelTestRow {
    /// `future_return_1d`: the next day's close, in prices of this day, over the last price in the band, minus 1.
    pub fn return_to(&self, next_close: f64) -> f64 {
        next_close / self.last_price - 1.0
    }

    /// The score of what it was judged as: the label, or what was known live where the label is missing.
    pub fn score(&self) -> Option<f64> {
        self.score_test().or(self.score_live())
    }

    /// The label.
    pub fn score_test(&self) -> Option<f64> {
        match self.level_type {
            TestedAs::Support => self.support_absorption_score_test,
            TestedAs::Resistance => self.resistance_sell_absorption_score_test,
            TestedAs::Flip => self.flip_support_score_test,
        }
    }

    /// What was known 60 s after the test.
    pub fn score_live(&self) -> Option<f64> {
        match self.level_type {
            TestedAs::Support => self.support_absorption_score_live,
            TestedAs::Resistance => self.resistance_sell_absorption_score_live,
            TestedAs::Flip => self.flip_support_score_live,
        }
    }
}

/// A trade of the sessions at its trading time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tick {
    at_ms: i64,
    print: Print,
}

/// A day's trades in the sessions, in the order of the exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    ticks: Vec<Tick>,
}

impl Session {
    /// Those of these trades that lie in a session. Trades of one time keep their order.
    pub fn new(prints: &[Print]) -> Session {
        let tick = |p: &Print| trading_ms(p.time).map(|at_ms| Tick { at_ms, print: *p });
        let mut ticks: Vec<Tick> = prints.iter().filter_map(tick).collect();
        ticks.sort_by_key(|t| t.at_ms);
        Session { ticks }
    }

    /// Last trade at or before this trading time.
    fn last_at(&self, at_ms: i64) -> Option<&Tick> {
        self.ticks[..self.ticks.partition_point(|t| t.at_ms <= at_ms)].last()
    }
}

/// The level that is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestedLevel {
    /// Stock.
    pub code: StockCode,
    /// The day of the tests.
    pub day: Day,
    /// Price, 1/10000 CNY of that day.
    pub level_e4: i64,
    /// What it was at the close before.
    pub role: Role,
    /// A trade is big from this value on, CNY; `None`: nothing can be called big.
    pub big_threshold: Option<f64>,
}

/// The tests of a level in order of time, and how many runs were too short to be one. A level without a role
/// has none. `future_return_1d` is null: the next day fills it.
pub fn tests(level: &TestedLevel, session: &Session, settings: &TestSettings) -> (Vec<LevelTestRow>, usize) {
    let Some(as_what) = TestedAs::of(level.role) else { return (Vec::new(), 0) };
    let runs = runs(level.level_e4, session, settings);
    let all = runs.len();
    let kept: Vec<Vec<usize>> = runs.into_iter().filter(|r| r.len() >= settings.min_ticks).collect();
    let (mut rows, mut rejected) = (Vec::new(), 0);
    for (i, run) in kept.iter().enumerate() {
        let test = Test { level, session, settings, as_what, run };
        let defended = match as_what {
            TestedAs::Support | TestedAs::Flip => ExitSide::Up,
            TestedAs::Resistance => ExitSide::Down,
        };
        rejected += u32::from(test.exit_side() == defended);
        rows.push(test.row(i as u32 + 1, rejected));
    }
    let short = all - rows.len();
    (rows, short)
}

/// Joined runs, each as the places of its trades in the band.
fn runs(level_e4: i64, session: &Session, settings: &TestSettings) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut left_at: Option<i64> = None;
    let mut open = false;
    for (i, tick) in session.ticks.iter().enumerate() {
        if !within((tick.print.price_e4 - level_e4).abs(), level_e4, settings.band_bp) {
            if open {
                (open, left_at) = (false, Some(tick.at_ms));
            }
            continue;
        }
        let joins = open || left_at.is_some_and(|left| tick.at_ms - left < settings.join_s * 1000);
        match runs.last_mut() {
            Some(run) if joins => run.push(i),
            _ => runs.push(vec![i]),
        }
        open = true;
    }
    runs
}

struct Test<'a> {
    level: &'a TestedLevel,
    session: &'a Session,
    settings: &'a TestSettings,
    as_what: TestedAs,
    run: &'a [usize],
}

/// What the trades in the band add up to, exact.
#[derive(Default)]
struct Flow {
    value: i64,
    volume: i64,
    taken: [i64; 2],
    big: [i64; 2],
}

impl Test<'_> {
    fn tick(&self, i: usize) -> &Tick {
        &self.session.ticks[i]
    }

    fn first(&self) -> usize {
        self.run[0]
    }

    fn last(&self) -> usize {
        self.run[self.run.len() - 1]
    }

    fn exit_side(&self) -> ExitSide {
        match self.session.ticks.get(self.last() + 1) {
            None => ExitSide::SessionEnd,
            Some(next) if next.print.price_e4 > self.level.level_e4 => ExitSide::Up,
            Some(_) => ExitSide::Down,
        }
    }

    fn flow(&self) -> Flow {
        let mut flow = Flow::default();
        for print in self.run.iter().map(|i| &self.tick(*i).print) {
            let value = print.value_e4();
            flow.value += value;
            flow.volume += print.qty;
            let at = match print.aggressor {
                Some(Side::Bid) => 0,
                Some(Side::Ask) => 1,
                None => continue,
            };
            flow.taken[at] += value;
            if self.level.big_threshold.is_some_and(|t| cny(value) >= t) {
                flow.big[at] += value;
            }
        }
        flow
    }

    /// Trades out of the band count, or a breach could never exceed it.
    fn penetration(&self) -> f64 {
        let until = self.tick(self.last()).at_ms + self.settings.penetration_grace_s * 1000;
        let seen = self.session.ticks[self.first()..].iter().take_while(|t| t.at_ms <= until);
        let through = seen.map(|t| match self.as_what {
            TestedAs::Support | TestedAs::Flip => self.level.level_e4 - t.print.price_e4,
            TestedAs::Resistance => t.print.price_e4 - self.level.level_e4,
        });
        through.max().unwrap_or_default().max(0) as f64 / self.level.level_e4 as f64
    }

    /// Shares of time above and below the level; a trade lasts until the stock's next one, at most 60 s.
    fn time_shares(&self) -> (Option<f64>, Option<f64>) {
        let (mut above, mut below, mut all) = (0, 0, 0);
        for i in self.run {
            let tick = self.tick(*i);
            let ms = self.session.ticks.get(i + 1).map_or(0, |next| (next.at_ms - tick.at_ms).min(60_000));
            all += ms;
            match tick.print.price_e4.cmp(&self.level.level_e4) {
                std::cmp::Ordering::Greater => above += ms,
                std::cmp::Ordering::Less => below += ms,
                std::cmp::Ordering::Equal => {}
            }
        }
        let share = |ms: i64| (all > 0).then(|| ms as f64 / all as f64);
        (share(above), share(below))
    }

    fn future_return(&self) -> Option<f64> {
        let last = self.tick(self.last());
        let at = last.at_ms + self.settings.horizon_s * 1000;
        if at > DAY_MS {
            return None;
        }
        let then = self.session.last_at(at)?;
        Some(then.print.price_e4 as f64 / last.print.price_e4 as f64 - 1.0)
    }

    fn row(&self, test_id: u32, rejected: u32) -> LevelTestRow {
        let (level, flow) = (self.level, self.flow());
        let value = cny(flow.value);
        let known = |e4: i64| level.big_threshold.map(|_| cny(e4));
        let big_net_ratio = known(flow.big[0] - flow.big[1]).map(|net| net / value);
        let imbalance = cny(flow.taken[0] - flow.taken[1]) / value;
        let (penetration, future) = (self.penetration(), self.future_return());
        let seen = Seen { big_net_ratio, imbalance, penetration, rejected };
        let live = seen.score(self.as_what, None, self.settings);
        let test = future.and_then(|f| seen.score(self.as_what, Some(f), self.settings));
        let only = |what: TestedAs, score: Option<f64>| score.filter(|_| self.as_what == what);
        let (above, below) = self.time_shares();
        let time = |i: usize| -> TickTime { self.tick(i).print.time };
        LevelTestRow {
            ts_code: level.code,
            trade_date: level.day,
            level_e4: level.level_e4,
            test_id,
            level_price: from_e4(level.level_e4),
            level_type: self.as_what,
            role: level.role,
            band_pct: self.settings.band_bp as f64 / 10_000.0,
            n_ticks: self.run.len() as u32,
            t_start: time(self.first()).0,
            t_end: time(self.last()).0,
            opened_inside: self.first() == 0,
            last_price: from_e4(self.tick(self.last()).print.price_e4),
            exit_side: self.exit_side(),
            vol_total: flow.volume,
            value_total: value,
            big_buy_value: known(flow.big[0]),
            big_sell_value: known(flow.big[1]),
            big_net_value: known(flow.big[0] - flow.big[1]),
            big_net_ratio,
            order_flow_imbalance: imbalance,
            max_penetration: penetration,
            time_above_level_ratio: above,
            time_below_level_ratio: below,
            tests_rejected: rejected,
            future_return_30m: future,
            future_return_1d: None,
            support_absorption_score_test: only(TestedAs::Support, test),
            resistance_sell_absorption_score_test: only(TestedAs::Resistance, test),
            flip_support_score_test: only(TestedAs::Flip, test),
            support_absorption_score_live: only(TestedAs::Support, live),
            resistance_sell_absorption_score_live: only(TestedAs::Resistance, live),
            flip_support_score_live: only(TestedAs::Flip, live),
        }
    }
}

/// What a score is made of.
struct Seen {
    big_net_ratio: Option<f64>,
    imbalance: f64,
    penetration: f64,
    rejected: u32,
}

impl Seen {
    /// ```text
    /// support     w·[ g(½+bn)  g(½+of/2)  g(1−pen)              g(½+fr/2b) ]     g = clip to [0, 1]
    /// resistance  w·[ g(½−bn)  g(½−of/2)  g(1−pen)  g(tests/3)  g(½−fr/2b) ]
    /// ```
    /// Without the future return the last term is left out, and the others make up the whole.
    fn score(&self, as_what: TestedAs, future: Option<f64>, settings: &TestSettings) -> Option<f64> {
        let g = |x: f64| x.clamp(0.0, 1.0);
        let band = settings.band_bp as f64 / 10_000.0;
        let (bn, of) = (self.big_net_ratio?, self.imbalance);
        let held = g(1.0 - self.penetration / band);
        let terms = match as_what {
            TestedAs::Support | TestedAs::Flip => vec![g(0.5 + bn), g(0.5 + of / 2.0), held],
            TestedAs::Resistance => {
                vec![g(0.5 - bn), g(0.5 - of / 2.0), held, g(f64::from(self.rejected) / 3.0)]
            }
        };
        let (weights, sign): (&[f64], f64) = match as_what {
            TestedAs::Support | TestedAs::Flip => (&settings.support, 1.0),
            TestedAs::Resistance => (&settings.resistance, -1.0),
        };
        let known: f64 = terms.iter().zip(weights).map(|(t, w)| t * w).sum();
        match future {
            Some(fr) => Some(known + weights[terms.len()] * g(0.5 + sign * fr / (2.0 * band))),
            None => Some(known / weights[..terms.len()].iter().sum::<f64>()),
        }
    }
}
