//! A reader of recorded lines `<receive time> <json>`, slow and plain, that shares no code with the feed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use lobstream_market::event::{Body, BookDelta, BookSnapshot, Level, Quote};
use lobstream_market::instrument::Venue;
use lobstream_market::price::{Decimal, Lots, Step, Ticks};
use serde_json::Value;

/// Some recorded files and the instrument they are of.
pub(super) struct Recording {
    pub(super) venue: Venue,
    pub(super) tick: &'static str,
    pub(super) lot: &'static str,
    pub(super) files: &'static [&'static str],
}

pub(super) const SPOT: Recording = Recording {
    venue: Venue::BinanceSpot,
    tick: "0.01",
    // Some quantities are finer than the venue's own lot of 0.00001.
    lot: "0.00000001",
    files: &["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"],
};
pub(super) const SPOT_SECOND_FILE: Recording = Recording { files: &["spot_btcusdt_20240809.gz"], ..SPOT };
pub(super) const USDM: Recording =
    Recording { venue: Venue::BinanceUsdm, tick: "0.10", lot: "0.001", files: &["usdm_btcusdt_20240808.gz"] };
pub(super) const USDM_JULY: Recording =
    Recording { files: &["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"], ..USDM };
pub(super) const USDM_2023: Recording =
    Recording { files: &["usdm_btcusdt_20230404_us.dat.gz", "usdm_btcusdt_20230405_us.dat.gz"], ..USDM };
pub(super) const COINM: Recording = Recording {
    venue: Venue::BinanceCoinm,
    tick: "0.1",
    lot: "1",
    files: &["cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"],
};

impl Recording {
    /// Snapshots, changes and tickers in file order; `None`, said aloud, where the data is absent.
    pub(super) fn read(&self, test: &str) -> Option<Vec<Body>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crypto/binance");
        let paths: Vec<PathBuf> = self.files.iter().map(|file| folder.join(file)).collect();
        if let Some(absent) = paths.iter().find(|path| !path.exists()) {
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {}", absent.display());
            return None;
        }
        let mut bodies = Vec::new();
        for path in paths {
            let lines = BufReader::new(MultiGzDecoder::new(File::open(path).expect("readable"))).lines();
            bodies.extend(lines.filter_map(|line| self.body(&line.expect("text"))));
        }
        Some(bodies)
    }

    fn body(&self, line: &str) -> Option<Body> {
        let json = line.split_once(' ').expect("a receive time").1;
        let frame: Value = serde_json::from_str(json).expect("JSON");
        if frame.get("lastUpdateId").is_some() {
            return Some(Body::Snapshot(self.snapshot(&frame)));
        }
        let data = &frame["data"];
        match data["e"].as_str() {
            Some("depthUpdate") => Some(Body::Delta(self.delta(data))),
            Some("bookTicker") => Some(Body::Quote(self.quote(data))),
            // On spot the ticker is the frame without a name.
            None if data.get("B").is_some() => Some(Body::Quote(self.quote(data))),
            _ => None,
        }
    }

    fn snapshot(&self, frame: &Value) -> BookSnapshot {
        BookSnapshot {
            last_id: frame["lastUpdateId"].as_i64(),
            limit: Some(1000),
            bids: self.levels(&frame["bids"]),
            asks: self.levels(&frame["asks"]),
        }
    }

    fn delta(&self, data: &Value) -> BookDelta {
        BookDelta {
            first_id: data["U"].as_i64(),
            last_id: data["u"].as_i64(),
            prev_id: data["pu"].as_i64(),
            bids: self.levels(&data["b"]),
            asks: self.levels(&data["a"]),
        }
    }

    fn quote(&self, data: &Value) -> Quote {
        Quote {
            update_id: data["u"].as_i64(),
            bid: self.level(&data["b"], &data["B"]),
            ask: self.level(&data["a"], &data["A"]),
        }
    }

    fn levels(&self, rows: &Value) -> Vec<Level> {
        rows.as_array().expect("levels").iter().map(|row| self.level(&row[0], &row[1])).collect()
    }

    /// A level from two texts, as in `61602.01 × 1.67177`.
    pub(super) fn level_of(&self, px: &str, qty: &str) -> Level {
        let count = |text, step| {
            let step = Step::parse(step).expect("a step");
            step.count(Decimal::parse(text).expect("a number")).expect("a multiple of the step")
        };
        Level { px: Ticks(count(px, self.tick)), qty: Lots(count(qty, self.lot)) }
    }

    fn level(&self, px: &Value, qty: &Value) -> Level {
        self.level_of(px.as_str().expect("text"), qty.as_str().expect("text"))
    }
}
