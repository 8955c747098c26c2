//! Which combinations there are, and which of them are tried.

use crate::error::Error;
use crate::sweep::COMBINATIONS_MAX;

/// A parameter that varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Its values as text, in the order in which they are tried.
    pub values: Vec<String>,
}

impl Axis {
    /// `from`, `from + step`, … up to `to`, which belongs to it if a step ends there.
    ///
    /// # Errors
    /// A step that is not above 0, a range that is empty or too long.
    pub fn range(name: &str, from: f64, to: f64, step: f64) -> Result<Axis, Error> {
        let bad = |expected: &str| Error::SweepAxis { name: name.to_owned(), expected: expected.to_owned() };
        if !(step > 0.0 && step.is_finite() && from.is_finite() && to.is_finite()) {
            return Err(bad("a step above 0 and finite bounds"));
        }
        // A step that was meant to end at `to` may miss it by its rounding.
        let n = ((to - from) / step * (1.0 + 1e-12) + 1e-9).floor();
        if !(0.0..COMBINATIONS_MAX as f64).contains(&n) {
            return Err(bad("from at most to, and fewer than a million steps"));
        }
        let values = (0..=n as usize).map(|i| tidy(from + i as f64 * step)).collect();
        Ok(Axis { name: name.to_owned(), values })
    }
}

/// `0.1 + 2·0.1` is written 0.3.
fn tidy(x: f64) -> String {
    let text = format!("{x:.10}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// All combinations, or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All, the last axis fastest.
    Grid,
    /// `n` different ones by lot, in grid order.
    Random {
        /// How many; all if there are not so many.
        n: usize,
        /// The same seed, the same combinations.
        seed: u64,
    },
}

/// The values of each combination, in grid order.
///
/// # Errors
/// An axis without values or named twice, more combinations than there may be.
pub fn combinations(axes: &[Axis], choice: &Choice) -> Result<Vec<Vec<String>>, Error> {
    let bad = |name: &str, expected: &str| {
        Err(Error::SweepAxis { name: name.to_owned(), expected: expected.to_owned() })
    };
    for (i, axis) in axes.iter().enumerate() {
        if axis.values.is_empty() {
            return bad(&axis.name, "at least one value");
        }
        if axes[..i].iter().any(|other| other.name == axis.name) {
            return bad(&axis.name, "to be named once");
        }
    }
    let total = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.values.len()));
    let chosen: Vec<usize> = match (total, choice) {
        (Some(total), Choice::Grid) if total <= COMBINATIONS_MAX => (0..total).collect(),
        (Some(total), Choice::Random { n, seed }) if *n <= COMBINATIONS_MAX => draw(total, *n, *seed),
        _ => return bad("the grid", "at most a million combinations; use random = N for a part of them"),
    };
    Ok(chosen.into_iter().map(|index| values(axes, index)).collect())
}

/// The combination of a number: digits of mixed base, the last axis fastest.
fn values(axes: &[Axis], mut index: usize) -> Vec<String> {
    let mut values: Vec<String> = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        values.push(axis.values[index % axis.values.len()].clone());
        index /= axis.values.len();
    }
    values.reverse();
    values
}

/// `n` different numbers below `total`, ascending (Floyd's algorithm).
fn draw(total: usize, n: usize, seed: u64) -> Vec<usize> {
    let n = n.min(total);
    let mut state = seed;
    let mut chosen = std::collections::BTreeSet::new();
    for top in total - n..total {
        let pick = ((u128::from(split_mix(&mut state)) * (top as u128 + 1)) >> 64) as usize;
        if !chosen.insert(pick) {
            chosen.insert(top);
        }
    }
    chosen.into_iter().collect()
}

/// SplitMix64 (Steele, Lea & Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> Vec<Axis> {
        let axis = |name: &str, values: &[&str]| Axis {
            name: name.to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        vec![axis("n", &["10", "20"]), axis("k", &["1", "2", "3"])]
    }

    #[test]
    fn the_last_axis_turns_fastest() {
        let all = combinations(&axes(), &Choice::Grid).expect("few");
        let texts: Vec<String> = all.iter().map(|values| values.join(",")).collect();
        assert_eq!(texts, ["10,1", "10,2", "10,3", "20,1", "20,2", "20,3"]);
        assert_eq!(combinations(&[], &Choice::Grid).expect("one"), [Vec::<String>::new()]);
    }

    #[test]
    fn a_range_ends_where_a_step_does() {
        let values = |from, to, step| Axis::range("x", from, to, step).map(|axis| axis.values);
        assert_eq!(values(0.1, 0.5, 0.1).expect("range"), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(values(10.0, 35.0, 10.0).expect("range"), ["10", "20", "30"]);
        assert_eq!(values(-0.2, 0.2, 0.2).expect("range"), ["-0.2", "0", "0.2"]);
        for (from, to, step) in [(1.0, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, 1.0, 1e-9), (0.0, f64::NAN, 1.0)] {
            assert!(values(from, to, step).is_err(), "{from} {to} {step}");
        }
    }

    #[test]
    fn a_random_choice_has_no_repeats_and_depends_on_its_seed_alone() {
        let axis = |name: &str| Axis::range(name, 1.0, 40.0, 1.0).expect("range");
        let axes = [axis("a"), axis("b"), axis("c")];
        let some = |seed| combinations(&axes, &Choice::Random { n: 500, seed }).expect("some");
        let mut distinct = some(7);
        assert_eq!(some(7), distinct);
        assert_ne!(some(8), distinct);
        distinct.dedup();
        assert_eq!(distinct.len(), 500);
        let all = combinations(&axes[..1], &Choice::Random { n: 99, seed: 1 }).expect("all");
        assert_eq!(all.len(), 40);
        let firsts = some(3).iter().filter(|values| values[0].parse::<i32>().expect("n") <= 20).count();
        assert!((200..300).contains(&firsts), "every part of the grid is reached: {firsts} of 500");
    }

    #[test]
    fn too_many_and_too_few_are_refused() {
        let long = Axis::range("a", 1.0, 2_000.0, 1.0).expect("range");
        let axes = [long.clone(), Axis { name: "b".to_owned(), ..long.clone() }];
        assert!(combinations(&axes, &Choice::Grid).is_err());
        assert!(combinations(&[long.clone(), long], &Choice::Grid).is_err(), "named twice");
        let empty = Axis { name: "a".to_owned(), values: Vec::new() };
        assert!(combinations(&[empty], &Choice::Grid).is_err());
    }
}
