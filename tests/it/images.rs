//! `lobstream images` on recorded days, on days of our own making, and on everything that can be wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lobstream::clock::Clock;
use lobstream::images::{DayImages, DayMeta};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sinks::database;
use crate::support::{Folder, Rng, command, lobstream, mongo, recording, root, skipped, unique};

/// Stock-days whose numbers were computed outside of this code, by symbol; `None` after saying what is skipped.
fn real(test: &str, date: &str) -> Option<BTreeMap<String, Value>> {
    let path = root().join("../shared/spec/vectors/images.json");
    let Ok(text) = fs::read_to_string(&path) else {
        skipped(test, &format!("{} is absent", path.display()));
        return None;
    };
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let days = all["real"].as_array().expect("a list").iter().filter_map(|day| {
        let (symbol, of) = day["symbol"].as_str()?.split_once(' ')?;
        (of == date).then(|| (symbol.to_owned(), day.clone()))
    });
    Some(days.collect())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_real_day(test: &str, date: &str, files: &[&str], expected: &BTreeMap<String, Value>) {
    let mut paths = Vec::new();
    for file in files {
        let Some(path) = recording(test, &format!("ashare/l2/{file}")) else { return };
        paths.push(path);
    }
    let (folder, day) = (Folder::new(), date.replace('-', ""));
    let out = folder.path("images");
    let mut args = vec!["images", "--date", date, "--out", &out, "--keep-counts", "--in"];
    args.extend(paths.iter().map(String::as_str));
    let said = lobstream(&args).ok();
    assert!(said.contains(&format!("{day}: {} images", expected.len())), "{said}");
    let images = DayImages::open(Path::new(&out).join(format!("{day}.lmdb")).as_ref()).expect("images");
    let meta = DayMeta::open(Path::new(&out).join(format!("{day}.meta.lmdb")).as_ref()).expect("metadata");
    assert_eq!(images.keys().expect("readable"), expected.keys().cloned().collect::<Vec<_>>());
    for (symbol, numbers) in expected {
        let image = images.get(symbol).expect("readable").expect("an image");
        assert_eq!(
            sha256(&image.to_bytes()),
            numbers["image_sha256_f32le"].as_str().expect("a hash"),
            "{symbol}"
        );
        let counts = meta.counts(symbol).expect("readable").expect("counts");
        let bytes: Vec<u8> = counts.0.iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(sha256(&bytes), numbers["counts_sha256_u32le"].as_str().expect("a hash"), "{symbol}");
        let cuts = meta.cuts(symbol).expect("readable").expect("cuts");
        assert_eq!(cuts.threshold, numbers["threshold"].as_f64(), "{symbol}");
        for (name, cuts) in [
            ("tp", cuts.trade_price_x8),
            ("tq", cuts.trade_qty_x8),
            ("op", cuts.order_price_x8),
            ("oq", cuts.order_qty_x8),
        ] {
            assert_eq!(serde_json::json!(cuts), numbers["cuts_x8"][name], "{symbol} {name}");
        }
        let stock = meta.stock(symbol).expect("readable").expect("a row");
        assert_eq!(serde_json::json!(stock.channel_sums), numbers["channel_sums"], "{symbol}");
        assert_eq!(stock.trades, numbers["trades"].as_u64().expect("a count"));
        assert_eq!(
            stock.counters.day.cancel_unpriced + stock.counters.day.unknown_ref,
            0,
            "nothing is unpriced"
        );
    }
    let checked = lobstream(&["images", "check", "--date", date, "--in", &out]).ok();
    assert!(checked.contains("all invariants hold") && checked.contains("big_ratio"), "{checked}");
}

#[test]
fn a_recorded_stock_day_gives_the_published_image() {
    let test = "a_recorded_stock_day_gives_the_published_image";
    let Some(expected) = real(test, "2023-02-01") else { return };
    check_real_day(test, "2023-02-01", &["sh600519_20230201.zip"], &expected);
}

#[test]
fn five_recorded_stocks_of_another_vendor_give_the_published_images() {
    let test = "five_recorded_stocks_of_another_vendor_give_the_published_images";
    let Some(expected) = real(test, "2023-07-11") else { return };
    let files = ["sh5_20230711/SHorders.zip", "sh5_20230711/SHtrans.zip"];
    check_real_day(test, "2023-07-11", &files, &expected);
}

#[test]
fn trades_and_cancels_without_orders_fill_the_channels_of_trades_and_say_so() {
    let test = "trades_and_cancels_without_orders_fill_the_channels_of_trades_and_say_so";
    let Some(file) = recording(test, "ashare/l2/sz000001_sh600000_trades_20230201.zip") else { return };
    let folder = Folder::new();
    let out = folder.path("images");
    let args =
        ["images", "--date", "20230201", "--in", &file, "--out", &out, "--symbols", "000001.SZ", "--json"];
    let said = lobstream(&args).ok();
    let stock: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    let sums: Vec<u64> = serde_json::from_value(stock["channel_sums"].clone()).expect("sums");
    assert!(sums[0] > 100_000 && sums[1] + sums[2] == sums[0], "{sums:?}");
    assert_eq!((sums[3] + sums[5], sums[4] + sums[6]), (sums[0], sums[0]));
    assert_eq!(sums[7..], [0; 8], "no orders, and no cancel can be priced");
    assert!(stock["warnings"].to_string().contains("no_orders"), "{stock}");
}

/// A merged stream of Shanghai as CSV: so many stocks with so many rows each.
fn market(folder: &Folder, name: &str, stocks: u32, rows: u32) -> String {
    let mut csv = String::from(
        "Channel,BizIndex,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TickBSFlag\n",
    );
    for n in 0..rows {
        for stock in 0..stocks {
            let mix = n.wrapping_mul(2_654_435_761).wrapping_add(stock.wrapping_mul(40_503)) >> 7;
            let (index, time) = (n * stocks + stock + 1, 93_000_000 + n % 60 * 1000);
            let (buy, sell, flag) = if mix % 2 == 0 { (index, 0, "B") } else { (0, index, "S") };
            let (kind, buy, sell) = if n % 4 == 3 { ("T", index - stocks, index) } else { ("A", buy, sell) };
            let (price, qty) = (1000 + mix % 60, 100 * (1 + mix % 9));
            let code = 600_000 + stock;
            let _ = writeln!(
                csv,
                "1,{index},{code},{time},{kind},{buy},{sell},{}.{:02},{qty},{flag}",
                price / 100,
                price % 100
            );
        }
    }
    let path = folder.path(name);
    fs::write(&path, csv).expect("written");
    path
}

fn hash_of(said: &str) -> String {
    let line = said.lines().find(|line| line.starts_with("day_hash ")).expect("a hash");
    line["day_hash ".len()..].to_owned()
}

#[test]
fn a_day_killed_at_ten_random_moments_ends_with_the_same_hash() {
    let folder = Folder::new();
    let file = market(&folder, "mdl_20240105.csv", 900, 12);
    let (whole, torn) = (folder.path("whole"), folder.path("torn"));
    let args = |out: &str| {
        ["images", "--date", "20240105", "--in", &file, "--out", out, "--no-progress"].map(str::to_owned)
    };
    let clock = Clock::start();
    let expected = hash_of(&lobstream(&args(&whole)).ok());
    let span = clock.mono().0;
    let (seed, mut rng) = (7, Rng::new(7));
    let mut resumed = 0;
    let building = Path::new(&torn).join("20240105.building/data.mdb");
    for kill in 0..10 {
        let mut child = command(&args(&torn)).stdout(std::process::Stdio::null()).spawn().expect("starts");
        while !building.exists() && child.try_wait().expect("asked").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(span.mul_f64(0.6 * rng.fraction()));
        // It may be done already: then the next run says so.
        let _ = child.kill();
        child.wait().expect("ends");
        let left = fs::read_dir(&torn).map(|entries| entries.count()).unwrap_or(0);
        resumed += usize::from(left > 0);
        let spilled = Path::new(&torn).join(".spill");
        assert!(
            !spilled.exists() || fs::read_dir(spilled).expect("readable").next().is_none(),
            "kill {kill}"
        );
    }
    let said = lobstream(&args(&torn)).ok();
    assert_eq!(hash_of(&said), expected, "seed {seed}; {resumed} kills left something behind");
    let report =
        |out: &str| fs::read_to_string(Path::new(out).join("reports/20240105.csv")).expect("a report");
    assert_eq!(report(&torn), report(&whole));
}

#[test]
fn what_is_wrong_with_the_input_is_told_and_nothing_is_left() {
    let folder = Folder::new();
    let out = folder.path("out");
    let run = |file: &str| lobstream(&["images", "--date", "20240105", "--in", file, "--out", &out]);
    let write = |name: &str, text: &str| {
        let path = folder.path(name);
        fs::write(&path, text).expect("written");
        path
    };
    let head = "BizIndex,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TickBSFlag\n";
    let missing = write("missing.csv", &head.replace("Price,", ""));
    run(&missing).fails(4, &["missing.csv", "Price"]);
    let off_tick = write("off.csv", &format!("{head}1,600000,93000000,A,1,0,10.001,100,B\n"));
    run(&off_tick).fails(4, &["input_quality", "off_tick"]);
    run(&folder.path("nothing.csv")).fails(4, &["nothing.csv"]);
    for name in ["20240105.lmdb", "20240105.meta.lmdb", "reports"] {
        assert!(!Path::new(&out).join(name).exists(), "{name}");
    }
    if let Some(cut) = recording("a truncated file", "ashare/l2/sh5_20230711/SHorderTrans.zip") {
        lobstream(&["images", "--date", "20230711", "--in", &cut, "--out", &out])
            .fails(4, &["truncated", "SHorderTrans"]);
    }
    let lost_zeros = write(
        "zeros.csv",
        "SecurityID,TransactTime,LastPx,LastQty,BidApplSeqNum,OfferApplSeqNum,ExecType,ApplSeqNum,ChannelNo\n1,93000000,10.01,100,1,2,70,3,1\n",
    );
    run(&lost_zeros).ok();
    let images = DayImages::open(Path::new(&out).join("20240105.lmdb").as_ref()).expect("images");
    assert_eq!(images.keys().expect("readable"), ["000001.SZ"]);
}

#[test]
fn an_existing_day_and_wrong_flags_are_refused() {
    let folder = Folder::new();
    let (file, out) = (market(&folder, "a.csv", 3, 40), folder.path("out"));
    let base = ["images", "--date", "2024-01-05", "--in", &file, "--out", &out];
    let with = |more: &[&str]| lobstream(&[&base[..], more].concat());
    let first = with(&[]).ok();
    assert!(with(&[]).ok().contains("3 images are there already"), "a whole day is skipped");
    let config = folder.path("c.toml");
    fs::write(&config, "[images]\nbins = \"joint\"\n").expect("written");
    with(&["--config", &config]).fails(6, &["config_changed", "bins = \"joint\"", "--overwrite"]);
    assert_ne!(hash_of(&with(&["--config", &config, "--overwrite"]).ok()), hash_of(&first));
    fs::write(&config, "[images]\nbin = \"joint\"\n").expect("written");
    with(&["--config", &config]).fails(2, &["c.toml:2", "bin"]);
    with(&["--mem", "4"]).fails(2, &["--mem"]);
    with(&["--symbols", "60051"]).fails(2, &["--symbols", "60051"]);
    lobstream(&["images", "--date", "20240230", "--in", &file, "--out", &out]).fails(2, &["--date"]);
    lobstream(&["images", "check", "--date", "20240106", "--in", &out])
        .fails(3, &["20240106", "lobstream images"]);
    // A day of which a byte of an image changed.
    let data = Path::new(&out).join("20240105.lmdb/data.mdb");
    let mut bytes = fs::read(&data).expect("read");
    let at = bytes.windows(6).rposition(|w| w == [0x04, 0x22, 0x4d, 0x18, 0x68, 0x40]).expect("a frame");
    bytes[at + 40] ^= 1;
    fs::write(&data, bytes).expect("written");
    let damaged = lobstream(&["images", "check", "--date", "20240105", "--in", &out]);
    assert!(matches!(damaged.code, Some(4 | 7)), "{:?}: {}", damaged.code, damaged.stderr);
}

#[test]
fn selected_days_and_stocks_are_copied_byte_for_byte() {
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).expect("made");
    market(&folder, "in/sh_20240104.csv", 3, 40);
    market(&folder, "in/sh_20240108.csv", 3, 44);
    let (input, out, copy) = (folder.path("in"), folder.path("out"), folder.path("copy"));
    let range = ["images", "--from", "20240101", "--to", "20240110", "--in", &input, "--out", &out];
    lobstream(&[&range[..], &["--keep-counts"]].concat()).ok();
    let export = ["export", "--to", "images", "--from", &out, "--out", &copy];
    let some = [&export[..], &["--dates", "20240108", "--symbols", "600002.SH,600000.SH"]].concat();
    assert!(lobstream(&some).ok().contains("20240108: 2 images copied"));
    let open = |dir: &str, name: &str| Path::new(dir).join(name);
    let (old, new) = (open(&out, "20240108.lmdb"), open(&copy, "20240108.lmdb"));
    let (old, new) = (DayImages::open(&old).expect("images"), DayImages::open(&new).expect("images"));
    assert_eq!(new.keys().expect("readable"), ["600000.SH", "600002.SH"]);
    assert!(!open(&copy, "20240104.lmdb").exists(), "a day that was not asked for");
    let meta = |dir: &str| DayMeta::open(&open(dir, "20240108.meta.lmdb")).expect("metadata");
    for key in new.keys().expect("readable") {
        let image = |day: &DayImages| day.get(&key).expect("readable").expect("an image").to_bytes();
        assert_eq!(image(&new), image(&old), "{key}");
        let told = |dir: &str| {
            let meta = meta(dir);
            let counts = meta.counts(&key).expect("readable").expect("counts");
            (meta.stock(&key).expect("readable"), meta.cuts(&key).expect("readable"), counts.0)
        };
        assert_eq!(told(&copy), told(&out), "{key}");
    }
    let checked = lobstream(&["images", "check", "--date", "20240108", "--in", &copy]).ok();
    assert!(checked.contains("all invariants hold"), "{checked}");
    lobstream(&some).fails(6, &["20240108.lmdb exists"]);
    lobstream(&[&export[..], &["--dates", "20240105"]].concat()).fails(3, &["20240105"]);
    lobstream(&["export", "--to", "factors", "--from", "lmdb:x", "--out", "a.csv", "--dates", "20240105"])
        .fails(2, &["--to images"]);
}

#[test]
fn one_exchange_a_range_of_days_and_a_picture() {
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).expect("made");
    market(&folder, "in/sh_20240104.csv", 2, 40);
    market(&folder, "in/sh_20240108.csv", 2, 44);
    let (input, out, png) = (folder.path("in"), folder.path("out"), folder.path("a.png"));
    let range = ["images", "--from", "20240101", "--to", "20240110", "--in", &input, "--out", &out];
    let said = lobstream(&range).ok();
    assert!(said.contains("20240104: 2 images") && said.contains("20240108: 2 images"), "{said}");
    lobstream(&["images", "--from", "20240201", "--to", "20240203", "--in", &input, "--out", &out])
        .fails(3, &["no tables"]);
    lobstream(&["images", "show", "--code", "600001.SH", "--date", "20240108", "--in", &out, "--out", &png])
        .ok();
    assert_eq!(fs::read(&png).expect("a picture")[..4], *b"\x89PNG");
    lobstream(&["images", "show", "--code", "600002.SH", "--date", "20240108", "--in", &out])
        .fails(3, &["600002.SH"]);
}

#[test]
fn every_stock_of_a_day_is_kept_as_a_document() {
    let Some(server) = mongo("every_stock_of_a_day_is_kept_as_a_document") else { return };
    let folder = Folder::new();
    let (file, out) = (market(&folder, "a.csv", 3, 40), folder.path("out"));
    let address = database(&server, &unique("images"));
    let args = ["images", "--date", "20240105", "--in", &file, "--out", &out, "--results", &address];
    for _ in 0..2 {
        let done = lobstream(&args);
        assert!(done.stderr.contains("3 documents kept"), "{}", done.stderr);
        done.ok();
    }
    let elsewhere = ["images", "--date", "20240105", "--in", &file, "--out", &out, "--results", "lmdb:x"];
    lobstream(&elsewhere).fails(2, &["--results lmdb:x", "mongodb://"]);
}
