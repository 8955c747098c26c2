//! Rows of recorded streams: save and load, what must add up, and a message left out on purpose.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lobstream_market::event::{Aggressor, BookDelta, BookSnapshot, Level, Trade};
use lobstream_market::factor::row::FactorRow;
use lobstream_market::factor::{Continuity, FactorEngine, FactorSettings, GAP_BOOK, GAP_LATE};
use lobstream_market::instrument::{Instrument, Venue};
use lobstream_market::price::{Decimal, Lots, Step, Ticks};
use lobstream_market::sync::{BookChange, BookSync, SyncInput, SyncOptions};
use serde_json::Value;

use super::support::{MS, bits, instrument};

enum Line {
    Snapshot(BookSnapshot),
    Delta(BookDelta),
    Trade(Trade),
}

/// A line and its venue time, ns.
type Timed = (Option<i64>, Line);

struct Recording {
    instrument: Instrument,
    lines: Vec<Timed>,
}

impl Recording {
    fn read(test: &str, venue: Venue, steps: (&str, &str), files: &[&str]) -> Option<Recording> {
        let instrument = Instrument { venue, ..instrument(steps.0, steps.1) };
        let mut lines = Vec::new();
        for file in files {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crypto/binance").join(file);
            let Ok(file) = File::open(&path) else {
                let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", path.display());
                return None;
            };
            let text = BufReader::new(MultiGzDecoder::new(file)).lines();
            lines.extend(text.filter_map(|line| parse(&instrument, &line.expect("text"))));
        }
        Some(Recording { instrument, lines })
    }

    fn engine(&self) -> FactorEngine {
        FactorEngine::new(self.instrument.clone(), FactorSettings::default())
    }

    /// All rows; `skip` leaves out one depth message, `between` is called after every line.
    fn rows(&self, skip: Option<usize>, mut between: impl FnMut(&mut FactorEngine)) -> Vec<FactorRow> {
        let mut sync = BookSync::new(self.instrument.venue, SyncOptions::default());
        let (mut engine, mut rows, mut n_depth) = (self.engine(), Vec::new(), 0);
        for (ts, line) in &self.lines {
            if let Line::Delta(_) = line {
                n_depth += 1;
                if skip == Some(n_depth) {
                    continue;
                }
            }
            feed(&mut engine, &mut sync, *ts, line, &mut rows);
            between(&mut engine);
        }
        rows
    }
}

fn feed(
    engine: &mut FactorEngine,
    sync: &mut BookSync,
    ts: Option<i64>,
    line: &Line,
    out: &mut Vec<FactorRow>,
) {
    let input = match line {
        Line::Trade(trade) => return engine.on_trade(ts, trade, out),
        Line::Snapshot(snapshot) => SyncInput::Snapshot(snapshot),
        Line::Delta(delta) => SyncInput::Delta(delta),
    };
    match sync.step(input).change {
        BookChange::Delta => engine.on_book(ts, &sync.view(), Continuity::Delta, out),
        BookChange::Joined => engine.on_book(ts, &sync.view(), Continuity::Resync, out),
        BookChange::Rejoined(reason) => {
            engine.on_book_gap(ts, reason, out);
            engine.on_book(ts, &sync.view(), Continuity::Resync, out);
        }
        BookChange::Lost(reason) | BookChange::Waiting(reason) => engine.on_book_gap(ts, reason, out),
        BookChange::None => engine.mark(ts, out),
    }
}

fn parse(instrument: &Instrument, line: &str) -> Option<Timed> {
    let frame: Value = serde_json::from_str(line.split_once(' ')?.1).expect("JSON");
    let data = frame.get("data").unwrap_or(&frame);
    let ts = |key: &str| data[key].as_i64().map(|ms| ms * MS);
    let side = |key: &str| {
        let rows = data[key].as_array().expect("levels").iter();
        rows.map(|row| Level { px: ticks(instrument, &row[0]), qty: lots(instrument, &row[1]) }).collect()
    };
    if data.get("lastUpdateId").is_some() {
        let (last_id, limit) = (data["lastUpdateId"].as_i64(), Some(1_000));
        return Some((
            ts("T"),
            Line::Snapshot(BookSnapshot { last_id, limit, bids: side("bids"), asks: side("asks") }),
        ));
    }
    match data["e"].as_str()? {
        "depthUpdate" => {
            let [first_id, last_id, prev_id] = ["U", "u", "pu"].map(|key| data[key].as_i64());
            let delta = BookDelta { first_id, last_id, prev_id, bids: side("b"), asks: side("a") };
            Some((ts("T").or(ts("E")), Line::Delta(delta)))
        }
        "trade" => {
            let trade = Trade {
                id: data["t"].as_i64(),
                px: ticks(instrument, &data["p"]),
                qty: lots(instrument, &data["q"]),
                aggressor: if data["m"] == true { Aggressor::Seller } else { Aggressor::Buyer },
                non_market: data["X"].as_str().is_some_and(|x| x != "MARKET"),
            };
            Some((ts("T"), Line::Trade(trade)))
        }
        _ => None,
    }
}

fn count(step: Step, text: &Value) -> i64 {
    let number = Decimal::parse(text.as_str().expect("decimal text")).expect("a number");
    step.count(number).expect("a multiple of the step")
}

fn ticks(instrument: &Instrument, text: &Value) -> Ticks {
    Ticks(count(instrument.tick_size, text))
}

fn lots(instrument: &Instrument, text: &Value) -> Lots {
    Lots(count(instrument.lot_size, text))
}

fn usdm(test: &str) -> Option<Recording> {
    Recording::read(test, Venue::BinanceUsdm, ("0.10", "0.001"), &["usdm_btcusdt_20240808.gz"])
}

fn spot(test: &str) -> Option<Recording> {
    let files = ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"];
    Recording::read(test, Venue::BinanceSpot, ("0.01", "0.00000001"), &files)
}

/// Lots of all trades that the rows cover, and how many there are.
fn traded(recording: &Recording, rows: &[FactorRow]) -> (u32, i64) {
    let end = rows.last().expect("rows").ts_ms * MS + 1_000 * MS;
    let mut reached = false;
    let covered = recording.lines.iter().take_while(|(ts, _)| {
        reached |= ts.is_some_and(|ts| ts >= end);
        !reached
    });
    let signed = covered.filter_map(|(_, line)| match line {
        Line::Trade(trade) => Some(trade.aggressor.sign() * trade.qty.0),
        Line::Snapshot(_) | Line::Delta(_) => None,
    });
    signed.fold((0, 0), |(n, sum), lots| (n + 1, sum + lots))
}

fn check_sums(recording: &Recording, rows: &[FactorRow]) {
    let (n, lots) = traded(recording, rows);
    assert_eq!(rows.iter().map(|row| row.n_trades).sum::<u32>(), n, "no trade is lost");
    let last = rows.last().expect("rows");
    assert_eq!(last.cvd, Some(recording.instrument.lot_size.value(lots.into())));
    assert_eq!(last.cvd_epoch, 0, "ids are contiguous");
    assert!(rows.windows(2).all(|pair| pair[1].ts_ms == pair[0].ts_ms + 1_000));
    assert!(rows.iter().all(|row| row.gap_flags & !GAP_LATE == 0), "no gap");
    let joined = rows.iter().position(|row| row.book_valid).expect("joins");
    assert!(rows[joined..].iter().all(|row| row.book_valid && row.mid.is_some()));
    assert!(rows[joined + 1..].iter().all(|row| row.ofi.is_some() && row.book_valid_ms == 1_000));
}

#[test]
fn rows_of_usdm_add_up() {
    let Some(recording) = usdm("rows_of_usdm_add_up") else { return };
    check_sums(&recording, &recording.rows(None, |_| {}));
}

/// The page on factors counts 299 late trades there, all within two seconds.
#[test]
fn rows_of_spot_add_up_and_count_late_trades() {
    let Some(recording) = spot("rows_of_spot_add_up_and_count_late_trades") else { return };
    let rows = recording.rows(None, |_| {});
    check_sums(&recording, &rows);
    let late: Vec<u32> = rows.iter().map(|row| row.late_n).filter(|n| *n > 0).collect();
    assert_eq!((late.iter().sum::<u32>(), late.len()), (299, 2));
}

#[test]
fn saved_and_restored_on_the_way_the_rows_have_the_same_bits() {
    let Some(recording) = usdm("saved_and_restored_on_the_way_the_rows_have_the_same_bits") else { return };
    let whole = recording.rows(None, |_| {});
    let mut n = 0;
    let restored = recording.rows(None, |engine| {
        n += 1;
        if n % 97 == 0 {
            let saved = serde_json::to_string(engine).expect("saves");
            *engine = serde_json::from_str(&saved).expect("loads");
        }
    });
    assert_eq!(bits(&restored), bits(&whole));
}

/// Without one depth message the book is known to be wrong from there on: no snapshot follows.
#[test]
fn a_message_left_out_silences_every_book_column_and_no_trade_column() {
    let Some(recording) = usdm("a_message_left_out_silences_every_book_column_and_no_trade_column") else {
        return;
    };
    let (whole, cut) = (recording.rows(None, |_| {}), recording.rows(Some(3_000), |_| {}));
    let gap = cut.iter().position(|row| row.gap_flags & GAP_BOOK != 0).expect("a gap");
    assert_eq!(bits(&cut[..gap]), bits(&whole[..gap]));
    for (row, all) in cut[gap..].iter().zip(&whole[gap..]) {
        assert!(!row.book_valid && row.invalid_reason.is_some());
        let book = [
            row.mid,
            row.wmid,
            row.obi_1,
            row.obi_5,
            row.obi_w,
            row.depth_bid_5,
            row.ofi,
            row.ofi_w,
            row.z_ofi,
        ];
        assert_eq!(book, [None; 9]);
        assert_eq!((row.delta, row.cvd, row.vwap, row.z_cvd), (all.delta, all.cvd, all.vwap, all.z_cvd));
    }
    assert_eq!(cut.iter().filter(|row| row.gap_flags & GAP_BOOK != 0).count(), 1, "told once");
}
