"""One stock-day of the exchange: the daily microstructure against sums straight from the file of its trades.

    lobstream daily run --date 20230201 --universe all --ticks ZIP --dir DIR
    python tests/oracle/daily_sums.py ZIP DIR

ZIP holds tradeData.csv of SZSE 000001 and SSE 600000 on 2023-02-01. Prices become cents by rounding, everything else
is whole numbers; the side is that of the later order. Exit code 1 and the differences if there are any.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd


def main():
    path, folder = sys.argv[1:]
    with zipfile.ZipFile(path) as z:
        rows = pd.read_csv(io.BytesIO(z.read("tradeData.csv")), dtype={"SecurityID": str, "ExecType": str})
    rows = rows[(rows.Market == "SZ") & (rows.SecurityID.str.zfill(6) == "000001")]
    # F is a trade, 4 a cancel.
    rows = rows[(rows.ExecType == "F") & (rows.TradeQty > 0)]
    time = rows.TradeTime.str.slice(11)
    rows = rows.assign(cents=(rows.TradePrice * 100).round().astype(int), time=time)
    day = rows[rows.time < "15:05:00.000"]
    value = day.cents * day.TradeQty
    # In an auction nobody crosses.
    auction = (day.time < "09:30:00.000") | (day.time >= "14:57:00.000")
    bought = (day.BidApplSeqNum > day.OfferApplSeqNum) & ~auction
    sold = (day.OfferApplSeqNum > day.BidApplSeqNum) & ~auction
    threshold = np.quantile(value / 100, 0.9)
    big = value / 100 >= threshold

    def total(which):
        return int(value[which].sum()) / 100

    def net(first, last):
        span = (day.time >= first) & (day.time < last)
        return total(big & bought & span) - total(big & sold & span)

    all_of_it = int(value.sum()) / 100
    expected = dict(
        total_value=all_of_it, total_volume=int(day.TradeQty.sum()), trade_count=len(day),
        vwap=all_of_it / int(day.TradeQty.sum()), buy_value=total(bought), sell_value=total(sold),
        order_flow_imbalance=(total(bought) - total(sold)) / all_of_it,
        aggressive_trade_count_ratio=(int(bought.sum()) - int(sold.sum())) / len(day),
        big_threshold=threshold, big_buy_value=total(big & bought), big_sell_value=total(big & sold),
        big_net_value=total(big & bought) - total(big & sold), big_net_auction=net("09:00", "09:30"),
        big_net_open=net("09:30", "10:00"), big_net_mid=net("10:00", "14:00"), big_net_close=net("14:00", "15:05"))
    part = Path(folder) / "daily/stock_microstructure_daily/trade_date=20230201/part-0.parquet"
    got = pd.read_parquet(part).set_index("ts_code").loc["000001.SZ"]
    wrong = [f"{name}: stored {got[name]!r}, summed {x!r}" for name, x in expected.items()
             if abs(got[name] - x) > 1e-9 * max(1.0, abs(x))]
    print(f"{len(expected)} sums of {len(day)} trades, {expected['total_volume']} shares; {len(wrong)} differ")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
