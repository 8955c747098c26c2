//! What must hold between the keys of a rule.

use std::collections::BTreeMap;

use lobstream_market::factor::row::FactorRow;
use lobstream_market::signal::rule::{Combine, Leaf, LeafSide, Use};

use super::diagnostic::{Code, nearest};

/// Numbers of the fusion that a leaf may read beside the columns of a row.
const FUSED: [&str; 4] = ["score", "proba", "consistency", "dispersion"];

/// Keys of a leaf that are there, good or bad, each with its place.
pub(super) type Keys = BTreeMap<String, usize>;

/// A fault between keys: the one that is told, and all that take part in it.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) field: &'static str,
    pub(super) involved: &'static [&'static str],
    pub(super) text: String,
}

/// All faults of a leaf whose exits are as written. A key that is there but could not be read is not judged again.
pub(super) fn leaf(leaf: &Leaf, keys: &Keys) -> Vec<Fault> {
    let mut faults: Vec<Fault> = factor(leaf).into_iter().collect();
    if !keys.contains_key("buy") && !keys.contains_key("sell") {
        let text = "has neither buy nor sell".to_owned();
        faults.push(Fault { code: Code::NoThreshold, field: "leaf", involved: &["buy", "sell"], text });
    }
    match order(leaf) {
        Some(fault) => faults.push(fault),
        None => faults.extend([exit_buy(leaf, keys), exit_sell(leaf, keys)].into_iter().flatten()),
    }
    faults
}

/// All numbers that a leaf may read.
fn factors() -> impl Iterator<Item = &'static str> {
    let columns = FactorRow::COLUMNS.iter().filter(|column| column.kind.is_number());
    columns.map(|column| column.name).chain(FUSED)
}

fn factor(leaf: &Leaf) -> Option<Fault> {
    if leaf.factor.is_empty() {
        return None;
    }
    let name = leaf.factor.as_str();
    if !factors().any(|known| known == name) {
        let meant =
            nearest(name, factors()).map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        let text = format!("no factor is called {name:?}{meant}");
        return Some(Fault { code: Code::UnknownFactor, field: "factor", involved: &["factor"], text });
    }
    (leaf.reads == Use::Z && FactorRow::z_column(name).is_none()).then(|| {
        let text = format!("{name} has no z column");
        Fault { code: Code::NoZ, field: "use", involved: &["use", "factor"], text }
    })
}

/// `above` needs sell < buy, `below` buy < sell.
fn order(leaf: &Leaf) -> Option<Fault> {
    let (buy, sell) = leaf.buy.zip(leaf.sell)?;
    let (good, word) = match leaf.side {
        LeafSide::Above => (sell < buy, "below"),
        LeafSide::Below => (buy < sell, "above"),
    };
    (!good).then(|| Fault {
        code: Code::Order,
        field: "sell",
        involved: &["sell", "buy", "side"],
        text: format!("must be {word} buy ({buy:?}), is {sell:?}"),
    })
}

fn exit_buy(leaf: &Leaf, keys: &Keys) -> Option<Fault> {
    let text = exit(leaf, leaf.exit_buy?, ("buy", leaf.buy), ("sell", leaf.sell), 1.0, keys)?;
    Some(Fault { code: Code::Exit, field: "exit_buy", involved: &["exit_buy", "buy", "sell", "side"], text })
}

fn exit_sell(leaf: &Leaf, keys: &Keys) -> Option<Fault> {
    let text = exit(leaf, leaf.exit_sell?, ("sell", leaf.sell), ("buy", leaf.buy), -1.0, keys)?;
    Some(Fault {
        code: Code::Exit,
        field: "exit_sell",
        involved: &["exit_sell", "sell", "buy", "side"],
        text,
    })
}

/// An exit lies between the opposite threshold, excluded, and its own, included. `sign` turns the axis so that
/// the own threshold is the upper one; `below` turns it once more.
fn exit(
    leaf: &Leaf,
    exit: f64,
    own: (&str, Option<f64>),
    opposite: (&str, Option<f64>),
    sign: f64,
    keys: &Keys,
) -> Option<String> {
    let (sign, far, near) = match leaf.side {
        LeafSide::Above => (sign, "above", "below"),
        LeafSide::Below => (-sign, "below", "above"),
    };
    let (beyond, short) = if own.0 == "buy" { (far, near) } else { (near, far) };
    let Some(threshold) = own.1 else {
        return (!keys.contains_key(own.0)).then(|| format!("has no {} to go with", own.0));
    };
    if sign * exit > sign * threshold {
        return Some(format!("must not be {beyond} {} ({threshold:?}), is {exit:?}", own.0));
    }
    let other = opposite.1?;
    (sign * exit <= sign * other)
        .then(|| format!("must not be at or {short} {} ({other:?}), is {exit:?}", opposite.0))
}

/// Directions that can never fire: all leaves must agree, and one of them never votes that way.
pub(super) fn mute_directions(combine: Combine, leaves: &[Keys]) -> Vec<&'static str> {
    match combine {
        Combine::All => {
            let mute = |dir: &&str| !leaves.iter().all(|keys| keys.contains_key(*dir));
            ["buy", "sell"].into_iter().filter(mute).collect()
        }
        Combine::Any | Combine::Vote => Vec::new(),
    }
}
