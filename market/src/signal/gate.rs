//! From what a source would say on each row to what is held: one state machine for fusion and rules.
//!
//! ```text
//!            enter (ripe, not cooling)                       upgrade ─▶ Strong
//!  Neutral ─────────────────────────────▶ Held dir, strength
//!     ▲                                        │  ▲          downgrade ─▶ Normal
//!     └── exit (not kept, invalid, gap) ───────┤  │
//!                                              └──┘ flip (opposite, clear enough, ripe)
//! ```
//! A cooldown delays a new entry after an exit and never rewrites what is held.

use serde::{Deserialize, Serialize};

use crate::signal::{SignalEvent, SignalState};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dir {
    /// Up.
    Buy,
    /// Down.
    Sell,
}

impl Dir {
    /// The direction of a signed number; `None` for 0 and NaN.
    pub fn of(x: f64) -> Option<Dir> {
        match x.partial_cmp(&0.0)? {
            std::cmp::Ordering::Greater => Some(Dir::Buy),
            std::cmp::Ordering::Less => Some(Dir::Sell),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// +1 or −1.
    pub fn sign(self) -> i8 {
        match self {
            Dir::Buy => 1,
            Dir::Sell => -1,
        }
    }

    /// The other one.
    pub fn opposite(self) -> Dir {
        match self {
            Dir::Buy => Dir::Sell,
            Dir::Sell => Dir::Buy,
        }
    }
}

/// How much stands behind a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strength {
    /// Enough.
    Normal,
    /// More than that.
    Strong,
}

/// What is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing.
    #[default]
    Neutral,
    /// A direction.
    Held {
        /// Which.
        dir: Dir,
        /// How strongly.
        strength: Strength,
        /// Since this evaluation time: its entry or flip, ms.
        since_ms: i64,
    },
}

impl Phase {
    /// As a signal.
    pub fn state(self) -> SignalState {
        match self {
            Phase::Neutral => SignalState::Neutral,
            Phase::Held { dir: Dir::Buy, strength: Strength::Normal, .. } => SignalState::Buy,
            Phase::Held { dir: Dir::Buy, strength: Strength::Strong, .. } => SignalState::StrongBuy,
            Phase::Held { dir: Dir::Sell, strength: Strength::Normal, .. } => SignalState::Sell,
            Phase::Held { dir: Dir::Sell, strength: Strength::Strong, .. } => SignalState::StrongSell,
        }
    }

    /// The direction held.
    pub fn dir(self) -> Option<Dir> {
        match self {
            Phase::Neutral => None,
            Phase::Held { dir, .. } => Some(dir),
        }
    }

    /// Since when, ms.
    pub fn since_ms(self) -> Option<i64> {
        match self {
            Phase::Neutral => None,
            Phase::Held { since_ms, .. } => Some(since_ms),
        }
    }
}

/// Why a row ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Too long since the row before.
    Gap,
    /// The row cannot be used.
    Invalid,
    /// Not enough rows yet.
    Warmup,
    /// The direction is too young.
    MinDuration,
    /// Too soon after an exit.
    Cooldown,
    /// Entered.
    Enter,
    /// Turned at once.
    Flip,
    /// The opposite is wanted, not strongly enough to turn at once.
    Opposite,
    /// No longer enough to be kept.
    Exit,
    /// Became strong.
    Upgrade,
    /// No longer strong.
    Downgrade,
    /// Kept.
    Hold,
    /// The fusion score is too small.
    BelowEnter,
    /// The fusion legs disagree.
    LowConsistency,
    /// The leaves of a rule have no common vote.
    NoVote,
}

impl Reason {
    /// Its text in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Gap => "gap",
            Reason::Invalid => "invalid",
            Reason::Warmup => "warmup",
            Reason::MinDuration => "min_duration",
            Reason::Cooldown => "cooldown",
            Reason::Enter => "enter",
            Reason::Flip => "flip",
            Reason::Opposite => "opposite",
            Reason::Exit => "exit",
            Reason::Upgrade => "upgrade",
            Reason::Downgrade => "downgrade",
            Reason::Hold => "hold",
            Reason::BelowEnter => "below_enter",
            Reason::LowConsistency => "low_consistency",
            Reason::NoVote => "no_vote",
        }
    }
}

/// Times of a gate, in event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSettings {
    /// Counting rows before the first entry.
    pub warmup_n: u32,
    /// A direction must be wanted this long before it is taken, ms.
    pub min_duration_ms: i64,
    /// No entry for this long after an exit, ms; a clear reversal passes.
    pub cooldown_ms: i64,
    /// More than this between two rows ends what is held, ms.
    pub max_gap_ms: i64,
}

/// What a source says on one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateInput {
    /// Evaluation time: the end of the row's window, ms.
    pub ts_ms: i64,
    /// The row can be used.
    pub valid: bool,
    /// What it would enter now.
    pub raw: Option<(Dir, Strength)>,
    /// Enough to stay in the direction held.
    pub keep: bool,
    /// Enough to stay strong.
    pub keep_strong: bool,
    /// Clear enough to reverse at once.
    pub flip_ok: bool,
    /// The row counts for the warm-up.
    pub counts: bool,
    /// The reason if it would enter nothing.
    pub why: Reason,
}

/// What a row did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateStep {
    /// What changed.
    pub event: SignalEvent,
    /// Why.
    pub reason: Reason,
}

/// The state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    phase: Phase,
    seen: u32,
    candidate: Option<(i64, Dir)>,
    last_exit: Option<(i64, Dir)>,
    last_ts: Option<i64>,
}

impl Gate {
    /// What is held.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Is a row at this time refused, because it is not newer than the last one?
    pub fn refuses(&self, ts_ms: i64) -> bool {
        self.last_ts.is_some_and(|last| ts_ms <= last)
    }

    /// Takes one row; `None` if it is refused, and then nothing has changed.
    pub fn step(&mut self, settings: &GateSettings, input: &GateInput) -> Option<GateStep> {
        if self.refuses(input.ts_ms) {
            return None;
        }
        let before = self.last_ts.replace(input.ts_ms);
        if before.is_some_and(|last| input.ts_ms - last > settings.max_gap_ms) {
            return Some(self.drop_out(input.ts_ms, Reason::Gap));
        }
        if !input.valid {
            return Some(self.drop_out(input.ts_ms, Reason::Invalid));
        }
        if self.seen < settings.warmup_n {
            self.seen += u32::from(input.counts);
            return Some(none(Reason::Warmup));
        }
        let ripe = self.ripen(settings, input);
        Some(match self.phase {
            Phase::Neutral => self.when_neutral(settings, input, ripe),
            Phase::Held { dir, strength, .. } => self.when_held(input, ripe, dir, strength),
        })
    }

    fn drop_out(&mut self, ts_ms: i64, reason: Reason) -> GateStep {
        self.candidate = None;
        match self.phase.dir() {
            Some(dir) => self.exit(ts_ms, dir, reason),
            None => none(reason),
        }
    }

    /// Follows the direction wanted; has it been wanted long enough?
    fn ripen(&mut self, settings: &GateSettings, input: &GateInput) -> bool {
        let wanted = input.raw.map(|(dir, _)| dir).filter(|dir| Some(*dir) != self.phase.dir());
        self.candidate = match (self.candidate, wanted) {
            (_, None) => None,
            (Some((since, dir)), Some(wanted)) if dir == wanted => Some((since, dir)),
            (Some(_) | None, Some(wanted)) => Some((input.ts_ms, wanted)),
        };
        self.candidate.is_some_and(|(since, _)| input.ts_ms - since >= settings.min_duration_ms)
    }

    fn when_neutral(&mut self, settings: &GateSettings, input: &GateInput, ripe: bool) -> GateStep {
        let Some((dir, strength)) = input.raw else { return none(input.why) };
        let cooling = self.last_exit.is_some_and(|(at, left)| {
            input.ts_ms - at < settings.cooldown_ms && !(input.flip_ok && dir == left.opposite())
        });
        if !ripe {
            none(Reason::MinDuration)
        } else if cooling {
            none(Reason::Cooldown)
        } else {
            self.hold(input.ts_ms, dir, strength);
            GateStep { event: SignalEvent::Enter, reason: Reason::Enter }
        }
    }

    fn when_held(&mut self, input: &GateInput, ripe: bool, dir: Dir, strength: Strength) -> GateStep {
        match input.raw {
            Some((wanted, wanted_strength)) if wanted != dir && input.flip_ok && ripe => {
                self.last_exit = Some((input.ts_ms, dir));
                self.hold(input.ts_ms, wanted, wanted_strength);
                GateStep { event: SignalEvent::Flip, reason: Reason::Flip }
            }
            Some((wanted, _)) if wanted != dir && !input.keep => {
                self.exit(input.ts_ms, dir, Reason::Opposite)
            }
            None if !input.keep => self.exit(input.ts_ms, dir, Reason::Exit),
            Some((wanted, stronger)) if wanted == dir && stronger > strength => {
                self.set_strength(stronger);
                GateStep { event: SignalEvent::Upgrade, reason: Reason::Upgrade }
            }
            Some(_) | None if strength == Strength::Strong && !input.keep_strong => {
                self.set_strength(Strength::Normal);
                GateStep { event: SignalEvent::Downgrade, reason: Reason::Downgrade }
            }
            Some(_) | None => none(Reason::Hold),
        }
    }

    fn hold(&mut self, since_ms: i64, dir: Dir, strength: Strength) {
        self.phase = Phase::Held { dir, strength, since_ms };
        self.candidate = None;
    }

    fn exit(&mut self, ts_ms: i64, dir: Dir, reason: Reason) -> GateStep {
        self.phase = Phase::Neutral;
        self.last_exit = Some((ts_ms, dir));
        GateStep { event: SignalEvent::Exit, reason }
    }

    fn set_strength(&mut self, to: Strength) {
        if let Phase::Held { strength, .. } = &mut self.phase {
            *strength = to;
        }
    }
}

fn none(reason: Reason) -> GateStep {
    GateStep { event: SignalEvent::None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: GateSettings =
        GateSettings { warmup_n: 0, min_duration_ms: 1_000, cooldown_ms: 3_000, max_gap_ms: 5_000 };

    fn phases() -> Vec<Phase> {
        let mut phases = vec![Phase::Neutral];
        for dir in [Dir::Buy, Dir::Sell] {
            for strength in [Strength::Normal, Strength::Strong] {
                phases.push(Phase::Held { dir, strength, since_ms: 0 });
            }
        }
        phases
    }

    /// Every phase, every candidate and last exit, and every input that differs to the table.
    fn walk(mut visit: impl FnMut(Gate, GateInput)) {
        let raws = [
            None,
            Some((Dir::Buy, Strength::Normal)),
            Some((Dir::Buy, Strength::Strong)),
            Some((Dir::Sell, Strength::Normal)),
            Some((Dir::Sell, Strength::Strong)),
        ];
        let marks = [None, Some((9_000, Dir::Buy)), Some((9_000, Dir::Sell)), Some((5_000, Dir::Sell))];
        for (phase, raw) in phases().into_iter().flat_map(|p| raws.map(|r| (p, r))) {
            for (candidate, last_exit) in marks.into_iter().flat_map(|c| marks.map(|e| (c, e))) {
                for flags in 0..32u8 {
                    let flag = |bit: u8| flags & (1 << bit) != 0;
                    let last_ts = Some(if flag(4) { 9_000 } else { 1_000 });
                    let (keep, keep_strong, flip_ok, valid) = (flag(0), flag(1), flag(2), flag(3));
                    let why = Reason::BelowEnter;
                    let input = GateInput {
                        ts_ms: 10_000,
                        valid,
                        raw,
                        keep,
                        keep_strong,
                        flip_ok,
                        counts: true,
                        why,
                    };
                    visit(Gate { phase, seen: 0, candidate, last_exit, last_ts }, input);
                }
            }
        }
    }

    /// The table of the page once more, written as it is printed there: first line that fits.
    fn by_the_table(gate: &Gate, input: &GateInput) -> (SignalEvent, Reason, SignalState) {
        use SignalEvent as E;
        let (ts, held) = (input.ts_ms, gate.phase.dir());
        let raw = input.raw.map(|(dir, _)| dir);
        let here = gate.phase.state();
        let entered = input.raw.map(|(dir, strength)| Phase::Held { dir, strength, since_ms: ts }.state());
        let leave = |reason| match held {
            Some(_) => (E::Exit, reason, SignalState::Neutral),
            None => (E::None, reason, here),
        };
        if gate.last_ts.is_some_and(|last| ts - last > SETTINGS.max_gap_ms) {
            return leave(Reason::Gap);
        }
        if !input.valid {
            return leave(Reason::Invalid);
        }
        let since = match (raw, gate.candidate) {
            (None, _) => None,
            (raw, _) if raw == held => None,
            (Some(d), Some((at, c))) if c == d => Some(at),
            (Some(_), _) => Some(ts),
        };
        let ripe = since.is_some_and(|at| ts - at >= SETTINGS.min_duration_ms);
        let reversal = |left: Dir| input.flip_ok && raw == Some(left.opposite());
        let cooling = gate.last_exit.is_some_and(|(at, d)| ts - at < SETTINGS.cooldown_ms && !reversal(d));
        let Some(d) = held else {
            return match entered {
                None => (E::None, input.why, here),
                Some(_) if !ripe => (E::None, Reason::MinDuration, here),
                Some(_) if cooling => (E::None, Reason::Cooldown, here),
                Some(state) => (E::Enter, Reason::Enter, state),
            };
        };
        let against = raw == Some(d.opposite());
        let normal = Phase::Held { dir: d, strength: Strength::Normal, since_ms: 0 }.state();
        let strong = Phase::Held { dir: d, strength: Strength::Strong, since_ms: 0 }.state();
        if against && input.flip_ok && ripe {
            (E::Flip, Reason::Flip, entered.expect("raw"))
        } else if against && !input.keep {
            (E::Exit, Reason::Opposite, SignalState::Neutral)
        } else if raw.is_none() && !input.keep {
            (E::Exit, Reason::Exit, SignalState::Neutral)
        } else if input.raw == Some((d, Strength::Strong)) && here == normal {
            (E::Upgrade, Reason::Upgrade, strong)
        } else if here == strong && !input.keep_strong {
            (E::Downgrade, Reason::Downgrade, normal)
        } else {
            (E::None, Reason::Hold, here)
        }
    }

    #[test]
    fn every_phase_and_input_follows_the_table() {
        let mut n = 0;
        walk(|gate, input| {
            let want = by_the_table(&gate, &input);
            let mut stepped = gate.clone();
            let step = stepped.step(&SETTINGS, &input).expect("newer");
            assert_eq!((step.event, step.reason, stepped.phase.state()), want, "{gate:?} {input:?}");
            let left = gate.phase.dir().filter(|dir| stepped.phase.dir() != Some(*dir));
            if let Some(dir) = left {
                assert_eq!(stepped.last_exit, Some((input.ts_ms, dir)), "every way out is remembered");
            }
            n += 1;
        });
        assert_eq!(n, 5 * 5 * 16 * 32);
    }

    #[test]
    fn a_row_that_is_not_newer_is_refused_and_changes_nothing() {
        walk(|gate, input| {
            let mut stepped = Gate { last_ts: Some(input.ts_ms), ..gate };
            let before = stepped.clone();
            assert_eq!(stepped.step(&SETTINGS, &input), None);
            assert_eq!(stepped, before);
        });
    }

    #[test]
    fn warm_up_counts_only_rows_that_count() {
        let settings = GateSettings { warmup_n: 2, ..SETTINGS };
        let mut gate = Gate::default();
        let mut reason = |ts_ms: i64, counts: bool| {
            let raw = None;
            let (keep, keep_strong, flip_ok, valid, why) = (false, false, false, true, Reason::NoVote);
            let input = GateInput { ts_ms, valid, raw, keep, keep_strong, flip_ok, counts, why };
            gate.step(&settings, &input).expect("newer").reason
        };
        let reasons = [reason(1_000, true), reason(2_000, false), reason(3_000, true), reason(4_000, true)];
        assert_eq!(reasons, [Reason::Warmup, Reason::Warmup, Reason::Warmup, Reason::NoVote]);
    }
}
