//! Order-flow imbalance: what changed at the best five levels between two books.

use serde::{Deserialize, Serialize};

use crate::book::Side;
use crate::event::Level;
use crate::factor::imbalance::{Top, W5};
use crate::factor::maths::finite;
use crate::factor::row::FactorRow;
use crate::price::Step;

/// Levels of the family.
pub const LEVELS: usize = W5.len();

/// Flow at levels 1..5 between two consecutive books of one epoch, lots (Xu, Gould & Howison 2018). Level m is
/// compared with level m; level 1 is the order-flow imbalance of Cont, Kukanov & Stoikov (2014):
///
/// ```text
/// e = [b >= b']·q - [b <= b']·q' - [a <= a']·r + [a >= a']·r'
/// ```
/// with bid b of size q, ask a of size r, and primes for the book before. A level that appears adds its size,
/// one that vanishes takes it away.
pub fn flow(before: &Top, now: &Top) -> [i128; LEVELS] {
    let (bid, bid0) = (now.side(Side::Bid).levels(), before.side(Side::Bid).levels());
    let (ask, ask0) = (now.side(Side::Ask).levels(), before.side(Side::Ask).levels());
    std::array::from_fn(|m| {
        gained(bid.get(m), bid0.get(m), |now, before| now.px > before.px)
            - gained(ask.get(m), ask0.get(m), |now, before| now.px < before.px)
    })
}

/// Size that a level won; `better` says that its price moved towards the other side.
fn gained(now: Option<&Level>, before: Option<&Level>, better: impl Fn(&Level, &Level) -> bool) -> i128 {
    let (won, lost) = match (now, before) {
        (None, None) => (0, 0),
        (Some(now), None) => (now.qty.0, 0),
        (None, Some(before)) => (0, before.qty.0),
        (Some(now), Some(before)) if now.px == before.px => (now.qty.0, before.qty.0),
        (Some(now), Some(before)) if better(now, before) => (now.qty.0, 0),
        (Some(_), Some(before)) => (0, before.qty.0),
    };
    i128::from(won) - i128::from(lost)
}

/// Flow of the open second. The first book after a gap has no predecessor and adds nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ofi {
    sums: [i128; LEVELS],
    top: Option<Top>,
}

impl Ofi {
    /// The next book; `None` while it may not be used.
    pub fn on_book(&mut self, top: Option<Top>) {
        if let (Some(before), Some(now)) = (&self.top, &top)
            && before != now
        {
            for (sum, e) in self.sums.iter_mut().zip(flow(before, now)) {
                *sum += e;
            }
        }
        self.top = top;
    }

    /// Continuity is broken: the next book is a first one.
    pub fn forget(&mut self) {
        self.top = None;
    }

    /// The book after the last event, if it may be used.
    pub fn top(&self) -> Option<&Top> {
        self.top.as_ref()
    }

    /// Writes the flow columns of a second that the book was right in from end to end.
    pub fn fill(&self, row: &mut FactorRow, lot: Step) {
        let [e1, e2, e3, e4, e5] = self.sums.map(|lots| lot.value(lots));
        row.ofi = finite(e1);
        row.mlofi_2 = finite(e2);
        row.mlofi_3 = finite(e3);
        row.mlofi_4 = finite(e4);
        row.mlofi_5 = finite(e5);
        row.ofi_w = finite([e1, e2, e3, e4, e5].iter().zip(W5).fold(0.0, |sum, (e, w)| sum + w * e));
    }

    /// A new second begins.
    pub fn next_second(&mut self) {
        self.sums = [0; LEVELS];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::factor::imbalance::tests::top;

    #[test]
    fn the_hand_computed_table() {
        let books =
            [(50, 6, 51, 9), (50, 9, 51, 9), (51, 4, 53, 5), (51, 4, 52, 8), (49, 7, 52, 3), (49, 7, 50, 2)]
                .map(|(b, q, a, r)| top(&[(b, q)], &[(a, r)], None));
        let e: Vec<_> = books.windows(2).map(|pair| flow(&pair[0], &pair[1])[0]).collect();
        assert_eq!(e, [3, 13, -8, 1, -2]);
    }

    #[test]
    fn levels_that_come_and_go() {
        let before = top(&[(50, 6), (49, 4)], &[(52, 9), (54, 3)], None);
        let now = top(&[(51, 4), (50, 6)], &[(52, 9), (53, 2)], None);
        let gone = top(&[(51, 4), (50, 6)], &[(52, 9)], None);
        assert_eq!(flow(&before, &now), [4, 4, 0, 0, 0]);
        assert_eq!(flow(&now, &gone), [0, 2, 0, 0, 0]);
    }

    #[test]
    fn a_forgotten_book_is_never_compared_with() {
        let mut ofi = Ofi::default();
        ofi.on_book(Some(top(&[(50, 6)], &[(51, 9)], None)));
        ofi.forget();
        ofi.on_book(Some(top(&[(60, 1)], &[(61, 1)], None)));
        assert_eq!(ofi.sums, [0; 5]);
        ofi.on_book(Some(top(&[(60, 3)], &[(61, 1)], None)));
        assert_eq!(ofi.sums[0], 2);
    }

    /// The formula as printed, both indicator terms at an equal price.
    fn printed(b: (i64, i64), a: (i64, i64), b0: (i64, i64), a0: (i64, i64)) -> i64 {
        let on = i64::from;
        on(b.0 >= b0.0) * b.1 - on(b.0 <= b0.0) * b0.1 - on(a.0 <= a0.0) * a.1 + on(a.0 >= a0.0) * a0.1
    }

    proptest! {
        #[test]
        fn level_one_is_the_printed_formula_and_a_side_swap_negates(
            q in prop::array::uniform4(1i64..50), moves in prop::array::uniform2(-2i64..3),
        ) {
            let (b0, a0) = ((100, q[0]), (103, q[1]));
            let (b, a) = ((100 + moves[0].min(1), q[2]), (103 + moves[1].max(-1), q[3]));
            let e = flow(&top(&[b0], &[a0], None), &top(&[b], &[a], None));
            prop_assert_eq!(e[0], i128::from(printed(b, a, b0, a0)));
            let mirror = |x: (i64, i64)| (-x.0, x.1);
            let swapped = flow(
                &top(&[mirror(a0)], &[mirror(b0)], None),
                &top(&[mirror(a)], &[mirror(b)], None),
            );
            prop_assert_eq!(swapped[0], -e[0]);
        }
    }
}
