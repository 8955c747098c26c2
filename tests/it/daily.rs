//! The daily chain as its user meets it: the same tables whatever happens to a run, and none that knows the future.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lobstream::clock::Clock;
use lobstream_market::calendar::Day;

use crate::sinks::database;
use crate::support::{Folder, Rng, command, lobstream, mongo, python, root, unique};

const STOCKS: [&str; 6] = ["600001.SH", "600002.SH", "600003.SH", "000001.SZ", "000002.SZ", "300001.SZ"];

const FIRST_DAY: i64 = 20_220_104;

/// Made-up daily bars of a few stocks, one of which is under special treatment and in no pool.
pub(crate) struct Market {
    pub(crate) stocks: Vec<Stock>,
}

pub(crate) struct Stock {
    pub(crate) code: &'static str,
    pub(crate) bars: Vec<Bar>,
}

pub(crate) struct Bar {
    pub(crate) day: String,
    /// Open, high, low, close.
    pub(crate) prices: [f64; 4],
    row: String,
}

impl Market {
    /// The same bars for the same days, however many follow.
    pub(crate) fn new(n_days: usize) -> Market {
        let stock = |(seed, code): (u64, &&'static str)| Stock { code, bars: bars(code, seed, n_days) };
        Market { stocks: (0..).zip(&STOCKS).map(stock).collect() }
    }

    /// The n-th day, YYYYMMDD.
    pub(crate) fn day(&self, n: usize) -> String {
        day(n)
    }

    /// One file per stock in tushare's columns, its newest bar first, as half of the real files are; and their names.
    fn write(&self, folder: &Folder, name: &str) -> Vec<String> {
        let dir = folder.path(name);
        fs::create_dir_all(&dir).expect("a folder");
        let write = |stock: &Stock| {
            let path = format!("{dir}/{}.csv", stock.code);
            fs::write(&path, text(&stock.bars)).expect("written");
            path
        };
        let names = format!("{dir}/basic_stock_data.csv");
        let row = |code: &&str| format!("{code},{},20100101\n", name_of(code));
        let rows: String = STOCKS.iter().map(row).collect();
        fs::write(&names, format!("ts_code,name,list_date\n{rows}")).expect("written");
        self.stocks.iter().map(write).chain([names.clone()]).collect()
    }

    /// Writes the files and imports them.
    pub(crate) fn import(&self, folder: &Folder, name: &str, dir: &str) {
        import(&self.write(folder, name), dir);
    }
}

fn day(n: usize) -> String {
    let first = Day::from_number(FIRST_DAY).expect("a date");
    first.plus(i32::try_from(n).expect("small")).number().to_string()
}

fn market(folder: &Folder, name: &str, n_days: usize) -> Vec<String> {
    Market::new(n_days).write(folder, name)
}

fn name_of(stock: &str) -> &'static str {
    if stock == "600003.SH" { "*ST Made" } else { "Made" }
}

fn bars(stock: &str, seed: u64, n_days: usize) -> Vec<Bar> {
    let (mut rng, mut close) = (Rng::new(seed), 20.0 + seed as f64);
    let bar = |n| {
        let (pre, cents) = (close, |x: f64| (x * 100.0).round() / 100.0);
        close = cents(pre * (0.96 + 0.081 * rng.fraction()));
        let open = cents(pre * (0.99 + 0.02 * rng.fraction()));
        let (high, low) = (cents(open.max(close) * 1.01), cents(open.min(close) * 0.99));
        let lots = 30_000.0 + (200_000.0 * rng.fraction().powi(4)).round();
        let amount = lots * 100.0 * (high + low) / 2.0 / 1000.0;
        let row = format!("{stock},{},{open},{high},{low},{close},{pre},0,0,{lots},{amount}", day(n));
        Bar { day: day(n), prices: [open, high, low, close], row }
    };
    (0..n_days).map(bar).collect()
}

fn text(bars: &[Bar]) -> String {
    let mut text = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount\n".to_owned();
    bars.iter().rev().for_each(|bar| writeln!(text, "{}", bar.row).expect("a text"));
    text
}

fn import(files: &[String], dir: &str) {
    let mut args = vec!["daily", "import", "bars", "--basis", "qfq", "--dir", dir];
    args.extend(files.iter().map(String::as_str));
    lobstream(&args).ok();
}

fn run<'a>(dir: &'a str, from: &'a str, to: &'a str) -> [&'a str; 8] {
    ["daily", "run", "--dir", dir, "--from", from, "--to", to]
}

/// Every Parquet part below a folder, as its path and bytes.
pub(crate) fn parts(dir: &str) -> BTreeMap<String, Vec<u8>> {
    let (mut open, mut found) = (vec![Path::new(dir).join("daily")], BTreeMap::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

#[test]
fn a_chain_that_is_killed_and_run_again_leaves_the_same_tables() {
    let folder = Folder::new();
    let files = market(&folder, "bars", 130);
    let (whole, torn) = (folder.path("whole"), folder.path("torn"));
    import(&files, &whole);
    import(&files, &torn);
    let (from, to) = (day(40), day(129));
    let clock = Clock::start();
    lobstream(&run(&whole, &from, &to)).ok();
    let span = clock.mono().0;
    let mut rng = Rng::new(11);
    for _ in 0..6 {
        let mut child =
            command(&run(&torn, &from, &to)).stdout(std::process::Stdio::null()).spawn().expect("starts");
        std::thread::sleep(span.mul_f64(0.05 + 0.5 * rng.fraction()));
        // It may have come to its end.
        let _ = child.kill();
        child.wait().expect("ends");
    }
    lobstream(&run(&torn, &from, &to)).ok();
    let expected = parts(&whole);
    for table in ["stock_bollinger_data", "stock_active_pool", "stock_fund_quality", "price_levels_daily"] {
        assert!(expected.keys().any(|name| name.contains(table)), "{table} has no part");
    }
    assert_eq!(parts(&torn), expected);
    let again = lobstream(&run(&whole, &from, &to)).ok();
    assert!(again.contains("had been done before") && !again.contains(" done, "), "{again}");
}

#[test]
fn what_comes_later_changes_no_table_of_an_earlier_day() {
    let folder = Folder::new();
    let (cut, all) = (folder.path("cut"), folder.path("all"));
    import(&market(&folder, "to-100", 100), &cut);
    import(&market(&folder, "to-130", 130), &all);
    let (from, to) = (day(60), day(99));
    lobstream(&run(&cut, &from, &to)).ok();
    lobstream(&run(&all, &from, &to)).ok();
    let (of_cut, of_all) = (parts(&cut), parts(&all));
    assert!(of_cut.len() > 100, "{} parts", of_cut.len());
    let differ: Vec<&String> = of_cut.keys().filter(|name| of_cut.get(*name) != of_all.get(*name)).collect();
    assert!(differ.is_empty() && of_cut.len() == of_all.len(), "{differ:?}");
}

#[test]
fn bands_pool_and_levels_are_those_of_a_slow_computation_with_pandas() {
    let Some(python) = python("bands_pool_and_levels_are_those_of_a_slow_computation_with_pandas") else {
        return;
    };
    let folder = Folder::new();
    let (files, dir) = (market(&folder, "bars", 200), folder.path("daily"));
    import(&files, &dir);
    let (from, to) = (day(190), day(199));
    lobstream(&run(&dir, &from, &to)).ok();
    let oracle = root().join("tests/oracle/daily.py");
    let done = std::process::Command::new(python)
        .arg(oracle)
        .args([folder.path("bars"), dir, from, to])
        .output()
        .expect("python starts");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("values of 10 days compared, 0 differ"), "{said}");
}

#[test]
fn tables_are_published_to_mongodb_as_often_as_one_likes() {
    let Some(server) = mongo("tables_are_published_to_mongodb_as_often_as_one_likes") else { return };
    let folder = Folder::new();
    let (dir, address) = (folder.path("daily"), database(&server, &unique("daily")));
    import(&market(&folder, "bars", 60), &dir);
    let (from, to) = (day(50), day(59));
    for _ in 0..2 {
        let mut args = run(&dir, &from, &to).to_vec();
        args.extend(["--rebuild", "--results", &address]);
        lobstream(&args).ok();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let n = runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(&address).await.expect("address");
        let tables = client.default_database().expect("named");
        let bands = tables.collection::<mongodb::bson::Document>("stock_bollinger_data");
        bands.count_documents(mongodb::bson::doc! {}).await.expect("counted")
    });
    assert_eq!(n, 60, "six stocks on ten days");
}

#[test]
fn wrong_days_and_wrong_files_are_told() {
    let folder = Folder::new();
    let dir = folder.path("daily");
    import(&market(&folder, "bars", 30), &dir);
    lobstream(&["daily", "run", "--dir", &dir, "--date", "20230101"]).fails(3, &["20230101", &day(29)]);
    lobstream(&["daily", "run", "--dir", &dir, "--date", "yesterday"]).fails(2, &["yesterday"]);
    let bad = folder.path("bad.csv");
    fs::write(&bad, text(&bars("600009.SH", 1, 3)).replace(",low,", ",lowest,")).expect("written");
    lobstream(&["daily", "import", "bars", "--dir", &dir, &bad]).fails(4, &["bad.csv", "low"]);
}

#[test]
fn stocks_of_beijing_are_imported_and_let_into_pools_by_their_board() {
    let folder = Folder::new();
    let (dir, file, boards) = (folder.path("daily"), folder.path("bj.csv"), folder.path("boards.toml"));
    fs::write(&file, text(&bars("830799.BJ", 9, 60))).expect("written");
    fs::write(&boards, "[daily]\nboards = [\"bse\"]\n").expect("written");
    import(&[file], &dir);
    let last = day(59);
    let explain = |more: &[&str]| {
        let args = ["daily", "run", "--dir", &dir, "--date", &last, "--explain", "830799.BJ"];
        lobstream(&[&args, more].concat()).ok()
    };
    assert!(explain(&[]).contains("830799.BJ not in the pool: board"), "left out by default");
    let named = explain(&["--config", &boards]);
    assert!(named.contains("830799.BJ") && !named.contains("pool: board"), "{named}");
    let row =
        lobstream(&["daily", "table", "stock_bollinger_data", "--dir", &dir, "--symbol", "830799.BJ"]).ok();
    assert!(row.contains(&last), "{row}");
}
