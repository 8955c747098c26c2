//! Days of the vectors through the topology: the batch image for any order, late rows, images during the day.

use lobstream_market::ashare::{
    ExecKind, OrdType, SseFlag, SseKind, SseRow, StockCode, SzseExecution, SzseOrder,
};
use lobstream_market::ashare::{TickTime, sse_day, szse_day};
use lobstream_market::book::Side;
use lobstream_market::images::Painter;
use lobstream_streams::record::Record;
use lobstream_streams::testing::TestDriver;
use lobstream_streams::time::Ts;
use serde_json::Value;

use super::*;
use crate::codec::ashare::AshareRow;

const DATE: u32 = 20_230_201;

fn vectors(test: &str) -> Option<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/spec/vectors/images.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        crate::said(&format!("SKIPPED {test}: no {}", path.display()));
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn options() -> ImagesOptions {
    ImagesOptions {
        app: "images".to_owned(),
        topic_prefix: String::new(),
        output_prefix: String::new(),
        image: ImageSettings::default(),
        rows_max: 1_000,
        grace_s: 60,
        reopen: false,
        intraday: None,
    }
}

/// The topology of one exchange with its input piped in.
struct Run {
    driver: TestDriver<ImageMessage>,
    venue: &'static str,
    code: StockCode,
}

impl Run {
    fn new(options: &ImagesOptions, code: &str) -> Run {
        let code: StockCode = code.parse().unwrap();
        let driver = TestDriver::new(topology(options, code.exchange()).unwrap()).unwrap();
        Run { driver, venue: ashare::venue(code.exchange()), code }
    }

    fn row(&mut self, row: AshareRow) {
        let record = ImageMessage::Row(AshareRecord { date: DATE, row });
        let (key, ts) = (self.code.to_string(), Ts(row.time().ts_ns(DATE)));
        let topic = format!("market.{}", self.venue);
        self.driver.pipe(&topic, Record::new(key.as_str().into(), record, ts)).unwrap();
    }

    fn advance(&mut self, time: u32) {
        self.driver.advance(Ts(TickTime(time).ts_ns(DATE))).unwrap();
    }

    fn images(&mut self) -> Vec<ImageRecord> {
        let records = self.driver.read(&format!("image.{}", self.venue)).unwrap();
        let image = |r: Record<ImageMessage>| match r.value {
            ImageMessage::Image(image) => *image,
            ImageMessage::Row(_) => panic!("a row among images"),
        };
        records.into_iter().map(image).collect()
    }

    fn late(&mut self) -> usize {
        self.driver.read(&format!("late.{}", self.venue)).unwrap().len()
    }
}

fn int(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap()
}

fn time(row: &Value) -> TickTime {
    TickTime::from_number(int(row, "TickTime")).unwrap()
}

fn sse(all: &Value) -> Vec<SseRow> {
    let row = |r: &Value| SseRow {
        channel: 1,
        index: int(r, "BizIndex"),
        time: time(r),
        kind: match r["Type"].as_str().unwrap() {
            "A" => SseKind::Add,
            "D" => SseKind::Delete,
            "T" => SseKind::Trade,
            _ => SseKind::Status,
        },
        buy_no: int(r, "BuyOrderNO"),
        sell_no: int(r, "SellOrderNO"),
        price: int(r, "px"),
        qty: int(r, "qty"),
        money: None,
        flag: match r["TickBSFlag"].as_str().unwrap() {
            "B" => SseFlag::B,
            "S" => SseFlag::S,
            _ => SseFlag::N,
        },
        phase: None,
    };
    all["sh_day"]["stream"].as_array().unwrap().iter().map(row).collect()
}

fn szse(all: &Value) -> (Vec<SzseOrder>, Vec<SzseExecution>) {
    let order = |r: &Value| SzseOrder {
        channel: 2011,
        index: int(r, "BizIndex"),
        time: time(r),
        price: int(r, "px"),
        qty: int(r, "qty"),
        side: match r["Side"].as_str().unwrap() {
            "49" => Some(Side::Bid),
            "50" => Some(Side::Ask),
            _ => None,
        },
        kind: OrdType::Limit,
    };
    let execution = |r: &Value| SzseExecution {
        channel: 2011,
        index: int(r, "BizIndex"),
        time: time(r),
        price: int(r, "px"),
        qty: int(r, "qty"),
        buy_no: int(r, "BuyOrderNO"),
        sell_no: int(r, "SellOrderNO"),
        kind: if r["ExecType"] == "52" { ExecKind::Cancel } else { ExecKind::Trade },
    };
    let day = &all["sz_day"];
    let rows = |name: &str| day[name].as_array().unwrap().clone();
    (rows("orders").iter().map(order).collect(), rows("executions").iter().map(execution).collect())
}

fn bytes_of(day: &lobstream_market::ashare::StockDay) -> Vec<u8> {
    let settings = ImageSettings::default();
    Painter::new(settings).paint(day).unwrap().image(&settings).to_bytes().to_vec()
}

#[test]
fn the_final_image_is_that_of_the_batch_in_whatever_order_the_rows_come() {
    let test = "the_final_image_is_that_of_the_batch_in_whatever_order_the_rows_come";
    let Some(all) = vectors(test) else { return };
    let (rows, (orders, executions)) = (sse(&all), szse(&all));
    let sh = bytes_of(&sse_day("600000.SH".parse().unwrap(), rows.clone()));
    let sz = bytes_of(&szse_day("000001.SZ".parse().unwrap(), orders.clone(), executions.clone()));
    let sh_rows: Vec<AshareRow> = rows.into_iter().map(AshareRow::Sse).collect();
    let executions = executions.into_iter().map(AshareRow::Execution);
    let sz_rows: Vec<AshareRow> = orders.into_iter().map(AshareRow::Order).chain(executions).collect();
    for (code, rows, want) in [("600000.SH", sh_rows, sh), ("000001.SZ", sz_rows, sz)] {
        for turn in 0..3 {
            let mut rows = rows.clone();
            let n = rows.len();
            rows.rotate_left(turn * n / 3);
            if turn == 1 {
                rows.reverse();
            }
            let mut run = Run::new(&options(), code);
            rows.into_iter().for_each(|row| run.row(row));
            run.advance(150_059_999);
            assert_eq!(run.images(), [], "nothing is decided before the close");
            run.advance(150_100_000);
            let images = run.images();
            let [image] = &images[..] else { panic!("{} images", images.len()) };
            assert!(image.is_final && image.status == ImageStatus::Ok && image.date == DATE);
            assert_eq!(image.image.as_deref(), Some(&want[..]), "{code}, turn {turn}");
            assert_eq!(image.ts_known_ns, TickTime(150_100_000).ts_ns(DATE));
        }
    }
}

#[test]
fn a_row_after_the_close_is_kept_apart_or_makes_another_image() {
    let test = "a_row_after_the_close_is_kept_apart_or_makes_another_image";
    let Some(all) = vectors(test) else { return };
    let rows = sse(&all);
    let want = bytes_of(&sse_day("600000.SH".parse().unwrap(), rows.clone()));
    let (last, first) = rows.split_last().unwrap();
    let (moved, first) = first.split_last().unwrap();
    let feed = |run: &mut Run| {
        first.iter().chain([last]).for_each(|row| run.row(AshareRow::Sse(*row)));
        run.advance(150_100_000);
        run.row(AshareRow::Sse(*moved));
    };
    let mut closed = Run::new(&options(), "600000.SH");
    feed(&mut closed);
    assert_eq!((closed.images().len(), closed.late()), (1, 1));
    let mut open = Run::new(&ImagesOptions { reopen: true, ..options() }, "600000.SH");
    feed(&mut open);
    let images = open.images();
    assert_eq!(images.iter().map(|i| i.rev).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(images[0].image.as_deref(), Some(&want[..]));
    assert_eq!(images[1].image.as_deref(), Some(&want[..]), "the late row is in");
    assert_eq!(open.late(), 0);
}

#[test]
fn too_many_rows_give_no_image() {
    let Some(all) = vectors("too_many_rows_give_no_image") else { return };
    let rows = sse(&all);
    for (rows_max, status) in [(13, ImageStatus::TooManyRows), (14, ImageStatus::Ok)] {
        let mut run = Run::new(&ImagesOptions { rows_max, ..options() }, "600000.SH");
        rows.iter().for_each(|row| run.row(AshareRow::Sse(*row)));
        run.advance(150_100_000);
        let image = run.images().remove(0);
        assert_eq!((image.status, image.image.is_some()), (status, status == ImageStatus::Ok));
    }
}

fn seven(value: &Value) -> [i64; 7] {
    std::array::from_fn(|i| value[i].as_i64().unwrap())
}

/// The past days of the vectors, of both kinds of cuts alike.
fn past(all: &Value, code: StockCode) -> Past {
    let mut past = Past::default();
    for day in all["intraday"]["past"].as_array().unwrap() {
        let date: u32 = day["date"].as_str().unwrap().replace("2025", "2022").parse().unwrap();
        let (prices, qtys) = (seven(&day["px_cuts_x8"]), seven(&day["qty_cuts_x8"]));
        let of = PastDay {
            trade_price_x8: prices,
            trade_qty_x8: qtys,
            order_price_x8: prices,
            order_qty_x8: qtys,
            threshold: day["threshold"].as_f64(),
        };
        past.days.entry(code).or_default().insert(date, of);
        past.prev_close.insert((code, date), day["prev_close"].as_i64().unwrap());
    }
    past.prev_close.insert((code, DATE), all["intraday"]["prev_close_today"].as_i64().unwrap());
    past
}

#[test]
fn cuts_of_a_day_are_means_of_past_days_scaled_by_its_close_before() {
    let test = "cuts_of_a_day_are_means_of_past_days_scaled_by_its_close_before";
    let Some(all) = vectors(test) else { return };
    let code: StockCode = "600000.SH".parse().unwrap();
    let past = past(&all, code);
    let scales = past.scales(code, DATE, 20, 2).unwrap();
    let want =
        |name: &str| -> [f64; 7] { std::array::from_fn(|i| all["intraday"][name][i].as_f64().unwrap()) };
    let reached = |cuts: &[f64; 7], v: i64| cuts.iter().filter(|cut| **cut <= v as f64).count();
    for v in 900..1_200 {
        assert_eq!(scales.order_price.bin(v), reached(&want("px_cuts_today"), v).min(7), "price {v}");
    }
    for v in 0..3_000 {
        assert_eq!(scales.trade_qty.bin(v), reached(&want("qty_cuts_today"), v).min(7), "quantity {v}");
    }
    assert_eq!(scales.threshold, all["intraday"]["threshold"].as_f64().unwrap());
    assert_eq!(past.scales(code, DATE, 20, 3), None, "warming up");
    assert_eq!(past.scales(code, DATE + 1, 20, 2), None, "no close before");
    assert_eq!(past.scales(code, DATE, 1, 2), None, "the window is too short");
}

#[test]
fn what_comes_later_does_not_change_an_image_during_the_day() {
    let test = "what_comes_later_does_not_change_an_image_during_the_day";
    let Some(all) = vectors(test) else { return };
    let code: StockCode = "600000.SH".parse().unwrap();
    let past = Arc::new(past(&all, code));
    let with = |min_days| {
        let intraday = IntradayOptions { every_s: 2, lookback: 20, min_days, past: Arc::clone(&past) };
        ImagesOptions { intraday: Some(intraday), ..options() }
    };
    let images = |options: &ImagesOptions, until: u32| {
        let mut run = Run::new(options, "600000.SH");
        sse(&all).iter().filter(|r| r.time.0 <= until).for_each(|row| run.row(AshareRow::Sse(*row)));
        run.advance(until + 1);
        run.images()
    };
    let whole = images(&with(2), 93_006_000);
    assert_eq!(whole.len(), 3, "at 09:30:02, :04 and :06");
    for (n, until) in [(0, 93_002_000), (1, 93_004_000)] {
        let cut = images(&with(2), until);
        assert_eq!(cut.len(), n + 1);
        assert_eq!(cut[n], whole[n], "the image of {until}");
    }
    // Trades of 09:30:01.000 twice and 09:30:02.000; the auction is none of the session.
    assert_eq!(whole[0].kept[0], 3);
    assert!(whole.iter().all(|i| !i.is_final && i.status == ImageStatus::Ok));
    let warming = images(&with(3), 93_006_000);
    assert_eq!(warming.iter().map(|i| i.status).collect::<Vec<_>>(), [ImageStatus::Warmup]);
}

#[test]
fn an_image_survives_its_topic_and_another_version_is_refused() {
    let image = ImageRecord {
        date: DATE,
        is_final: true,
        rev: 3,
        ts_known_ns: -5,
        status: ImageStatus::Ok,
        counters: DayCounters { rows: 7, ..DayCounters::default() },
        kept: [1, 2, 3],
        image: Some(vec![9; 3840]),
    };
    let mut bytes = Vec::new();
    encode_image(&image, &mut bytes);
    assert_eq!(decode_image(&bytes), Ok(image));
    bytes[0] = 2;
    assert_eq!(decode_image(&bytes), Err("not an image of version 1"));
    assert!(decode_image(&bytes[..100]).is_err());
}
