//! Which table a file holds, and under which vendor name each of its columns stands.

use lobstream_market::ashare::Exchange;

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableKind {
    /// Shanghai's merged stream: orders, cancels, trades, status.
    SseMerged,
    /// Shanghai's orders and cancels.
    SseOrders,
    /// Shanghai's trades.
    SseTrades,
    /// Shanghai's orders and trades in one table, prices times 10⁴.
    SseBoth,
    /// Shanghai's orders as a vendor restored them.
    SseRestored,
    /// Shenzhen's orders.
    SzseOrders,
    /// Shenzhen's trades and cancels.
    SzseExecutions,
    /// Trades of both exchanges, cancels of Shenzhen.
    BothTrades,
}

/// A column that rows are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Code,
    Date,
    Time,
    Price,
    Qty,
    BuyNo,
    SellNo,
    No,
    /// `BizIndex` or `ApplSeqNum`, whichever orders the table.
    Index,
    /// `ApplSeqNum` where `BizIndex` is the index of Shanghai's rows only.
    SzIndex,
    Channel,
    Kind,
    Flag,
    Side,
    Money,
    Market,
    Source,
    Aggressive,
}

use Field::*;

/// Vendor names of each column, the first that is found counts.
const NAMES: &[(Field, &[&str])] = &[
    (Code, &["SecurityID"]),
    (Date, &["MDDate", "Date", "TradeDate"]),
    (Time, &["TickTime", "TransactTime", "OrderTime", "TradTime", "TradeTime", "MDTime", "Time"]),
    (Price, &["Price", "LastPx", "OrderPrice", "TradPrice", "TradePrice"]),
    (Qty, &["Qty", "OrderQty", "Balance", "LastQty", "TradVolume", "TradeQty"]),
    (BuyNo, &["BuyOrderNO", "BidApplSeqNum", "TradeBuyNo", "BidOrdID", "BuyNo"]),
    (SellNo, &["SellOrderNO", "OfferApplSeqNum", "TradeSellNo", "AskOrdID", "SellNo"]),
    (No, &["OrderNO", "OrdID"]),
    (Index, &["BizIndex", "ApplSeqNum"]),
    (SzIndex, &["ApplSeqNum"]),
    (Channel, &["ChannelNo", "Channel", "OrderChannel", "TradeChan"]),
    (Kind, &["Type", "OrderType", "OrdType", "ExecType"]),
    (Flag, &["TickBSFlag", "OrderBSFlag", "TradeBSFlag", "BSFlag", "ActiveSide"]),
    (Side, &["Side"]),
    (Money, &["TradeMoney"]),
    (Market, &["Market"]),
    (Source, &["SourceType"]),
    (Aggressive, &["IsAggressive"]),
];

impl TableKind {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            TableKind::SseMerged => "SH merged stream",
            TableKind::SseOrders => "SH orders",
            TableKind::SseTrades => "SH trades",
            TableKind::SseBoth => "SH orders and trades",
            TableKind::SseRestored => "SH restored orders",
            TableKind::SzseOrders => "SZ orders",
            TableKind::SzseExecutions => "SZ executions",
            TableKind::BothTrades => "SH and SZ trades",
        }
    }

    /// Whose rows it holds; `None` if it is of both.
    pub fn exchange(self) -> Option<Exchange> {
        match self {
            TableKind::SseMerged | TableKind::SseOrders | TableKind::SseTrades => Some(Exchange::Sh),
            TableKind::SseBoth | TableKind::SseRestored => Some(Exchange::Sh),
            TableKind::SzseOrders | TableKind::SzseExecutions => Some(Exchange::Sz),
            TableKind::BothTrades => None,
        }
    }

    /// Are its rows put together to orders, which needs an index in all of Shanghai's tables?
    pub(super) fn is_restored_here(self) -> bool {
        matches!(self, TableKind::SseMerged | TableKind::SseOrders | TableKind::SseBoth)
    }

    /// The columns it cannot do without, and those that are read if they are there.
    fn fields(self) -> (&'static [Field], &'static [Field]) {
        match self {
            TableKind::SseMerged => {
                (&[Code, Time, Price, Qty, BuyNo, SellNo, Index, Kind, Flag], &[Date, Channel, Money])
            }
            TableKind::SseOrders => (&[Code, Time, Price, Qty, No, Index, Kind, Flag], &[Date, Channel]),
            TableKind::SseTrades => {
                (&[Code, Time, Price, Qty, BuyNo, SellNo, Flag], &[Date, Index, Channel, Money])
            }
            TableKind::SseBoth => {
                (&[Code, Time, Price, Qty, BuyNo, SellNo, Index, Kind, Flag, Source], &[Date, Channel])
            }
            TableKind::SseRestored => (&[Code, Time, Price, Qty, Kind, Side], &[Date, Index, No, Aggressive]),
            TableKind::SzseOrders => (&[Code, Time, Price, Qty, Side], &[Date, Index, Channel, Kind]),
            TableKind::SzseExecutions => {
                (&[Code, Time, Price, Qty, BuyNo, SellNo, Kind], &[Date, Index, Channel])
            }
            TableKind::BothTrades => (
                &[Code, Time, Price, Qty, BuyNo, SellNo, Index, SzIndex, Kind, Flag, Market],
                &[Date, Channel, Money],
            ),
        }
    }

    /// From the names that vendors give their files.
    fn of_file(name: &str, has: &impl Fn(&str) -> bool) -> Option<TableKind> {
        let name = name.to_ascii_lowercase();
        let is = |words: [&str; 2]| words.iter().any(|w| name.contains(w));
        let sse_trades = if has("Type") { TableKind::SseMerged } else { TableKind::SseTrades };
        let sse_orders = if has("OrderBSFlag") { TableKind::SseOrders } else { TableKind::SseRestored };
        Some(match () {
            () if is(["mkttradedatasz", "_sz_trade_data"]) => TableKind::SzseExecutions,
            () if is(["mktorderdatasz", "_sz_order_data"]) => TableKind::SzseOrders,
            () if is(["mkttradedatash", "_sh_trade_data"]) => sse_trades,
            () if is(["mktorderdatash", "_sh_order_data"]) => sse_orders,
            () => return None,
        })
    }

    /// From the columns that only one table has.
    fn of_columns(has: &impl Fn(&str) -> bool) -> Option<TableKind> {
        let any = |names: &[&str]| names.iter().any(|n| has(n));
        let all = |names: &[&str]| names.iter().all(|n| has(n));
        Some(match () {
            () if all(&["Type", "TickBSFlag"]) => TableKind::SseMerged,
            () if all(&["SourceType", "BSFlag"]) => TableKind::SseBoth,
            () if all(&["TradeBSFlag", "ExecType", "Market"]) => TableKind::BothTrades,
            () if has("OrderBSFlag") => TableKind::SseOrders,
            () if any(&["TradeBSFlag", "TickBSFlag", "ActiveSide"]) => TableKind::SseTrades,
            () if has("ExecType") => TableKind::SzseExecutions,
            () if has("OrdType") && any(&["IsAggressive", "OrdID"]) => TableKind::SseRestored,
            () if has("Side") && any(&["BizIndex", "ApplSeqNum"]) => TableKind::SzseOrders,
            () => return None,
        })
    }
}

/// What the header of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A table, and where its columns stand.
    Table(Layout),
    /// A table of another kind: snapshots, queues.
    Skipped(&'static str),
    /// A column is missing; the text names it.
    Missing(String),
    /// Nothing that is known.
    Unknown,
}

/// A table's kind and the columns that are read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) kind: TableKind,
    /// (what it is, its place among the columns of the file).
    pub(super) columns: Vec<(Field, usize)>,
}

impl Layout {
    /// From the name of a file and the names of its columns.
    pub(super) fn find(file: &str, header: &[String]) -> Found {
        let has = |name: &str| header.iter().any(|h| h == name);
        if has("NoPriceLevel") || has("NumOrders") {
            return Found::Skipped("queues at the best prices");
        }
        if ["AskPrice1", "SellPrice1", "OfferPrice1"].iter().any(|n| has(n)) {
            return Found::Skipped("snapshots");
        }
        let Some(kind) = TableKind::of_file(file, &has).or_else(|| TableKind::of_columns(&has)) else {
            return Found::Unknown;
        };
        let (needed, wanted) = kind.fields();
        let mut columns = Vec::new();
        for (field, needed) in needed.iter().map(|f| (*f, true)).chain(wanted.iter().map(|f| (*f, false))) {
            let names = names(field);
            let place = names.iter().find_map(|n| header.iter().position(|h| h == n));
            match place {
                Some(place) => columns.push((field, place)),
                None if needed => return Found::Missing(missing(kind, names)),
                None => {}
            }
        }
        Found::Table(Layout { kind, columns })
    }

    /// Is the column there?
    pub(super) fn has(&self, field: Field) -> bool {
        self.columns.iter().any(|(f, _)| *f == field)
    }
}

pub(super) fn names(field: Field) -> &'static [&'static str] {
    NAMES.iter().find(|(f, _)| *f == field).map_or(&[], |(_, names)| names)
}

pub(super) fn missing(kind: TableKind, names: &[&str]) -> String {
    let (first, others) = names.split_first().expect("every field has a name");
    let also = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
    format!("a table of {} has no column {first}{also}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(file: &str, header: &str) -> Found {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Layout::find(file, &header)
    }

    fn kind(file: &str, header: &str) -> TableKind {
        match find(file, header) {
            Found::Table(layout) => layout.kind,
            other => panic!("{file}: {other:?}"),
        }
    }

    #[test]
    fn every_vendor_header_is_told_apart() {
        use TableKind::*;
        let trades = "SecurityID,TickTime,Price,Qty,TickBSFlag,BuyOrderNO,SellOrderNO,TradeMoney,BizIndex";
        let cases = [
            (
                SseMerged,
                "mdl_4_24.csv",
                "BizIndex,Channel,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TradeMoney,TickBSFlag",
            ),
            (SseTrades, "x.parquet", trades),
            (SseTrades, "MktTradeDataSH_20230201.parquet", trades),
            (
                SseTrades,
                "x.csv",
                "TradeChan,SecurityID,TradTime,TradPrice,TradVolume,TradeMoney,TradeBuyNo,TradeSellNo,TradeBSFlag,BizIndex",
            ),
            (
                SseOrders,
                "x.csv",
                "OrderChannel,SecurityID,OrderTime,OrderType,OrderNO,OrderPrice,Balance,OrderBSFlag,BizIndex",
            ),
            (
                SseOrders,
                "x.csv",
                "MDDate,MDTime,OrderType,OrderPrice,OrderQty,OrderBSFlag,ChannelNo,ApplSeqNum,OrderNO,SecurityID",
            ),
            (
                SseBoth,
                "x.csv",
                "SecurityID,Date,Time,SourceType,Type,Price,Qty,BSFlag,BuyNo,SellNo,ApplSeqNum,ChannelNo",
            ),
            (SseRestored, "20230201_sh_order_data.parquet", "SecurityID,TickTime,OrdType,Side,Price,Qty"),
            (
                SseRestored,
                "x.parquet",
                "SecurityID,BizIndex,TickTime,OrdID,OrdType,Side,Price,Qty,IsAggressive",
            ),
            (
                SzseOrders,
                "mdl_6_33_0.csv",
                "ChannelNo,ApplSeqNum,SecurityID,Price,OrderQty,Side,TradeTime,OrderType",
            ),
            (
                SzseExecutions,
                "mdl_6_36_0.csv",
                "ChannelNo,ApplSeqNum,BidApplSeqNum,OfferApplSeqNum,SecurityID,LastPx,LastQty,ExecType,TradeTime",
            ),
            (
                BothTrades,
                "tradeData.csv",
                "ChannelNo,ApplSeqNum,BidApplSeqNum,OfferApplSeqNum,SecurityID,TradePrice,TradeQty,ExecType,TradeTime,TradeMoney,TradeBSFlag,BizIndex,Market",
            ),
        ];
        for (expected, file, header) in cases {
            assert_eq!(kind(file, header), expected, "{file} {header}");
        }
        assert!(matches!(find("x.csv", "UpdateTime,SecurityID,AskPrice1"), Found::Skipped("snapshots")));
        assert!(matches!(find("x.csv", "DataTimeStamp,SecurityID,Side,NoPriceLevel"), Found::Skipped(_)));
        assert_eq!(find("x.csv", "a,b"), Found::Unknown);
    }

    #[test]
    fn a_missing_column_is_named_with_the_names_it_could_have() {
        let Found::Missing(what) = find("MktTradeDataSZ_20230201.parquet", "SecurityID,TickTime,Price")
        else {
            panic!("nothing is missing")
        };
        assert!(what.starts_with("a table of SZ executions has no column Qty (or OrderQty,"), "{what}");
    }
}
