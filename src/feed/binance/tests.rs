//! Messages as the venue writes them, and such as it never would.

use lobstream_market::event::{Body, RefusedReason};
use lobstream_market::price::Step;
use proptest::prelude::*;

use super::*;
use crate::feed::instruments::Origin;

fn known(venue: Venue, symbol: &str, from: Origin) -> Known {
    let step = |text| Step::parse(text).expect(text);
    Known {
        instrument: Instrument {
            venue,
            symbol: Symbol::new(symbol),
            tick_size: step("0.10"),
            lot_size: step("0.001"),
        },
        tick_from: from,
        lot_from: from,
    }
}

fn reader(venue: Venue, from: Origin) -> Reader {
    Reader::new(venue, [known(venue, "BTCUSDT", from)])
}

fn place() -> String {
    "x.gz:7".to_owned()
}

fn read(reader: &mut Reader, json: &str) -> Result<Read, MessageError> {
    reader.message(json.as_bytes(), &Source { ts_recv: Some(5), place: &place })
}

fn event(reader: &mut Reader, json: &str) -> MarketEvent {
    match read(reader, json) {
        Ok(Read::Event(event)) => {
            assert_eq!(event.symbol.as_str(), "BTCUSDT");
            assert_eq!(event.event.ts_recv, Some(5));
            event.event
        }
        other => panic!("{json}: {other:?}"),
    }
}

fn refusal(reader: &mut Reader, json: &str) -> Refused {
    match event(reader, json).body {
        Body::Refused(refused) => refused,
        other => panic!("{json}: {other:?}"),
    }
}

const USDM_DEPTH: &str = r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,
    "T":1723161256298,"s":"BTCUSDT","U":12,"u":15,"pu":9,"b":[["61496.50","0.010"],["61510.90","0.000"]],
    "a":[]}}"#;

#[test]
fn a_futures_change_has_the_time_of_the_transaction() {
    let got = event(&mut reader(Venue::BinanceUsdm, Origin::Given), USDM_DEPTH);
    assert_eq!(got.ts_event, Some(1_723_161_256_298_000_000));
    let Body::Delta(delta) = got.body else { panic!("{got:?}") };
    assert_eq!((delta.first_id, delta.last_id, delta.prev_id), (Some(12), Some(15), Some(9)));
    let levels: Vec<_> = delta.bids.iter().map(|l| (l.px.0, l.qty.0)).collect();
    assert_eq!((levels, delta.asks.len()), (vec![(614_965, 10), (615_109, 0)], 0));
}

#[test]
fn a_frame_is_its_data_whatever_stands_beside_it_and_in_whatever_order() {
    let plain = event(&mut reader(Venue::BinanceUsdm, Origin::Given), USDM_DEPTH);
    let data = &USDM_DEPTH[USDM_DEPTH.find("\"data\"").expect("data")..];
    let (before, after) = (data.trim_end_matches('}'), r#""stream":"btcusdt@depth@0ms""#);
    for json in [
        format!(r#"{{"u":1,"s":"OTHER","e":"trade",{data}"#),
        format!(r#"{{{before}}},"u":1,"s":"OTHER",{after}}}"#),
        format!("{{{after},{}", data.replace(r#""pu""#, r#""p\u0075""#)),
    ] {
        assert_eq!(event(&mut reader(Venue::BinanceUsdm, Origin::Given), &json), plain, "{json}");
    }
}

#[test]
fn a_field_that_comes_twice_makes_a_message_unreadable() {
    for (once, twice) in [(r#""u":15"#, r#""u":15,"u":16"#), (r#""a":[]"#, r#""a":[],"a":[]"#)] {
        let refused =
            refusal(&mut reader(Venue::BinanceUsdm, Origin::Given), &USDM_DEPTH.replace(once, twice));
        assert!(refused.detail.contains("duplicate field"), "{}", refused.detail);
    }
}

#[test]
fn a_spot_change_has_the_time_it_was_sent_and_no_previous_id() {
    let json = r#"{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[["1.5","2"]]}"#;
    let got = event(&mut reader(Venue::BinanceSpot, Origin::Given), json);
    assert_eq!(got.ts_event, Some(1_723_161_255_208_000_000));
    let Body::Delta(delta) = got.body else { panic!("{got:?}") };
    assert_eq!((delta.prev_id, delta.asks[0].px.0), (None, 15));
}

#[test]
fn the_taker_is_the_one_who_is_not_the_maker() {
    let mut reader = reader(Venue::BinanceUsdm, Origin::Given);
    let mut trade = |m: &str, x: &str| {
        let json = format!(
            r#"{{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT","t":77,"p":"61800.30","q":"0.006","X":"{x}","m":{m}}}"#
        );
        match event(&mut reader, &json).body {
            Body::Trade(trade) => trade,
            other => panic!("{other:?}"),
        }
    };
    let sold = trade("true", "MARKET");
    assert_eq!((sold.aggressor, sold.non_market, sold.id), (Aggressor::Seller, false, Some(77)));
    assert_eq!((sold.px.0, sold.qty.0), (618_003, 6));
    let insured = trade("false", "INSURANCE_FUND");
    assert_eq!((insured.aggressor, insured.non_market), (Aggressor::Buyer, true));
}

#[test]
fn a_ticker_is_told_by_its_fields_on_spot() {
    let spot =
        r#"{"stream":"btcusdt@bookTicker","data":{"u":7,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}}"#;
    let got = event(&mut reader(Venue::BinanceSpot, Origin::Given), spot);
    assert_eq!(got.ts_event, None);
    let Body::Quote(quote) = got.body else { panic!("{got:?}") };
    assert_eq!((quote.update_id, quote.bid.px.0, quote.ask.qty.0), (Some(7), 15, 3000));
}

#[test]
fn a_snapshot_without_a_symbol_needs_the_only_one() {
    let json = r#"{"lastUpdateId": 9, "E": 1680652700590, "T": 1680652700580, "bids": [["1.5","2",[]]], "asks": []}"#;
    let mut alone = reader(Venue::BinanceUsdm, Origin::Given);
    assert!(matches!(read(&mut alone, json), Err(MessageError::Fatal(InputKind::SnapshotUnassigned, _))));
    let mut alone = alone.with_only_symbol(Some(Symbol::new("BTCUSDT")));
    let got = event(&mut alone, json);
    assert_eq!(got.ts_event, Some(1_680_652_700_580_000_000));
    let Body::Snapshot(snapshot) = got.body else { panic!("{got:?}") };
    assert_eq!((snapshot.last_id, snapshot.limit, snapshot.bids.len()), (Some(9), Some(1), 1));
}

#[test]
fn a_reply_belongs_to_the_symbol_that_was_asked_for() {
    let asked = rest::asked("https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    let json = br#"{"lastUpdateId":9,"E":1680652700590,"T":1680652700580,"bids":[],"asks":[]}"#;
    let source = Source { ts_recv: Some(5), place: &place };
    let got = reader(Venue::BinanceUsdm, Origin::Given).reply(json, &asked.expect("asked"), &source);
    let Ok(Read::Event(FeedEvent { event: MarketEvent { body: Body::Snapshot(s), .. }, .. })) = got else {
        panic!("{got:?}")
    };
    assert_eq!(s.limit, Some(1000));
}

#[test]
fn what_a_known_step_does_not_hold_is_refused_and_told() {
    let depth = |px: &str, qty: &str| {
        format!(
            r#"{{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[["{px}","{qty}"]],"a":[]}}"#
        )
    };
    let mut reader = reader(Venue::BinanceUsdm, Origin::Published);
    let mut check = |px, qty, reason, words: &str| {
        let refused = refusal(&mut reader, &depth(px, qty));
        assert_eq!((refused.reason, refused.book), (reason, true), "{px} {qty}");
        assert!(refused.detail.starts_with("x.gz:7: field b: "), "{}", refused.detail);
        assert!(refused.detail.contains(words), "{}", refused.detail);
    };
    check("1.55", "1", RefusedReason::BadPrice, "1.55 is not a multiple of 0.1");
    check("1.5", "0.0001", RefusedReason::BadQty, "0.0001 is not a multiple of 0.001");
    check("1.5", "-1", RefusedReason::BadQty, "negative");
    check("1.5", "x", RefusedReason::Parse, "not a decimal number");
    check("1234567890123456789", "1", RefusedReason::BadPrice, "more digits");
}

#[test]
fn a_wrong_guess_of_the_step_ends_the_reading_and_names_the_right_one() {
    let json = USDM_DEPTH.replace("61496.50", "61496.525");
    let got = read(&mut reader(Venue::BinanceUsdm, Origin::Inferred), &json);
    let Err(MessageError::Fatal(InputKind::StepTooCoarse, what)) = got else { panic!("{got:?}") };
    assert!(what.contains("--tick 0.001"), "{what}");
}

#[test]
fn a_broken_message_of_a_known_symbol_makes_its_book_wrong() {
    let mut reader = reader(Venue::BinanceUsdm, Origin::Given);
    let without = refusal(&mut reader, &USDM_DEPTH.replace(r#""pu":9,"#, ""));
    assert_eq!((without.reason, without.book), (RefusedReason::Schema, true));
    let wrong = refusal(&mut reader, &USDM_DEPTH.replace(r#""U":12"#, r#""U":"12""#));
    assert_eq!((wrong.reason, wrong.book), (RefusedReason::Schema, true));
    let coinm = refusal(&mut reader, &USDM_DEPTH.replace(r#""U":12"#, r#""ps":"BTCUSD","U":12"#));
    assert!(coinm.detail.contains("another venue"), "{}", coinm.detail);
    let year_1973 = refusal(&mut reader, &USDM_DEPTH.replace(r#""T":1723161256298"#, r#""T":100000000000"#));
    assert_eq!(year_1973.reason, RefusedReason::TimeOutOfRange);
}

#[test]
fn what_is_no_message_is_malformed() {
    let mut reader = reader(Venue::BinanceUsdm, Origin::Given);
    for json in ["", "{", "nonsense", "[]", "{\"e\":", &USDM_DEPTH[..80], "{\"stream\":7}"] {
        let got = read(&mut reader, json);
        assert!(matches!(got, Err(MessageError::Malformed(_))), "{json}: {got:?}");
    }
}

#[test]
fn other_kinds_are_left_out_by_name() {
    let mut reader = reader(Venue::BinanceUsdm, Origin::Given);
    let mut check = |json: &str, kind: &str| match read(&mut reader, json) {
        Ok(Read::LeftOut(got)) => assert_eq!(got, kind),
        other => panic!("{json}: {other:?}"),
    };
    check(
        r#"{"stream":"x","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","T":2}}"#,
        "markPriceUpdate",
    );
    check(r#"{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1}}"#, "kline");
    check(r#"{"e":"newKind","E":"1","s":["BTCUSDT"],"T":{}}"#, "newKind");
    check(r#"{"stream":"!ticker@arr","data":[{"e":"24hrTicker","s":1}]}"#, "list");
    check(r#"{"result":null,"id":1}"#, "acknowledgement");
    check(r#"{"stream":"btcusdt@depth20","data":{"lastUpdateId":1,"bids":[],"asks":[]}}"#, "partial depth");
}

#[test]
fn aggregates_are_left_out_where_single_trades_are() {
    let json = r#"{"e":"aggTrade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT","a":5,"p":"1.5","q":"1","f":1,"l":2,"m":true}"#;
    let mut alone = reader(Venue::BinanceUsdm, Origin::Given);
    assert!(matches!(event(&mut alone, json).body, Body::Trade(Trade { id: Some(5), .. })));
    let mut beside = alone.with_single_trades([Symbol::new("BTCUSDT")].into());
    assert!(matches!(read(&mut beside, json), Ok(Read::LeftOut(_))));
}

#[test]
fn venues_are_told_from_content_or_not_at_all() {
    use crate::feed::binance::scan::Scan;
    let scan = |lines: &[&str], given| {
        let mut scan = Scan::default();
        lines.iter().for_each(|line| scan.message(line.as_bytes()));
        scan.venue(given).map_err(|(kind, _)| kind)
    };
    let spot = r#"{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}"#;
    let coinm = USDM_DEPTH.replace(r#""U":12"#, r#""ps":"BTCUSD","U":12"#);
    let futures_trade =
        r#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":77,"p":"1","q":"1","X":"MARKET","m":true}"#;
    let ambiguous = Err(InputKind::FormatAmbiguous);
    assert_eq!(scan(&[spot], None), Ok(Venue::BinanceSpot));
    assert_eq!(scan(&[USDM_DEPTH], None), Ok(Venue::BinanceUsdm));
    assert_eq!(scan(&[futures_trade, &coinm], None), Ok(Venue::BinanceCoinm));
    assert_eq!(scan(&[futures_trade], None), ambiguous);
    assert_eq!(scan(&[futures_trade], Some(Venue::BinanceCoinm)), Ok(Venue::BinanceCoinm));
    assert_eq!(scan(&[futures_trade], Some(Venue::BinanceSpot)), ambiguous);
    assert_eq!(scan(&[spot, USDM_DEPTH], None), ambiguous);
    assert_eq!(scan(&[USDM_DEPTH, &coinm], None), ambiguous);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn mangled_messages_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut json = USDM_DEPTH.as_bytes().to_vec();
        let at = at.index(json.len());
        match cut {
            true => json.truncate(at),
            false => json[at] = byte,
        }
        let source = Source { ts_recv: None, place: &place };
        let _ = reader(Venue::BinanceUsdm, Origin::Inferred).message(&json, &source);
        let _ = reader(Venue::BinanceSpot, Origin::Given).message(&json, &source);
    }

    #[test]
    fn noise_never_panics(json in prop::collection::vec(any::<u8>(), 0..80)) {
        let source = Source { ts_recv: None, place: &place };
        let _ = reader(Venue::BinanceUsdm, Origin::Given).message(&json, &source);
    }

    #[test]
    fn numbers_survive_the_way_to_ticks_and_back(px in 1i64..1_000_000_000, qty in 0i64..1_000_000_000) {
        let known = known(Venue::BinanceUsdm, "BTCUSDT", Origin::Given);
        let (tick, lot) = (known.instrument.tick_size, known.instrument.lot_size);
        let (px_text, qty_text) = (tick.text(px), lot.text(qty));
        let level = numbers::level([&px_text, &qty_text], "b", &known);
        prop_assert!(level.is_ok_and(|l| l.px.0 == px && l.qty.0 == qty));
    }
}
