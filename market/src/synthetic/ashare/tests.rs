//! Generated days are read back as the exchanges would have sent them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ashare::{ExecKind, SseKind, sse_day, szse_day};
use crate::book::Side;

fn day(exchange: Exchange, stocks: u32, rows: u64) -> AshareRows {
    let mut all = AshareRows::default();
    for mut second in AshareDay::new(11, exchange, AshareOptions { stocks, rows }) {
        all.sse.append(&mut second.sse);
        all.orders.append(&mut second.orders);
        all.executions.append(&mut second.executions);
    }
    all
}

/// Rows of each stock.
fn by_code<R: Copy>(rows: &[(StockCode, R)]) -> BTreeMap<StockCode, Vec<R>> {
    let mut map: BTreeMap<StockCode, Vec<R>> = BTreeMap::new();
    for (code, row) in rows {
        map.entry(*code).or_default().push(*row);
    }
    map
}

#[test]
fn a_seed_makes_the_same_day_twice_and_another_one_another() {
    let options = AshareOptions { stocks: 20, rows: 5_000 };
    let made = |seed| AshareDay::new(seed, Exchange::Sz, options).collect::<Vec<_>>();
    assert_eq!(made(3), made(3));
    assert_ne!(made(3), made(4));
}

#[test]
fn the_rows_are_as_many_as_were_asked_for() {
    for (exchange, stocks, rows) in
        [(Exchange::Sh, 40, 60_000), (Exchange::Sz, 40, 60_000), (Exchange::Sz, 3, 90)]
    {
        let made = day(exchange, stocks, rows).len() as u64;
        assert!(made.abs_diff(rows) < rows / 20 + 10 * u64::from(stocks), "{exchange}: {made} for {rows}");
    }
}

#[test]
fn every_kind_of_code_is_there_and_funds_tick_finer() {
    let codes: BTreeSet<StockCode> = day(Exchange::Sh, 60, 6_000).sse.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), 60);
    for head in ["600", "603", "688", "510"] {
        assert!(codes.iter().any(|code| code.to_string().starts_with(head)), "{head}");
    }
}

/// Fills come before the balance: restored, an order has what its rows say, and nothing rests and takes.
#[test]
fn shanghai_can_be_restored() {
    for (code, rows) in by_code(&day(Exchange::Sh, 12, 30_000).sse) {
        let restored = sse_day(code, rows.clone());
        assert_eq!(restored.counters.after_rest_fill, 0, "{code}");
        assert_eq!(restored.counters.money_mismatch, 0, "{code}");
        let sent: i64 = restored.orders.iter().map(|o| o.qty).sum();
        let mut seen = BTreeSet::new();
        let rows: Vec<_> = rows.into_iter().filter(|r| seen.insert(r.index)).collect();
        let of = |kind| rows.iter().filter(move |r| r.kind == kind);
        let rested: i64 = of(SseKind::Add).map(|r| r.qty).sum();
        let taken: i64 = of(SseKind::Trade).filter(|r| r.flag.side().is_some()).map(|r| r.qty).sum();
        assert_eq!(sent, rested + taken, "{code}");
        assert!(rows.iter().any(|r| r.kind == SseKind::Status));
    }
}

/// No order is filled or cancelled beyond its quantity, and hardly a cancel stays without its order.
#[test]
fn shenzhen_accounts_for_every_share() {
    let rows = day(Exchange::Sz, 12, 30_000);
    let (orders, executions) = (by_code(&rows.orders), by_code(&rows.executions));
    let mut aggressive = 0;
    for (code, orders) in orders {
        let executions = executions.get(&code).cloned().unwrap_or_default();
        let mut left: BTreeMap<i64, i64> = orders.iter().map(|o| (o.index, o.qty)).collect();
        let sides: BTreeMap<i64, Option<Side>> = orders.iter().map(|o| (o.index, o.side)).collect();
        let mut seen = BTreeSet::new();
        for row in executions.iter().filter(|row| seen.insert(row.index)) {
            for (no, side) in [(row.buy_no, Side::Bid), (row.sell_no, Side::Ask)] {
                if sides.get(&no) != Some(&Some(side)) {
                    assert_ne!(
                        row.kind,
                        ExecKind::Trade,
                        "{code}: a fill of an order of another side: {row:?}"
                    );
                    continue;
                }
                let rest = left.get_mut(&no).expect("an order that was sent");
                *rest -= row.qty;
                assert!(*rest >= 0, "{code}: order {no} gave more than it had");
                aggressive += usize::from(row.kind == ExecKind::Trade && no == row.buy_no.max(row.sell_no));
            }
        }
        let made = szse_day(code, orders, executions);
        assert!(made.counters.cancel_missing_ratio() < 0.02, "{code} {:?}", made.counters);
    }
    assert!(aggressive > 1_000, "{aggressive}");
}

/// The rows of a stock stay inside its price limits and off no tick.
#[test]
fn prices_move_but_within_limits() {
    for (code, rows) in by_code(&day(Exchange::Sh, 8, 40_000).sse) {
        let prices: Vec<i64> = rows.iter().filter(|r| r.kind == SseKind::Trade).map(|r| r.price).collect();
        let (low, high) = (prices.iter().min().copied(), prices.iter().max().copied());
        let (Some(low), Some(high)) = (low, high) else { continue };
        assert!(low > 0 && high > low && high * 100 < low * 150, "{code}: {low} to {high}");
    }
}

#[test]
fn some_rows_come_late_and_some_twice() {
    let rows = day(Exchange::Sh, 6, 60_000).sse;
    let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
    let (mut late, mut twice, mut seen) = (0, 0, BTreeSet::new());
    for (_, row) in rows {
        let newest = newest.entry(row.channel).or_default();
        late += usize::from(row.index < *newest);
        *newest = row.index.max(*newest);
        twice += usize::from(!seen.insert((row.channel, row.index)));
    }
    assert!((20..200).contains(&late), "{late}");
    assert!(twice > 0);
}
