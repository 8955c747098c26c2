//! Recorded days against their known counts; every layout, and every way in which a file can be wrong.

use std::collections::BTreeSet;
use std::fs;

use lobstream_market::ashare::{DayOrder, OrderSource, SseKind, StockDay};
use lobstream_market::factor::columns::{Cell, Column, ColumnKind};

use super::*;

fn recorded(test: &str, file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ashare/l2").join(file);
    if path.exists() {
        return Some(path);
    }
    crate::said(&format!("SKIPPED {test}: no {}", path.display()));
    None
}

fn days(date: u32, inputs: &[PathBuf]) -> Result<Vec<StockDay>, Error> {
    stock_days(date, inputs, &BTreeSet::new())
}

fn of(day: &StockDay, source: OrderSource) -> usize {
    day.orders.iter().filter(|o| o.source == source).count()
}

#[test]
fn the_reference_day_of_600519_has_its_counts() {
    let Some(zip) = recorded("the_reference_day_of_600519_has_its_counts", "sh600519_20230201.zip") else {
        return;
    };
    let days = days(20_230_201, &[zip]).unwrap();
    let [day] = &days[..] else { panic!("{} stocks", days.len()) };
    assert_eq!(day.code.to_string(), "600519.SH");
    let sources = [OrderSource::Rest, OrderSource::TakerFull, OrderSource::TakerRest].map(|s| of(day, s));
    assert_eq!(sources, [38_104, 19_050, 963]);
    assert_eq!((day.orders.len(), day.cancels.len(), day.trades.len()), (58_117, 15_668, 27_135));
    assert_eq!(day.orders.iter().map(|o| o.qty).sum::<i64>(), 10_229_555);
    assert_eq!(day.trades.iter().map(|t| t.qty).sum::<i64>(), 3_397_389);
    let c = day.counters;
    assert_eq!((c.rows, c.duplicates, c.money_mismatch, c.cancel_unpriced), (81_870, 0, 0, 0));
}

#[test]
fn five_stocks_of_another_vendor_have_their_counts_in_the_session() {
    let test = "five_stocks_of_another_vendor_have_their_counts_in_the_session";
    let Some(dir) = recorded(test, "sh5_20230711") else { return };
    let days = days(20_230_711, &["SHorders.zip", "SHtrans.zip"].map(|f| dir.join(f))).unwrap();
    let counts: Vec<(String, [usize; 3])> = days
        .iter()
        .map(|d| {
            let trades = d.trades.iter().filter(|t| t.time.in_session()).count();
            let orders = d.orders.iter().filter(|o| o.time.in_session()).count();
            let cancels = d.cancels.iter().filter(|c| c.time.in_session() && c.price.is_some()).count();
            (d.code.to_string(), [trades, orders, cancels])
        })
        .collect();
    let expected = [
        ("600536.SH", [33_105, 52_122, 12_542]),
        ("600761.SH", [24_668, 36_979, 8_812]),
        ("600961.SH", [28_520, 39_699, 9_003]),
        ("601825.SH", [5_340, 8_237, 1_994]),
        ("605580.SH", [16_393, 25_471, 7_074]),
    ];
    assert_eq!(counts, expected.map(|(code, n)| (code.to_owned(), n)));
}

#[test]
fn a_merged_file_that_was_cut_off_is_refused_with_its_line() {
    let test = "a_merged_file_that_was_cut_off_is_refused_with_its_line";
    let Some(zip) = recorded(test, "sh5_20230711/SHorderTrans.zip") else { return };
    let Err(Error::Input(error)) = days(20_230_711, &[zip]) else { panic!("accepted") };
    assert_eq!((error.kind, error.line.is_some()), (InputKind::Truncated, true), "{error}");
    assert!(error.file.ends_with("SHorderTrans.zip!SHorderTrans.csv"), "{error}");
}

#[test]
fn trades_of_both_exchanges_in_one_file_go_to_their_stocks() {
    let test = "trades_of_both_exchanges_in_one_file_go_to_their_stocks";
    let Some(zip) = recorded(test, "sz000001_sh600000_trades_20230201.zip") else { return };
    let days = days(20_230_201, &[zip]).unwrap();
    let [sz, sh] = &days[..] else { panic!("{} stocks", days.len()) };
    assert_eq!((sz.code.to_string(), sh.code.to_string()), ("000001.SZ".to_owned(), "600000.SH".to_owned()));
    assert_eq!((sz.trades.len(), sz.cancels.len(), sh.trades.len()), (133_815, 32_996, 14_872));
    assert_eq!(sz.trades.iter().map(|t| t.qty).sum::<i64>(), 165_342_148);
    assert_eq!((sz.counters.unknown_ref, sz.has_orders, sh.has_orders), (32_996, false, false));
}

#[test]
fn snapshots_and_queues_beside_the_trades_are_skipped_by_name() {
    let test = "snapshots_and_queues_beside_the_trades_are_skipped_by_name";
    let Some(dir) = recorded(test, "datayes_sh600519_sz000333_20230201_03") else { return };
    let files = DayFiles::open(&[dir], 20_230_202).unwrap();
    let tables: Vec<TableKind> = files.tables.iter().map(Table::kind).collect();
    assert_eq!(tables, [TableKind::SseTrades]);
    assert_eq!(files.skipped.len(), 6, "{:?}", files.skipped);
    assert!(files.tables[0].file().ends_with("20230202_Transaction.csv.zst"));
}

/// A folder with files of text in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn day_of(files: &[(&str, &str)]) -> Result<Vec<StockDay>, Error> {
    let dir = folder(files);
    days(20_230_201, &[dir.path().to_owned()])
}

fn refused(files: &[(&str, &str)]) -> InputError {
    match day_of(files) {
        Err(Error::Input(error)) => error,
        other => panic!("{other:?}"),
    }
}

const MERGED: &str =
    "BizIndex,Channel,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TradeMoney,TickBSFlag\n";

#[test]
fn a_merged_stream_gives_orders_trades_cancels_and_phases() {
    let rows = "1,1,600000,91500000,S,0,0,0,0,0,OCALL\n2,1,600000,93000000,A,0,7,10.01,300,0,S\n\
        3,1,600000,93001000,T,8,7,10.01,100,1001,B\n4,1,600000,93001000,A,8,0,10.01,50,0,B\n\
        5,1,600000,93002000,D,8,0,0.123456,50,0,B\n";
    let dir = folder(&[("mdl_4_24_0.csv", &format!("{MERGED}{rows}"))]);
    let files = DayFiles::open(&[dir.path().to_owned()], 20_230_201).unwrap();
    let mut phases = Vec::new();
    files.tables[0]
        .read_all(|batch| {
            let status = batch.sse.iter().filter(|(_, r)| r.kind == SseKind::Status);
            phases.extend(status.map(|(_, r)| r.phase));
            Ok(())
        })
        .unwrap();
    assert_eq!(phases, [Some(lobstream_market::ashare::Phase::OpenCall)]);
    let day = days(20_230_201, &[dir.path().to_owned()]).unwrap().remove(0);
    let orders: Vec<(i64, i64, i64)> = day.orders.iter().map(|o| (o.no, o.price, o.qty)).collect();
    assert_eq!(orders, [(7, 1001, 300), (8, 1001, 150)]);
    assert_eq!(day.cancels[0].price, Some(1001), "a cancel's own price means nothing if it is no tick");
}

#[test]
fn a_file_lacking_a_column_is_refused_naming_both() {
    let error =
        refused(&[("MktOrderDataSZ_20230201.csv", "SecurityID,TickTime,Price,Side\n1,93000000,10,1\n")]);
    assert_eq!(error.kind, InputKind::MissingColumn);
    assert!(
        error.file.ends_with("MktOrderDataSZ_20230201.csv") && error.what.contains("no column Qty"),
        "{error}"
    );
    let orders = "SecurityID,OrderTime,OrderType,OrderNO,OrderPrice,Balance,OrderBSFlag,BizIndex\n";
    let trades = "SecurityID,TradTime,TradPrice,TradVolume,TradeBuyNo,TradeSellNo,TradeBSFlag\n";
    let error = refused(&[("a.csv", orders), ("b.csv", trades)]);
    assert!(error.file.ends_with("b.csv") && error.what.contains("no column BizIndex"), "{error}");
}

#[test]
fn rows_of_another_day_and_mixed_times_are_refused() {
    let header =
        "MDDate,MDTime,OrderType,OrderPrice,OrderQty,OrderBSFlag,ChannelNo,ApplSeqNum,OrderNO,SecurityID\n";
    let row = "2023.07.11,09:15:00.280,2,15.93,300,2,1,186445,1329,605580.SH\n";
    let error = refused(&[("a.csv", &format!("{header}{row}"))]);
    assert_eq!((error.kind, error.line), (InputKind::DayMismatch, Some(2)), "{error}");
    let rows = "1,1,600000,93000000,A,0,7,10.01,300,0,S\n2,1,600000,93001,A,0,8,10.01,300,0,S\n";
    let error = refused(&[("a.csv", &format!("{MERGED}{rows}"))]);
    assert_eq!((error.kind, error.line), (InputKind::UnitMixed, Some(3)), "{error}");
    let rows = "1,1,600000,1675215000540,A,0,7,10.01,300,0,S\n";
    assert_eq!(refused(&[("a.csv", &format!("{MERGED}{rows}"))]).kind, InputKind::UnitAmbiguous);
}

#[test]
fn rows_that_cannot_be_used_are_dropped_and_too_many_refused() {
    let good = |i: usize| format!("{i},1,600000,93000000,A,0,{i},10.01,300,0,S\n");
    let mut text = MERGED.to_owned();
    (1..=400).for_each(|i| text += &good(i));
    text += "401,1,600000,93000000,A,0,401,10.0101,300,0,S\n402,1,1234567,93000000,A,0,402,10.01,300,0,S\n";
    text += "403,1,600000,93000000,A,0,403,10.01,-5,0,S\n404,1,600000,96000000,A,0,404,10.01,5,0,S\n";
    assert_eq!(day_of(&[("a.csv", &text)]).unwrap()[0].orders.len(), 400);
    text += "405,1,600000,93000000\n";
    let error = refused(&[("a.csv", &text)]);
    assert_eq!(error.kind, InputKind::InputQuality);
    for reason in ["off_tick 1", "bad_code 1", "bad_qty 1", "bad_time 1", "bad_field 1", "row 402, off_tick"]
    {
        assert!(error.what.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_last_line_that_ends_in_the_middle_is_a_cut_file() {
    let error = refused(&[("a.csv", &format!("{MERGED}1,1,600000,93000000,A,0,7,10.01,300,0,S\n2,1,6000"))]);
    assert_eq!((error.kind, error.line), (InputKind::Truncated, Some(3)));
}

const fn column(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind, nullable: true, doc: "" }
}

/// A Parquet file as a vendor writes it: codes and numbers as floats or integers, kinds as text.
fn parquet(path: &Path, columns: &[Column], rows: &[&str]) {
    let mut table = crate::parquet::Table::new(columns);
    for row in rows {
        let cells = row.split(',').zip(columns).map(|(cell, column)| match column.kind {
            _ if cell.is_empty() => Cell::Null,
            ColumnKind::Bool => Cell::Bool(cell == "1"),
            ColumnKind::Int => Cell::Int(cell.parse().unwrap()),
            ColumnKind::Float => Cell::Float(cell.parse().unwrap()),
            ColumnKind::Date => panic!("no table of an exchange has a column of dates"),
            ColumnKind::Text => Cell::Text(cell.to_owned()),
        });
        table.push(cells.collect());
    }
    table.write(fs::File::create(path).unwrap(), &[]).unwrap();
}

#[test]
fn parquet_of_shenzhen_with_lost_zeros_is_read_by_its_vendor_names() {
    use ColumnKind::*;
    let dir = tempfile::tempdir().unwrap();
    let orders = [
        column("SecurityID", Int),
        column("TransactTime", Int),
        column("Price", Float),
        column("OrderQty", Float),
        column("Side", Text),
        column("ApplSeqNum", Int),
    ];
    let rows = [
        "1,93000000,10.01,300,49,5",
        "1,93000010,10.02,200,50,6",
        "1,93000020,10.02,200,71,7",
        "333,93000000,55.2,100,1,8",
    ];
    parquet(&dir.path().join("MktOrderDataSZ_20230201.parquet"), &orders, &rows);
    let executions = [
        column("SecurityID", Int),
        column("TransactTime", Int),
        column("LastPx", Float),
        column("LastQty", Int),
        column("BidApplSeqNum", Int),
        column("OfferApplSeqNum", Int),
        column("ExecType", Text),
        column("ApplSeqNum", Int),
    ];
    let rows = ["1,93100000,10.01,100,5,9,70,10", "1,93200000,0,200,5,0,52,11"];
    parquet(&dir.path().join("MktTradeDataSZ_20230201.parquet"), &executions, &rows);
    let days = days(20_230_201, &[dir.path().to_owned()]).unwrap();
    assert_eq!(days.iter().map(|d| d.code.to_string()).collect::<Vec<_>>(), ["000001.SZ", "000333.SZ"]);
    let day = &days[0];
    assert_eq!((day.orders.len(), day.trades.len(), day.counters.side_ignored), (2, 1, 1));
    assert_eq!((day.cancels[0].no, day.cancels[0].price, day.cancels[0].qty), (5, Some(1001), 200));
}

#[test]
fn parquet_of_restored_orders_is_not_restored_again() {
    use ColumnKind::*;
    let dir = tempfile::tempdir().unwrap();
    let orders = [
        column("SecurityID", Text),
        column("TickTime", Int),
        column("OrdType", Text),
        column("Side", Text),
        column("Price", Float),
        column("Qty", Int),
        column("IsAggressive", Bool),
    ];
    let rows = [
        "600000,93000000,New,B,10.01,500,1",
        "600000,93001000,New,S,10.02,100,",
        "600000,93002000,Cancel,B,10.01,400,",
    ];
    parquet(&dir.path().join("20230201_sh_order_data.parquet"), &orders, &rows);
    let trades = [
        column("SecurityID", Text),
        column("TickTime", Int),
        column("Price", Float),
        column("Qty", Int),
        column("TickBSFlag", Text),
        column("BuyOrderNO", Int),
        column("SellOrderNO", Int),
    ];
    parquet(
        &dir.path().join("20230201_sh_trade_data.parquet"),
        &trades,
        &["600000,93000000,10.01,100,B,1,2"],
    );
    let day = days(20_230_201, &[dir.path().to_owned()]).unwrap().remove(0);
    let said = |o: &DayOrder| (o.qty, o.aggressive, o.source);
    let sent = OrderSource::Sent;
    assert_eq!(
        day.orders.iter().map(said).collect::<Vec<_>>(),
        [(500, Some(true), sent), (100, Some(false), sent)]
    );
    assert_eq!((day.cancels.len(), day.trades.len(), day.counters.aggressive_unknown), (1, 1, 1));
}

#[test]
fn damaged_and_cut_parquet_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MktOrderDataSZ_20230201.parquet");
    let columns = [column("SecurityID", ColumnKind::Int), column("Qty", ColumnKind::Int)];
    parquet(&path, &columns, &["1,2"]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    let Err(Error::Input(error)) = days(20_230_201, &[dir.path().to_owned()]) else { panic!("accepted") };
    assert_eq!(error.kind, InputKind::Unreadable, "{error}");
}
