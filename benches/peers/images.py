#!/usr/bin/env python3
"""The images of a day as a fast Python program makes them: polars for tables, numpy for quantiles and counting.

A peer to measure against: the same definition, the same files, the same store. Tables are read and joined whole, with
all cores; only quantiles, bins and counts are a loop over stocks, over numpy arrays. It reads what
`lobstream images synth` writes as Parquet, and leaves out what such days do not have (other layouts, rejected rows).

    images.py --date D --in DIR --out DIR [--check OTHER]     CHECK: compare with the images of another folder
"""
import argparse
import json
import pathlib
import resource
import sys
import time
import warnings

import lmdb
import lz4.frame
import numpy as np
import polars as pl

EIGHTHS = np.arange(1, 8)
# polars cannot see that tables are sorted by index within each stock; they are.
warnings.filterwarnings("ignore", "Sortedness of columns")


def shanghai(path):
    """Trades, orders and cancels of the merged stream; ticks, shares."""
    rows = (
        pl.scan_parquet(path)
        .filter(pl.col("Type") != "S")
        .unique(["Channel", "BizIndex"], keep="first", maintain_order=False)
        .with_columns(price=(pl.col("Price") * tick_factor("6")).round().cast(pl.Int64))
        .rename({"SecurityID": "code", "BizIndex": "index", "TickTime": "time", "Qty": "qty", "TickBSFlag": "flag"})
        .with_columns(buy=pl.col("flag") == "B", no=pl.when(pl.col("flag") == "B").then("BuyOrderNO").otherwise("SellOrderNO"))
        .sort("code", "index")
        .collect()
    )
    trades = rows.filter(pl.col("Type") == "T")
    adds, deletes = rows.filter(pl.col("Type") == "A"), rows.filter(pl.col("Type") == "D")
    key = ["code", "no", "buy"]
    rested = adds.group_by(key).agg(
        rest_qty=pl.col("qty").sum(), rest_price=pl.col("price").last(), rest_index=pl.col("index").first(),
        rest_time=pl.col("time").first(),
    )
    taken = (
        trades.filter(pl.col("flag") != "N")
        .join(rested.select(*key, "rest_index"), on=key, how="left", maintain_order="left")
        .filter(pl.col("rest_index").is_null() | (pl.col("index") < pl.col("rest_index")))
        .group_by(key, maintain_order=True)
        .agg(take_qty=pl.col("qty").sum(), take_price=pl.col("price").last(), take_time=pl.col("time").first())
    )
    whole = rested.join(taken, on=key, how="full", coalesce=True)
    orders = whole.select(
        "code", "buy", time=pl.coalesce("take_time", "rest_time"), price=pl.coalesce("rest_price", "take_price"),
        qty=pl.col("rest_qty").fill_null(0) + pl.col("take_qty").fill_null(0), aggressive=pl.col("take_qty").is_not_null(),
    )
    last = trades.select("code", "index", last=pl.col("price")).sort("index")
    own = pl.col("price").replace(0, None)
    cancels = (
        deletes.join(whole.select(*key, "rest_price", "take_price"), on=key, how="left")
        .sort("index")
        .join_asof(last, on="index", by="code", strategy="backward")
        .select("code", "buy", "time", "qty", price=pl.coalesce(own, "rest_price", "take_price", "last"))
        .drop_nulls("price")
    )
    trades = trades.select("code", "time", "price", "qty", "BuyOrderNO", "SellOrderNO",
                           active=pl.col("flag").replace_strict({"B": 1, "S": -1, "N": 0}, return_dtype=pl.Int8))
    return rows.height, session(trades), session(orders), session(cancels)


def shenzhen(order_path, execution_path):
    orders = (
        pl.scan_parquet(order_path)
        .filter(pl.col("Side").is_in(["49", "50"]))
        .select(code="SecurityID", time="TransactTime", qty="OrderQty", no="ApplSeqNum", buy=pl.col("Side") == "49",
                price=(pl.col("Price") * tick_factor("0")).round().cast(pl.Int64), channel="ChannelNo")
        .collect()
    )
    executions = (
        pl.scan_parquet(execution_path)
        .unique(["ChannelNo", "ApplSeqNum"], keep="first", maintain_order=False)
        .select(code="SecurityID", time="TransactTime", qty="LastQty", index="ApplSeqNum", kind="ExecType",
                BuyOrderNO="BidApplSeqNum", SellOrderNO="OfferApplSeqNum",
                price=(pl.col("LastPx") * tick_factor("0")).round().cast(pl.Int64))
        .sort("index")
        .collect()
    )
    height = orders.height + executions.height
    trades = executions.filter(pl.col("kind") == "70").with_columns(
        active=(pl.col("BuyOrderNO") - pl.col("SellOrderNO")).sign().cast(pl.Int8))
    last = trades.select("code", "index", last="price")
    cancels = (
        executions.filter(pl.col("kind") == "52")
        .select("code", "time", "qty", "index", buy=pl.col("BuyOrderNO") != 0, no=pl.col("BuyOrderNO") + pl.col("SellOrderNO"))
        .join(orders.select("code", "no", "buy", "price"), on=["code", "no", "buy"], how="inner")
        .sort("index")
        .join_asof(last, on="index", by="code", strategy="backward")
        .select("code", "buy", "time", "qty", price=pl.when(pl.col("price") > 0).then("price").otherwise("last"))
        .drop_nulls("price")
    )
    trades = session(trades)
    takers = pl.concat([
        trades.filter(pl.col("active") == 1).select("code", no="BuyOrderNO", buy=pl.lit(True)),
        trades.filter(pl.col("active") == -1).select("code", no="SellOrderNO", buy=pl.lit(False)),
    ]).unique().with_columns(aggressive=pl.lit(True))
    orders = session(orders).join(takers, on=["code", "no", "buy"], how="left").with_columns(pl.col("aggressive").fill_null(False))
    return height, trades, orders, session(cancels)


def tick_factor(share):
    """1000 for funds, 100 for shares, whose six digits begin with one of few."""
    number = pl.col("SecurityID")
    shares = number.is_between(600_000, 699_999) if share == "6" else (number < 100_000) | number.is_between(200_000, 399_999)
    return pl.when(shares).then(100.0).otherwise(1000.0)


def session(rows):
    hhmm = pl.col("time") // 100_000
    inside = (hhmm.is_between(930, 1129)) | (hhmm.is_between(1300, 1456))
    return rows.filter(inside & (pl.col("price") > 0) & (pl.col("qty") > 0))


def cuts_x8(values):
    if len(values) == 0:
        return np.zeros(7, np.int64)
    v = np.sort(values)
    at = (len(v) - 1) * EIGHTHS
    low, rest = at // 8, at % 8
    a, b = v[low], v[np.minimum(low + 1, len(v) - 1)]
    return 8 * a + (b - a) * rest


def cells(values, price_cuts, qty_cuts):
    price, qty = values
    p = np.minimum(np.searchsorted(price_cuts, 8 * price, "right"), 7)
    q = np.minimum(np.searchsorted(qty_cuts, 8 * qty, "right"), 7)
    return p * 8 + q


def image(trades, orders, cancels):
    price, qty = trades["price"].to_numpy(), trades["qty"].to_numpy()
    amounts, parents = [], []
    for name in ("BuyOrderNO", "SellOrderNO"):
        _, place = np.unique(trades[name].to_numpy(), return_inverse=True)
        amount = np.bincount(place, price * qty)
        amounts.append(amount)
        parents.append(amount[place] if len(place) else amount)
    every = np.concatenate(amounts)
    big = every.mean() + every.std() if len(every) else np.inf
    counts = np.zeros((15, 64), np.int64)

    def add(channel, at):
        counts[channel] += np.bincount(at, minlength=64)

    at, active = cells((price, qty), cuts_x8(price), cuts_x8(qty)), trades["active"].to_numpy()
    add(0, at)
    add(1, at[active == 1])
    add(2, at[active == -1])
    for parent, (more, less) in zip(parents, ((3, 5), (4, 6))):
        add(more, at[parent >= big])
        add(less, at[parent < big])
    price, qty, buy = (orders[name].to_numpy() for name in ("price", "qty", "buy"))
    price_cuts, qty_cuts = cuts_x8(price), cuts_x8(qty)
    at, aggressive = cells((price, qty), price_cuts, qty_cuts), orders["aggressive"].to_numpy()
    for side, offset in ((buy, 0), (~buy, 1)):
        add(7 + offset, at[side])
        add(9 + offset, at[side & aggressive])
        add(11 + offset, at[side & ~aggressive])
    price, qty, buy = (cancels[name].to_numpy() for name in ("price", "qty", "buy"))
    at = cells((price, qty), price_cuts, qty_cuts)
    add(13, at[buy])
    add(14, at[~buy])
    x = np.log1p(counts.astype(np.float64)).astype(np.float32)
    top = x.max(axis=1, keepdims=True)
    return np.divide(x, top, out=np.zeros_like(x), where=top > 0).reshape(15, 8, 8)


def parts(rows):
    return {code[0]: part for code, part in rows.partition_by("code", as_dict=True).items()}


def images(exchange, trades, orders, cancels):
    trades, orders, cancels = parts(trades), parts(orders), parts(cancels)
    empty = {name: next(iter(t.values())).clear() for name, t in (("t", trades), ("o", orders), ("c", cancels))}
    for code in sorted(trades.keys() | orders.keys() | cancels.keys()):
        x = image(trades.get(code, empty["t"]), orders.get(code, empty["o"]), cancels.get(code, empty["c"]))
        yield f"{code:06}.{exchange}", x


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--date", required=True)
    parser.add_argument("--in", dest="input", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--check", type=pathlib.Path)
    args = parser.parse_args()
    start, rows, made = time.monotonic(), 0, {}
    path = lambda name: args.input / f"{name}_{args.date}.parquet"
    for exchange, paths, read in (("SH", ["mdl_4_24_0"], shanghai), ("SZ", ["MktOrderDataSZ", "MktTradeDataSZ"], shenzhen)):
        if path(paths[0]).exists():
            n, *tables = read(*map(path, paths))
            rows += n
            made |= dict(images(exchange, *tables))
    args.out.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(args.out / f"{args.date}.lmdb"), map_size=1 << 30) as env, env.begin(write=True) as txn:
        for code, x in made.items():
            txn.put(code.encode(), lz4.frame.compress(x.tobytes(), block_linked=False, store_size=True))
    seconds = time.monotonic() - start
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"stocks": len(made), "rows": rows, "seconds": round(seconds, 3),
                      "rows_per_s": round(rows / seconds), "max_rss_mib": rss}))
    if args.check:
        return differences(made, args.check / f"{args.date}.lmdb")
    return 0


def differences(made, path):
    """Both make the same images, or the ratio means nothing. A last bit of log1p or of the threshold may differ."""
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as txn:
        other = {key.decode(): np.frombuffer(lz4.frame.decompress(value), "<f4").reshape(15, 8, 8) for key, value in txn.cursor()}
    wrong = [code for code in made.keys() | other.keys()
             if code not in made or code not in other or not np.allclose(made[code], other[code], rtol=0, atol=1e-6)]
    if wrong:
        print(f"{len(wrong)} of {len(made)} images differ: {sorted(wrong)[:5]}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
