//! The cases of `images.json` that need no files: cuts, thresholds, normalisation and two worked stock-days.

use std::io::Write;
use std::path::Path;

use lobstream_market::ashare::{
    DayMaker, ExecKind, OrdType, SseFlag, SseKind, SseRow, StockDay, SzseExecution, SzseOrder, TickTime,
    sse_day, szse_day,
};
use lobstream_market::book::Side;
use lobstream_market::images::{
    Bins, CELLS, Channel, Compat, Counts, Cuts, DayImage, ImageSettings, Normalise, Painter, Parents,
    big_threshold, broken_invariants, lerp, values_out_of_range,
};
use serde_json::Value;

fn vectors(test: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/vectors/images.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn int(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

fn ints<const N: usize>(value: &Value) -> [i64; N] {
    let all: Vec<i64> = list(value).iter().map(int).collect();
    all.try_into().expect("as many as there are cuts")
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn cuts_and_bins_are_those_of_the_vectors() {
    let Some(vectors) = vectors("cuts_and_bins_are_those_of_the_vectors") else { return };
    for case in list(&vectors["cuts"]) {
        let name = case["name"].as_str().expect("a name");
        let mut sample: Vec<i64> = list(&case["values"]).iter().map(int).filter(|v| *v > 0).collect();
        let in_order = sample.clone();
        let cuts = Cuts::of(&mut sample);
        assert_eq!(cuts.x8(), ints::<7>(&case["cuts_x8"]), "{name}");
        assert_eq!(
            cuts.values().to_vec(),
            list(&case["cuts"]).iter().map(float).collect::<Vec<_>>(),
            "{name}"
        );
        let bins: Vec<i64> = in_order.iter().map(|v| cuts.bin(*v) as i64).collect();
        assert_eq!(
            bins,
            list(&case["bins_of_positive_values"]).iter().map(int).collect::<Vec<_>>(),
            "{name}"
        );
    }
    for case in list(&vectors["lerp_f64"]) {
        let cut = lerp(float(&case["a"]), float(&case["b"]), float(&case["t"]));
        assert_eq!(cut.to_bits(), float(&case["numpy"]).to_bits(), "{case}");
    }
    for case in list(&vectors["cut_tie"]) {
        // Three values of which the t8-th eighth between the first and the last is a cut.
        let (a, b, t8) = (int(&case["a"]), int(&case["b"]), int(&case["t8"]) as usize);
        let cancel = int(&case["cancel_px"]);
        let goes_up = |cuts: Cuts| cuts.bin(cancel) >= t8;
        assert_eq!(goes_up(Cuts::of(&mut [b, a])), case["exact_up"].as_bool().expect("a truth"), "{case}");
        assert_eq!(
            goes_up(Cuts::of_f64(&mut [b, a], 100.0)),
            case["f64_up"].as_bool().expect("a truth"),
            "{case}"
        );
    }
}

#[test]
fn thresholds_are_those_of_the_vectors() {
    let Some(vectors) = vectors("thresholds_are_those_of_the_vectors") else { return };
    for case in list(&vectors["threshold"]) {
        let sides = [&case["buy"], &case["sell"]].map(|side| {
            let mut parents = Parents::default();
            let amounts = side.as_object().expect("amounts");
            parents.reset(amounts.len());
            for (no, amount) in amounts {
                parents.add(no.parse().expect("a number"), int(amount), false).expect("small");
            }
            parents
        });
        let threshold = big_threshold(sides.iter().flat_map(Parents::amounts), 1.0).expect("small");
        match case["threshold"].as_f64() {
            Some(expected) => assert_eq!(threshold, expected, "{case}"),
            None => assert_eq!(threshold, f64::INFINITY, "{case}"),
        }
        for big in list(&case["big"]).iter().map(int) {
            assert!(sides.iter().any(|side| side.amount(big) as f64 >= threshold), "{big} of {case}");
        }
        let n_big = sides.iter().flat_map(Parents::amounts).filter(|a| *a as f64 >= threshold).count();
        assert_eq!(n_big, list(&case["big"]).len(), "{case}");
    }
}

#[test]
fn normalised_values_are_those_of_the_vectors_bit_by_bit() {
    let Some(vectors) = vectors("normalised_values_are_those_of_the_vectors_bit_by_bit") else { return };
    for case in list(&vectors["normalise"]) {
        let mut counts = Counts([0; CELLS]);
        for (cell, n) in counts.0.iter_mut().zip(list(&case["counts"])) {
            *cell = int(n) as u32;
        }
        let image = counts.image(Normalise::Log1pMax, Compat::None);
        for (value, bits) in image.0.iter().zip(list(&case["bits"])) {
            assert_eq!(format!("{:08x}", value.to_bits()), bits.as_str().expect("bits"), "{case}");
        }
        let (plain, ancestor) = (
            counts.image(Normalise::None, Compat::None),
            counts.image(Normalise::Log1pMax, Compat::Ancestor),
        );
        assert!(plain.0.iter().zip(&counts.0).all(|(value, n)| *value == *n as f32));
        assert!(image.0.iter().zip(&ancestor.0).all(|(a, b)| a.to_bits().abs_diff(b.to_bits()) <= 2));
    }
}

fn time(row: &Value) -> TickTime {
    TickTime::from_number(int(&row["TickTime"])).expect("a time")
}

fn sz_day(case: &Value) -> StockDay {
    let orders = list(&case["orders"]).iter().map(|row| SzseOrder {
        channel: 1,
        index: int(&row["BizIndex"]),
        time: time(row),
        price: int(&row["px"]),
        qty: int(&row["qty"]),
        side: match row["Side"].as_str() {
            Some("49") => Some(Side::Bid),
            Some("50") => Some(Side::Ask),
            _ => None,
        },
        kind: if int(&row["px"]) > 0 { OrdType::Limit } else { OrdType::Market },
    });
    let executions = list(&case["executions"]).iter().map(|row| SzseExecution {
        channel: 1,
        index: int(&row["BizIndex"]),
        time: time(row),
        price: int(&row["px"]),
        qty: int(&row["qty"]),
        buy_no: int(&row["BuyOrderNO"]),
        sell_no: int(&row["SellOrderNO"]),
        kind: if row["ExecType"] == "70" { ExecKind::Trade } else { ExecKind::Cancel },
    });
    let code = case["symbol"].as_str().and_then(|s| s.parse().ok()).expect("a code");
    szse_day(code, orders.collect(), executions.collect())
}

fn sh_day(case: &Value) -> StockDay {
    let rows = list(&case["stream"]).iter().map(|row| SseRow {
        channel: 1,
        index: int(&row["BizIndex"]),
        time: time(row),
        kind: match row["Type"].as_str() {
            Some("A") => SseKind::Add,
            Some("D") => SseKind::Delete,
            Some("T") => SseKind::Trade,
            _ => SseKind::Status,
        },
        buy_no: int(&row["BuyOrderNO"]),
        sell_no: int(&row["SellOrderNO"]),
        price: int(&row["px"]),
        qty: int(&row["qty"]),
        money: None,
        phase: None,
        flag: match row["TickBSFlag"].as_str() {
            Some("B") => SseFlag::B,
            Some("S") => SseFlag::S,
            _ => SseFlag::N,
        },
    });
    let code = case["symbol"].as_str().and_then(|s| s.parse().ok()).expect("a code");
    sse_day(code, rows.collect())
}

fn check_day(case: &Value, image: &DayImage) {
    let scales = &image.scales;
    for (name, cuts) in [
        ("tp", scales.trade_price),
        ("tq", scales.trade_qty),
        ("op", scales.order_price),
        ("oq", scales.order_qty),
    ] {
        assert_eq!(cuts.x8(), ints::<7>(&case["cuts_x8"][name]), "{name}");
    }
    assert_eq!(scales.threshold, float(&case["threshold"]));
    let sums = Channel::ALL.map(|channel| image.counts.sum(channel) as i64);
    assert_eq!(sums, ints::<15>(&case["channel_sums"]));
    let cells: Vec<[i64; 4]> = image.counts.0.iter().enumerate().filter(|(_, n)| **n > 0).map(cell).collect();
    assert_eq!(cells, list(&case["cells"]).iter().map(ints::<4>).collect::<Vec<_>>());
    assert_eq!(broken_invariants(&image.counts, &image.kept), [""; 0]);
    assert_eq!(values_out_of_range(&image.image(&ImageSettings::default())), 0);
}

/// Channel, price bin, quantity bin, count.
fn cell((offset, n): (usize, &u32)) -> [i64; 4] {
    [offset / 64, offset / 8 % 8, offset % 8, *n as usize].map(|x| x as i64)
}

#[test]
fn the_worked_day_of_shenzhen_gives_its_cells() {
    let Some(vectors) = vectors("the_worked_day_of_shenzhen_gives_its_cells") else { return };
    let case = &vectors["sz_day"];
    let mut painter = Painter::new(ImageSettings::default());
    let image = painter.paint(&sz_day(case)).expect("small");
    check_day(case, &image);
    let counters = &case["counters"];
    for (name, n) in [
        ("order_out_of_session", image.dropped.order_out_of_session),
        ("order_unpriced", image.dropped.order_unpriced),
        ("trade_out_of_session", image.dropped.trade_out_of_session),
        ("cancel_out_of_session", image.dropped.cancel_out_of_session),
    ] {
        assert_eq!(n as i64, int(&counters[name]), "{name}");
    }
    for (side, parents) in [("parents_buy", painter.parents().0), ("parents_sell", painter.parents().1)] {
        let expected = case[side].as_object().expect("amounts");
        assert_eq!(parents.len(), expected.len());
        for (no, amount) in expected {
            assert_eq!(parents.amount(no.parse().expect("a number")), int(amount), "{side} {no}");
        }
    }
    let normalised = image.image(&ImageSettings::default());
    for row in list(&case["normalised"]).iter().map(list) {
        let offset = (int(&row[0]) * 64 + int(&row[1]) * 8 + int(&row[2])) as usize;
        assert_eq!(format!("{:08x}", normalised.0[offset].to_bits()), row[4].as_str().expect("bits"));
    }
}

#[test]
fn the_worked_day_of_shanghai_gives_its_cells() {
    let Some(vectors) = vectors("the_worked_day_of_shanghai_gives_its_cells") else { return };
    let case = &vectors["sh_day"];
    let image = Painter::new(ImageSettings::default()).paint(&sh_day(case)).expect("small");
    check_day(case, &image);
}

#[test]
fn a_painter_keeps_nothing_of_the_day_before_and_takes_scales_from_elsewhere() {
    let Some(vectors) = vectors("a_painter_keeps_nothing") else { return };
    let (sz, sh) = (sz_day(&vectors["sz_day"]), sh_day(&vectors["sh_day"]));
    let mut painter = Painter::new(ImageSettings::default());
    let first = painter.paint(&sz).expect("small");
    painter.paint(&sh).expect("small");
    assert_eq!(painter.paint(&sz).expect("small"), first);
    assert_eq!(painter.paint_with(&sz, first.scales).expect("small"), first);
    let other = lobstream_market::images::Scales { threshold: f64::INFINITY, ..first.scales };
    assert_eq!(painter.paint_with(&sz, other).expect("small").counts.sum(Channel::BigBuys), 0);
}

#[test]
fn joint_cuts_are_those_of_trades_and_orders_together() {
    let Some(vectors) = vectors("joint_cuts_are_those_of_trades_and_orders_together") else { return };
    let day = sz_day(&vectors["sz_day"]);
    let settings = ImageSettings { bins: Bins::Joint, ..ImageSettings::default() };
    let scales = Painter::new(settings).paint(&day).expect("small").scales;
    let kept = |time: TickTime, price| time.in_session() && price > 0;
    let trades = day.trades.iter().filter(|t| kept(t.time, t.price)).map(|t| t.qty);
    let orders = day.orders.iter().filter(|o| kept(o.time, o.price)).map(|o| o.qty);
    let mut both: Vec<i64> = trades.chain(orders).collect();
    assert_eq!(both.len(), 15);
    assert_eq!(scales.trade_qty, Cuts::of(&mut both));
    assert_eq!((scales.order_qty, scales.order_price), (scales.trade_qty, scales.trade_price));
}

/// The ancestor counts a fill of an order that rests already once more, and sums what was paid for a trade.
#[test]
fn by_the_rules_of_the_ancestor_orders_grow_after_resting_and_parents_sum_money() {
    let row = |index, kind, buy_no, sell_no, price, qty, money, flag| SseRow {
        channel: 1,
        index,
        time: TickTime(93_000_000 + index as u32),
        kind,
        buy_no,
        sell_no,
        price,
        qty,
        money,
        flag,
        phase: None,
    };
    let rows = vec![
        row(1, SseKind::Add, 74, 0, 2005, 500, None, SseFlag::B),
        row(2, SseKind::Trade, 74, 80, 2004, 500, Some(1_000_000), SseFlag::B),
        row(3, SseKind::Trade, 75, 80, 2004, 100, Some(200_400), SseFlag::B),
    ];
    let code = "600000.SH".parse().expect("a code");
    let check = |compat, qty, amounts: [i64; 2]| {
        let settings = ImageSettings { compat, ..ImageSettings::default() };
        let (mut maker, mut painter): (DayMaker, _) = (settings.day_maker(), Painter::new(settings));
        let day = maker.sse(code, &mut rows.clone());
        assert_eq!((day.orders[0].no, day.orders[0].qty, day.orders[0].price), (74, qty, 2005));
        assert_eq!((day.counters.after_rest_fill, day.counters.money_mismatch), (1, 1));
        painter.paint(day).expect("small");
        let (buyers, sellers) = painter.parents();
        assert_eq!([buyers.amount(74), sellers.amount(80)], amounts);
    };
    check(Compat::None, 500, [1_002_000, 1_202_400]);
    check(Compat::Ancestor, 1000, [1_000_000, 1_200_400]);
}
