#!/usr/bin/env python3
"""A-share Level-2 images of stock-days, computed the slow and obvious way.

An oracle for the tests: it shares no code with the program, reads the exchange files itself, walks every day row by
row in plain dicts, sorts whole samples for each quantile, and keeps every number an integer or an exact fraction
until the two places where the definition says `float`.

    images.py --date 20230201 [--symbols 600519.SH,…] INPUT...      one JSON object per stock on standard output
    images.py --date 20230201 --against OUT INPUT...                compare OUT/20230201.lmdb cell by cell

INPUT is a CSV (also .gz, .zst, .zip) or Parquet file, or a folder of them; a header tells what a file holds.
"""
import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import pathlib
import sys
import zipfile
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache

import numpy as np

CHANNELS, SIDE = 15, 8
MAX_ROWS = 5_000_000


# ---- files -----------------------------------------------------------------------------------------------------------

def tables(path):
    """(name, iterator of rows as dicts) of every table in a file or folder."""
    path = pathlib.Path(path)
    if path.is_dir():
        for inner in sorted(p for p in path.rglob("*") if p.is_file()):
            yield from tables(inner)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".csv"):
                    yield name, csv_rows(archive.open(name))
    elif path.suffix == ".parquet":
        yield path.name, parquet_rows(path)
    elif path.name.endswith((".csv", ".csv.gz", ".csv.zst")):
        yield path.name, csv_rows(opened(path))


def opened(path):
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zst":
        import pyarrow as pa
        return pa.input_stream(str(path), compression="zstd")
    return open(path, "rb")


def csv_rows(file):
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    for row in csv.DictReader(text):
        yield {k.strip(): v.strip() for k, v in row.items() if k is not None and v is not None}


def parquet_rows(path):
    import pyarrow.parquet as pq
    for batch in pq.ParquetFile(path).iter_batches(batch_size=20_000):
        yield from batch.to_pylist()


# ---- cells -----------------------------------------------------------------------------------------------------------

def first(row, *names, default=None):
    for name in names:
        if row.get(name) not in (None, ""):
            return row[name]
    return default


def whole(value):
    return int(value) if value not in (None, "") else 0


@cache
def tick_size(code):
    """0.01 for shares; 0.001 for funds, bonds and Shanghai's B shares."""
    digits, exchange = code.split(".")
    shares = ("6",) if exchange == "SH" else ("0", "2", "3")
    return Fraction(1, 100 if digits.startswith(shares) else 1000)


@cache
def ticks(value, tick):
    """Integer ticks, or None if the price lies between two of them."""
    exact = Fraction(value if isinstance(value, (str, float)) else int(value)) / tick if value not in (None, "") else Fraction(0)
    near = math.floor(exact + Fraction(1, 2))
    return near if abs(exact - near) <= Fraction(1, 10**6) else None


def clock(value):
    """HHMMSSmmm as an integer, from itself, from HH:MM:SS.mmm, or with a date before it."""
    text = str(value)
    if ":" not in text:
        return int(text)
    text = text.split("T")[-1].split(" ")[-1]
    hms, _, fraction = text.partition(".")
    return int(hms.replace(":", "") + (fraction + "000")[:3])


@cache
def code_of(value, exchange):
    text = str(value).strip()
    if "." in text:
        text, suffix = text.split(".")
        exchange = {"XSHG": "SH", "XSHE": "SZ"}.get(suffix, suffix)
    if not text.isdigit() or len(text) not in range(1, 7) and len(text) != 8:
        return None
    return text[-6:].zfill(6) + "." + exchange


SIDES = {"B": "B", "1": "B", "49": "B", "S": "S", "2": "S", "50": "S"}


# ---- what a file holds -----------------------------------------------------------------------------------------------

class Market:
    """Raw rows of all stocks: SSE events, or SZSE orders and executions, each with its place in the files."""

    def __init__(self):
        self.events = defaultdict(list)      # SH: A, D, T, S in one list
        self.restored = defaultdict(list)    # SH orders somebody else restored: New and Cancel
        self.orders = defaultdict(list)      # SZ
        self.executions = defaultdict(list)  # SZ
        self.counters = defaultdict(Counter)
        self.rows = Counter()

    def codes(self):
        return sorted(self.rows)

    def read(self, inputs, symbols):
        for path in inputs:
            for name, rows in tables(path):
                kind = None
                for row in rows:
                    kind = kind or kind_of(name, row)
                    if kind == "other":
                        break
                    self.add(kind, row, symbols)

    def add(self, kind, row, symbols):
        if kind == "both-trades":
            kind = "sh-trades" if row["Market"] == "SH" else "sz-executions"
        code = code_of(row["SecurityID"], "SH" if kind.startswith("sh") else "SZ")
        if code is None or (symbols and code not in symbols):
            return
        self.rows[code] += 1
        price = first(row, "Price", "LastPx", "TradPrice", "TradePrice", "OrderPrice", default=0)
        event = {
            "channel": whole(first(row, "Channel", "ChannelNo", "OrderChannel", "TradeChan")),
            "index": whole(first(row, "BizIndex", "ApplSeqNum")),
            "time": clock(first(row, "TickTime", "TransactTime", "OrderTime", "TradTime", "TradeTime", "MDTime")),
            "price": ticks(price, tick_size(code)),
            "qty": whole(first(row, "Qty", "LastQty", "OrderQty", "TradVolume", "TradeQty", "Balance")),
            "buy": whole(first(row, "BuyOrderNO", "BidApplSeqNum", "TradeBuyNo", "BidOrdID")),
            "sell": whole(first(row, "SellOrderNO", "OfferApplSeqNum", "TradeSellNo", "AskOrdID")),
        }
        if event["price"] is None:
            self.counters[code]["off_tick"] += 1
            return
        getattr(self, "add_" + kind.replace("-", "_"))(code, row, event)

    def add_sh_merged(self, code, row, event):
        self.events[code].append(event | {"type": row["Type"], "flag": row["TickBSFlag"], "money": row.get("TradeMoney")})

    def add_sh_orders(self, code, row, event):
        side = SIDES[str(first(row, "OrderBSFlag"))]
        number = whole(row["OrderNO"])
        event |= {"type": {"A": "A", "2": "A", "D": "D", "10": "D"}[str(row["OrderType"])], "flag": side}
        event |= {"buy": number if side == "B" else 0, "sell": number if side == "S" else 0}
        self.events[code].append(event)

    def add_sh_trades(self, code, row, event):
        flag = str(first(row, "TickBSFlag", "TradeBSFlag", "ActiveSide"))
        flag = {"1": "B", "2": "S", "0": "N"}.get(flag, flag)
        self.events[code].append(event | {"type": "T", "flag": flag, "money": row.get("TradeMoney")})

    def add_sh_restored(self, code, row, event):
        event |= {"kind": row["OrdType"], "side": row["Side"], "number": whole(row.get("OrdID"))}
        self.restored[code].append(event | {"aggressive": row.get("IsAggressive")})

    def add_sz_orders(self, code, row, event):
        side = SIDES.get(str(row["Side"]))
        if side is None:
            self.counters[code]["side_ignored"] += 1
            return
        self.orders[code].append(event | {"side": side})

    def add_sz_executions(self, code, row, event):
        kind = {"70": "trade", "F": "trade", "52": "cancel", "4": "cancel"}[str(row["ExecType"])]
        self.executions[code].append(event | {"kind": kind})


def kind_of(name, row):
    has = lambda *names: all(n in row for n in names)
    if has("Market", "ExecType"):
        return "both-trades"
    if has("Type", "TickBSFlag", "BizIndex"):
        return "sh-merged"
    if has("OrdType", "Side", "BizIndex", "TickTime") and "SH" in name.upper():
        return "sh-restored"
    if has("OrderType", "OrderBSFlag", "OrderNO"):
        return "sh-orders"
    if has("ExecType"):
        return "sz-executions"
    if has("Side") and (has("OrderQty") or has("Qty")):
        return "sz-orders"
    if has("TradeBSFlag") or has("TickBSFlag") or has("ActiveSide"):
        return "sh-trades"
    return "other"


# ---- one stock-day ---------------------------------------------------------------------------------------------------

def in_session(time):
    hhmm = time // 100_000
    return 930 <= hhmm < 1130 or 1300 <= hhmm < 1457


def distinct(rows):
    """Without repeats of (channel, index), first come, in index order."""
    seen, kept = set(), []
    for row in rows:
        key = (row["channel"], row["index"])
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return sorted(kept, key=lambda r: r["index"]), len(rows) - len(kept)


class Day:
    """What a stock-day comes to: trades, new orders and cancels, priced, of the whole day."""

    def __init__(self, counters):
        self.trades, self.orders, self.cancels = [], [], []
        self.counters = counters
        self.n_cancel_rows = 0


def shanghai(events, restored, counters):
    day = Day(counters)
    rows, repeats = distinct([e for e in events if e["type"] != "S"])
    if repeats:
        counters["duplicates"] += repeats
    known, last_trade = {}, None
    for e in rows:
        if e["type"] == "T":
            day.trades.append({"time": e["time"], "price": e["price"], "qty": e["qty"], "buy": e["buy"], "sell": e["sell"],
                               "active": e["flag"] if e["flag"] in "BS" else None})
            if e["price"] > 0:
                last_trade = e["price"]
            if e["flag"] not in "BS" or restored:
                continue
            side = e["flag"]
            number = e["buy"] if side == "B" else e["sell"]
            if number not in known:
                known[number] = {"side": side, "time": e["time"], "traded": e["qty"], "last": e["price"], "resting": 0,
                                 "price": 0, "aggressive": True, "rested": False}
            elif known[number]["rested"]:
                counters["after_rest_fill"] += 1
            else:
                known[number]["traded"] += e["qty"]
                known[number]["last"] = e["price"]
        elif e["type"] == "A":
            number = e["buy"] if e["flag"] == "B" else e["sell"]
            order = known.setdefault(number, {"side": e["flag"], "time": e["time"], "traded": 0, "last": 0, "resting": 0,
                                              "price": 0, "aggressive": False, "rested": False})
            order["resting"] += e["qty"]
            order["price"] = e["price"]
            order["rested"] = True
        elif e["type"] == "D":
            day.n_cancel_rows += 1
            number = e["buy"] if e["flag"] == "B" else e["sell"]
            order = known.get(number, {"price": 0, "last": 0})
            price = next((p for p in (e["price"], order["price"], order["last"]) if p > 0), None)
            if price is None and last_trade is not None:
                price = last_trade
                counters["cancel_fallback_last"] += 1
            if price is None:
                counters["cancel_unpriced"] += 1
                continue
            day.cancels.append({"time": e["time"], "price": price, "qty": e["qty"], "side": e["flag"]})
    for order in known.values():
        qty = order["traded"] + order["resting"]
        if qty > 0:
            price = order["price"] if order["price"] > 0 else order["last"]
            day.orders.append({"time": order["time"], "price": price, "qty": qty, "side": order["side"],
                               "aggressive": order["aggressive"]})
    if restored:
        restored_orders(day, restored)
    return day


def restored_orders(day, rows):
    """Orders that somebody else restored: only the aggressor may have to be found."""
    takers = {"B": set(), "S": set()}
    for t in day.trades:
        if in_session(t["time"]) and t["active"]:
            takers[t["active"]].add(t["buy"] if t["active"] == "B" else t["sell"])
    for row in rows:
        if row["kind"] == "Cancel":
            day.n_cancel_rows += 1
            if row["price"] <= 0:
                day.counters["cancel_unpriced"] += 1
                continue
            day.cancels.append({k: row[k] for k in ("time", "price", "qty", "side")})
        else:
            known = row["aggressive"] not in (None, "")
            aggressive = str(row["aggressive"]).lower() in ("true", "1") if known else row["number"] in takers[row["side"]]
            day.orders.append({k: row[k] for k in ("time", "price", "qty", "side")} | {"aggressive": aggressive})


def shenzhen(orders, executions, counters):
    day = Day(counters)
    both, repeats = distinct(orders + executions)
    if repeats:
        counters["duplicates"] += repeats
    table = {}
    for row in both:
        if "side" in row:
            table.setdefault(row["index"], row)
            day.orders.append({"number": row["index"], "time": row["time"], "price": row["price"], "qty": row["qty"],
                               "side": row["side"], "aggressive": None})
    last_trade = None
    for e in both:
        if e.get("kind") == "trade":
            active = "B" if e["buy"] > e["sell"] else "S" if e["buy"] < e["sell"] else None
            day.trades.append({"time": e["time"], "price": e["price"], "qty": e["qty"], "buy": e["buy"], "sell": e["sell"],
                               "active": active})
            if e["price"] > 0:
                last_trade = e["price"]
        elif e.get("kind") == "cancel":
            day.n_cancel_rows += 1
            if (e["buy"] == 0) == (e["sell"] == 0):
                counters["bad_cancel"] += 1
                continue
            number, side = (e["buy"], "B") if e["buy"] else (e["sell"], "S")
            order = table.get(number)
            if order is None:
                counters["unknown_ref"] += 1
            elif order["side"] != side:
                counters["cancel_side_mismatch"] += 1
            elif order["price"] > 0:
                day.cancels.append({"time": e["time"], "price": order["price"], "qty": e["qty"], "side": side})
            elif last_trade is not None:
                counters["cancel_fallback_last"] += 1
                day.cancels.append({"time": e["time"], "price": last_trade, "qty": e["qty"], "side": side})
            else:
                counters["cancel_unpriced"] += 1
    return day


def kept(rows, counters, kind):
    """Session rows with a price and a quantity, and why the others went."""
    good = []
    for row in rows:
        if not in_session(row["time"]):
            counters[kind + "_out_of_session"] += 1
        elif row["price"] <= 0:
            counters["trade_bad_price" if kind == "trade" else "order_unpriced"] += 1
        elif row["qty"] <= 0:
            counters["bad_qty"] += 1
        else:
            good.append(row)
    return good


def cuts_x8(values):
    """Eight times the percentiles 12.5·k, exactly."""
    v = sorted(x for x in values if x > 0)
    if not v:
        return [0] * 7
    out = []
    for k in range(1, 8):
        at = Fraction((len(v) - 1) * k, 8)
        low = math.floor(at)
        high = min(low + 1, len(v) - 1)
        cut = v[low] + (v[high] - v[low]) * (at - low)
        out.append(int(cut * 8))
        assert out[-1] == cut * 8
    return out


def bin_of(value, cuts):
    return sum(cut <= 8 * value for cut in cuts)


def threshold(buy, sell):
    amounts = [a for a in list(buy.values()) + list(sell.values()) if a > 0]
    n, total = len(amounts), sum(amounts)
    if n == 0:
        return math.inf, 0
    spread = n * sum(a * a for a in amounts) - total * total
    return float(total) / float(n) + 1.0 * math.sqrt(float(spread)) / float(n), n


def image(counts):
    out = np.zeros((CHANNELS, SIDE, SIDE), np.float32)
    for c in range(CHANNELS):
        x = np.array([[np.float32(math.log1p(n)) for n in row] for row in counts[c]], np.float32)
        if x.max() > 0:
            out[c] = x / x.max()
    return out


def compute(code, market):
    counters = market.counters[code]
    if market.rows[code] > MAX_ROWS:
        return {"code": code, "status": "too_many_rows"}
    if code.endswith(".SH"):
        day = shanghai(market.events[code], market.restored[code], counters)
    else:
        day = shenzhen(market.orders[code], market.executions[code], counters)
    trades = kept(day.trades, counters, "trade")
    orders = kept(day.orders, counters, "order")
    cancels = kept(day.cancels, counters, "cancel")

    parents = {"B": defaultdict(int), "S": defaultdict(int)}
    active = {"B": set(), "S": set()}
    for t in trades:
        for side, number in (("B", t["buy"]), ("S", t["sell"])):
            if number:
                parents[side][number] += t["price"] * t["qty"]
        if t["active"]:
            active[t["active"]].add(t["buy"] if t["active"] == "B" else t["sell"])
    big, n_parents = threshold(parents["B"], parents["S"])

    cuts = {"tp": cuts_x8(t["price"] for t in trades), "tq": cuts_x8(t["qty"] for t in trades),
            "op": cuts_x8(o["price"] for o in orders), "oq": cuts_x8(o["qty"] for o in orders)}
    counts = [[[0] * SIDE for _ in range(SIDE)] for _ in range(CHANNELS)]

    def add(channel, row, kind):
        counts[channel][bin_of(row["price"], cuts[kind + "p"])][bin_of(row["qty"], cuts[kind + "q"])] += 1

    for t in trades:
        add(0, t, "t")
        if t["active"]:
            add(1 if t["active"] == "B" else 2, t, "t")
        if t["buy"]:
            add(3 if parents["B"][t["buy"]] >= big else 5, t, "t")
        if t["sell"]:
            add(4 if parents["S"][t["sell"]] >= big else 6, t, "t")
    for o in orders:
        sell = o["side"] == "S"
        aggressive = o["number"] in active[o["side"]] if o["aggressive"] is None else o["aggressive"]
        add(7 + sell, o, "o")
        add((9 if aggressive else 11) + sell, o, "o")
    for c in cancels:
        add(13 + (c["side"] == "S"), c, "o")

    lost = sum(counters[name] for name in ("unknown_ref", "cancel_side_mismatch", "cancel_unpriced"))
    picture = image(counts)
    raw = np.array(counts, "<u4")
    return {
        "code": code, "status": "ok" if trades or orders or cancels else "empty",
        "trades": len(trades), "new_orders": len(orders), "cancels": len(cancels),
        "counters": {k: v for k, v in sorted(counters.items()) if v},
        "cuts_x8": cuts, "threshold": big if math.isfinite(big) else None, "n_parents": n_parents,
        "cancel_missing_ratio": lost / day.n_cancel_rows if day.n_cancel_rows else 0.0,
        "channel_sums": [int(s) for s in raw.sum(axis=(1, 2))],
        "nonzero_cells": [int(np.count_nonzero(c)) for c in raw],
        "counts_sha256_u32le": hashlib.sha256(raw.tobytes()).hexdigest(),
        "image_sha256_f32le": hashlib.sha256(picture.astype("<f4").tobytes()).hexdigest(),
        "_image": picture.astype("<f4"), "_counts": raw,
    }


# ---- the comparison --------------------------------------------------------------------------------------------------

def stored(path, db=None):
    """All pairs of an LMDB environment, or of one of its named databases; {} if that does not exist."""
    import lmdb
    with lmdb.open(str(path), readonly=True, lock=False, max_dbs=8) as env:
        try:
            handle = env.open_db(db) if db else None
        except lmdb.NotFoundError:
            return {}
        with env.begin(db=handle) as txn:
            return {bytes(k).decode(): bytes(v) for k, v in txn.cursor()}


def differences(mine, out, date):
    """Sentences on what OUT says otherwise."""
    import lz4.frame
    images = stored(pathlib.Path(out) / f"{date}.lmdb")
    meta = pathlib.Path(out) / f"{date}.meta.lmdb"
    stocks = {k: json.loads(v) for k, v in stored(meta, b"stock").items()}
    cuts = {k: json.loads(v) for k, v in stored(meta, b"cuts").items()}
    kept_counts = stored(meta, b"counts")
    expected = {m["code"] for m in mine if m["status"] == "ok"}
    if set(images) != expected:
        yield f"images: missing {sorted(expected - set(images))}, unexpected {sorted(set(images) - expected)}"
    digest = hashlib.sha256()
    for m in mine:
        code = m["code"]
        if stocks[code]["status"] != m["status"]:
            yield f"{code} status: {stocks[code]['status']}, expected {m['status']}"
        if code not in images or m["status"] != "ok":
            continue
        content = lz4.frame.decompress(images[code])
        digest.update(code.encode() + b"\0" + content)
        theirs = np.frombuffer(content, "<f4").reshape(CHANNELS, SIDE, SIDE)
        for c, p, q in np.argwhere(theirs.view("<u4") != m["_image"].view("<u4")):
            yield f"{code} image[{c}][{p}][{q}]: {theirs[c, p, q]!r}, expected {m['_image'][c, p, q]!r}"
        if kept_counts:
            counts = np.frombuffer(lz4.frame.decompress(kept_counts[code]), "<u4").reshape(CHANNELS, SIDE, SIDE)
            for c, p, q in np.argwhere(counts != m["_counts"]):
                yield f"{code} counts[{c}][{p}][{q}]: {counts[c, p, q]}, expected {m['_counts'][c, p, q]}"
        for name, said, want in facts(m, stocks[code], cuts[code]):
            if said != want:
                yield f"{code} {name}: {said!r}, expected {want!r}"
    day_hash = json.loads(stored(meta, b"run")["run"])["day_hash"]
    if day_hash != digest.hexdigest():
        yield f"day_hash: {day_hash}, expected {digest.hexdigest()}"


def facts(mine, stock, cuts):
    """(name, what is stored, what it should be) beside the cells."""
    for name, theirs in (("trades", "trades"), ("new_orders", "orders"), ("cancels", "cancels"),
                         ("channel_sums", "channel_sums"), ("nonzero_cells", "nonzero_cells"),
                         ("cancel_missing_ratio", "cancel_missing_ratio")):
        yield name, stock[theirs], mine[name]
    for name in COUNTERS:
        yield name, stock["counters"].get(name, 0), mine["counters"].get(name, 0)
    for name, theirs in (("tp", "trade_price_x8"), ("tq", "trade_qty_x8"), ("op", "order_price_x8"), ("oq", "order_qty_x8")):
        yield "cuts " + name, cuts[theirs], mine["cuts_x8"][name]
    yield "threshold", cuts["threshold"], mine["threshold"]
    yield "parents", cuts["n_parents"], mine["n_parents"]


COUNTERS = """order_out_of_session trade_out_of_session cancel_out_of_session order_unpriced bad_qty trade_bad_price side_ignored
unknown_ref cancel_side_mismatch cancel_fallback_last cancel_unpriced after_rest_fill bad_cancel duplicates""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--date", required=True, help="YYYYMMDD; names the store of --against")
    parser.add_argument("--symbols", default="", help="only these, separated by commas")
    parser.add_argument("--against", metavar="OUT", help="folder with the images to compare")
    parser.add_argument("input", nargs="+")
    args = parser.parse_args()
    market = Market()
    market.read(args.input, set(filter(None, args.symbols.split(","))))
    mine = [compute(code, market) for code in market.codes()]
    if args.against is None:
        for m in mine:
            print(json.dumps({k: v for k, v in m.items() if not k.startswith("_")}))
        return 0
    found = list(differences(mine, args.against, args.date))
    print("\n".join(found[:20]) if found else f"{len(mine)} stocks agree")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
