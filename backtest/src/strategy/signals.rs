//! Follows stored signals: what was decided live or in a replay, traded on bars.

use serde::Serialize;

use crate::engine::{Intent, Moment};
use crate::model::Side;
use crate::strategy::Strategy;
use crate::strategy::params::{Param, Slot};

/// The signals that are followed, and how positions end beside them.
///
/// ```text
/// enter, flip    opens in the signal's direction (a flip closes the other side first)
/// exit           closes
/// ```
/// Every signal that became known since the last bar counts, in order; the last one decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Signals {
    /// Follow only this rule. Default none: every source.
    pub rule_id: Option<String>,
    /// Stop loss, fraction of the entry. Default none.
    pub sl: Option<f64>,
    /// Take profit, fraction of the entry. Default none.
    pub tp: Option<f64>,
    /// Longest holding time, bars. Default none.
    pub max_hold: Option<usize>,
    /// Follow signals to sell too. Default false: they only close.
    pub short: bool,
}

impl Signals {
    pub(super) fn fields(&mut self) -> Vec<Param<'_>> {
        let exits = super::params::exits(&mut self.sl, &mut self.tp, &mut self.max_hold, &mut self.short);
        let own = Param::new("rule_id", "follow only this rule", Slot::MaybeText(&mut self.rule_id));
        std::iter::once(own).chain(exits).collect()
    }

    /// The rule with these parameters.
    pub fn rule(&self) -> SignalsRule {
        SignalsRule { rule_id: self.rule_id.clone(), short: self.short, next: 0 }
    }
}

/// The running rule.
#[derive(Clone, Debug)]
pub struct SignalsRule {
    rule_id: Option<String>,
    short: bool,
    next: usize,
}

impl Strategy for SignalsRule {
    fn on_bar(&mut self, now: &Moment<'_>) -> Intent {
        let known = now.signals();
        let fresh = known.get(self.next..).unwrap_or_default();
        self.next = known.len();
        let followed = |rule: &str| self.rule_id.as_deref().is_none_or(|id| id == rule);
        let Some(last) = fresh.iter().rfind(|signal| followed(&signal.rule_id)) else {
            return Intent::default();
        };
        let opens = match last.dir {
            1.. => Some(Side::Long),
            0 => None,
            ..0 => Some(Side::Short),
        };
        Intent {
            enter: opens.filter(|side| *side == Side::Long || self.short),
            exit_long: opens != Some(Side::Long),
            exit_short: opens != Some(Side::Short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Series, StoredSignal};

    fn signal(known_ms: i64, rule_id: &str, dir: i8) -> StoredSignal {
        StoredSignal { known_ms, rule_id: rule_id.to_owned(), dir }
    }

    #[test]
    fn a_signal_counts_on_the_first_bar_that_ends_when_it_is_known() {
        let mut series = Series::from_ohlc("v", "S", 1_000, 0, &[[1.0; 4]; 5]).expect("series");
        series.signals = vec![signal(2_000, "a", 1), signal(3_001, "b", 0), signal(4_500, "a", -1)];
        let intents = |params: &Signals| -> Vec<Intent> {
            let mut rule = params.rule();
            (0..5).map(|i| rule.on_bar(&Moment::new(&series, i))).collect()
        };
        let got = intents(&Signals::default());
        assert_eq!(got[0], Intent::default());
        assert_eq!(got[1], Intent { enter: Some(Side::Long), exit_long: false, exit_short: true });
        assert_eq!(got[2], Intent::default(), "known 1 ms after the bar");
        assert_eq!(got[3], Intent { enter: None, exit_long: true, exit_short: true });
        assert_eq!(got[4], Intent { enter: None, exit_long: true, exit_short: false }, "may not sell short");
        let only_a = Signals { rule_id: Some("a".to_owned()), short: true, ..Signals::default() };
        assert_eq!(intents(&only_a)[3], Intent::default());
        assert_eq!(intents(&only_a)[4].enter, Some(Side::Short));
    }
}
