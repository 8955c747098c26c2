//! What must hold for any day: sides swap, units scale, parts add up, and far history changes nothing.

use lobstream_market::ashare::{StockCode, TickTime};
use lobstream_market::book::Side;
use lobstream_market::calendar::Day;
use lobstream_market::daily::bands::{BandSettings, last_row, positions};
use lobstream_market::daily::bar::Bar;
use lobstream_market::daily::levels::{self, LevelSettings, Role};
use lobstream_market::daily::micro::{self, BigSource, BigUnit, Threshold};
use lobstream_market::daily::print::Print;
use lobstream_market::daily::reaction::{Session, TestSettings, TestedLevel, tests};
use proptest::prelude::*;

fn code() -> StockCode {
    "600000.SH".parse().expect("a code")
}

fn day(i: usize) -> Day {
    Day::from_number(20_250_101).expect("a date").plus(i as i32)
}

/// A walk of closes in ticks, with highs and lows around them.
fn walk() -> impl Strategy<Value = Vec<Bar>> {
    prop::collection::vec((-30i64..=30, 0i64..20, 0i64..20, 0u32..5000), 150..330).prop_map(|steps| {
        let mut close = 1500;
        let mut bars = Vec::new();
        for (i, (step, up, down, volume)) in steps.into_iter().enumerate() {
            close = (close + step).max(200);
            let cny = |ticks: i64| ticks as f64 / 100.0;
            bars.push(Bar {
                day: day(i),
                open: cny(close),
                high: cny(close + up),
                low: cny(close - down),
                close: cny(close),
                pre_close: None,
                volume: (volume > 20).then(|| f64::from(volume) * 100.0),
                amount: None,
                factor: 1.0,
            });
        }
        bars
    })
}

fn scaled(bars: &[Bar], price: f64, volume: f64) -> Vec<Bar> {
    let scale = |b: &Bar| Bar {
        open: b.open * price,
        high: b.high * price,
        low: b.low * price,
        close: b.close * price,
        volume: b.volume.map(|v| v * volume),
        ..*b
    };
    bars.iter().map(scale).collect()
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(1.0),
        (a, b) => a == b,
    }
}

fn trades() -> impl Strategy<Value = Vec<Print>> {
    let one = (0u32..14_400, 990i64..1011, 1i64..300, 0u8..3, 1i64..20);
    prop::collection::vec(one, 1..300).prop_map(|rows| {
        let mut prints: Vec<Print> = rows
            .into_iter()
            .map(|(s, ticks, lots, side, order_no)| {
                let clock = if s < 7200 { 34_200 + s } else { 46_800 + s - 7200 };
                let time =
                    TickTime::from_parts(clock / 3600, clock / 60 % 60, clock % 60, 0).expect("a time");
                let aggressor = [None, Some(Side::Bid), Some(Side::Ask)][usize::from(side)];
                Print { time, price_e4: ticks * 100, qty: lots * 100, aggressor, order_no }
            })
            .collect();
        prints.sort_by_key(|p| p.time);
        prints
    })
}

fn swapped(prints: &[Print]) -> Vec<Print> {
    let other = |s: Side| if s == Side::Bid { Side::Ask } else { Side::Bid };
    prints.iter().map(|p| Print { aggressor: p.aggressor.map(other), ..*p }).collect()
}

const BIG: Threshold = Threshold { value: Some(100_000.0), source: BigSource::Hist, days: 5 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn prices_and_volumes_scale_and_ratios_do_not(bars in walk()) {
        let settings = BandSettings::default();
        let row = last_row(code(), "", &bars, &settings).expect("long enough");
        let other = last_row(code(), "", &scaled(&bars, 1.5, 3.0), &settings).expect("long enough");
        prop_assert!(near(row.price_position, other.price_position));
        prop_assert!(near(row.band_width_zscore, other.band_width_zscore));
        prop_assert!(near(row.v_price_position, other.v_price_position));
        prop_assert!(near(row.v_band_width_zscore, other.v_band_width_zscore));
        prop_assert!(near(Some(row.upper_band * 1.5), Some(other.upper_band)));
        prop_assert!(near(row.v_lower_band.map(|v| v * 3.0), other.v_lower_band));
    }

    #[test]
    fn a_factor_for_all_days_changes_nothing_and_adjusted_history_is_what_counts(bars in walk()) {
        let settings = BandSettings::default();
        let cut = bars.len() - 15;
        // A share split in two: prices halve, the factor doubles, and the row must be that of adjusted prices.
        let split: Vec<Bar> = bars.iter().enumerate().map(|(i, b)| {
            if i < cut { Bar { close: b.close * 2.0, high: b.high * 2.0, low: b.low * 2.0, ..*b } }
            else { Bar { factor: 2.0, ..*b } }
        }).collect();
        let row = last_row(code(), "", &bars, &settings).expect("long enough");
        let of_split = last_row(code(), "", &split, &settings).expect("long enough");
        prop_assert!(near(Some(row.middle_band), Some(of_split.middle_band)));
        prop_assert!(near(row.price_position, of_split.price_position));
        prop_assert_eq!(positions(&split, &settings).last().map(|p| p.volume), Some(row.v_price_position));
        let levels = LevelSettings::default();
        prop_assert_eq!(levels::rows(code(), &bars, &levels), levels::rows(code(), &split, &levels));
    }

    #[test]
    fn bars_out_of_reach_change_nothing(bars in walk()) {
        let settings = BandSettings::default();
        let row = last_row(code(), "", &bars, &settings);
        let near_bars = &bars[bars.len() - settings.reach()..];
        prop_assert_eq!(&row, &last_row(code(), "", near_bars, &settings));
        let mut changed = bars.clone();
        changed[0].close *= 7.0;
        prop_assert_eq!(&row, &last_row(code(), "", &changed, &settings));
        prop_assert_eq!(positions(&bars, &settings).last().map(|p| p.price), row.map(|r| r.price_position));
    }

    #[test]
    fn swapping_sides_negates_flows_and_leaves_totals(prints in trades(), parent in any::<bool>()) {
        let unit = if parent { BigUnit::Parent } else { BigUnit::Trade };
        let row = |prints: &[Print]| micro::row(code(), day(0), prints, &BIG, None, unit).expect("trades");
        let (a, b) = (row(&prints), row(&swapped(&prints)));
        prop_assert_eq!(a.big_net_value, b.big_net_value.map(|x| -x + 0.0));
        prop_assert_eq!(a.order_flow_imbalance, -b.order_flow_imbalance + 0.0);
        prop_assert_eq!(a.aggressive_trade_count_ratio, -b.aggressive_trade_count_ratio + 0.0);
        prop_assert_eq!((a.total_value, a.trade_count), (b.total_value, b.trade_count));
        prop_assert_eq!(micro::values(&prints, unit), micro::values(&swapped(&prints), unit));
        let buckets = [a.big_net_auction, a.big_net_open, a.big_net_mid, a.big_net_close];
        prop_assert!(near(Some(buckets.into_iter().flatten().sum()), a.big_net_value));
    }

    #[test]
    fn tests_of_a_level_are_apart_and_within_the_day(prints in trades(), ticks in 985i64..1015) {
        let level = TestedLevel {
            code: code(), day: day(0), level_e4: ticks * 100, role: Role::Support, big_threshold: Some(100_000.0),
        };
        let session = Session::new(&prints);
        let settings = TestSettings::default();
        let (rows, _) = tests(&level, &session, &settings);
        let total: f64 = prints.iter().map(|p| p.value_e4() as f64 / 1e4).sum();
        prop_assert!(rows.iter().map(|r| r.value_total).sum::<f64>() <= total + 1e-6);
        for pair in rows.windows(2) {
            prop_assert!(pair[0].t_end < pair[1].t_start && pair[0].test_id + 1 == pair[1].test_id);
        }
        for row in &rows {
            prop_assert!(row.n_ticks >= 5 && row.max_penetration >= 0.0);
            prop_assert!(row.score().is_some_and(|s| (0.0..=1.0).contains(&s)));
        }
        // Runs found slowly: a trade in the band belongs to the run before unless it was away for a minute.
        let inside = |p: &Print| (p.price_e4 - level.level_e4).abs() * 10_000 <= level.level_e4 * 50;
        let seconds = |p: &Print| lobstream_market::daily::print::trading_ms(p.time).expect("in session") / 1000;
        let (mut slow, mut away_since) = (Vec::<Vec<Print>>::new(), None);
        for p in &prints {
            match (inside(p), away_since, slow.last_mut()) {
                (false, None, Some(_)) => away_since = Some(seconds(p)),
                (true, Some(t), _) if seconds(p) - t >= 60 => { slow.push(vec![*p]); away_since = None; }
                (true, _, Some(run)) => { run.push(*p); away_since = None; }
                (true, _, None) => slow.push(vec![*p]),
                (false, _, _) => {}
            }
        }
        let long: Vec<usize> = slow.iter().map(Vec::len).filter(|n| *n >= settings.min_ticks).collect();
        prop_assert_eq!(rows.iter().map(|r| r.n_ticks as usize).collect::<Vec<_>>(), long);
    }
}
