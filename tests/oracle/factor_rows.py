#!/usr/bin/env python3
"""Per-second factor rows of raw Binance recordings, computed the slow and obvious way.

An oracle for the tests: it shares no code with the program, keeps books in plain dicts, sorts them whenever it
wants the best levels, recomputes every window from its full history, and holds all numbers as integers or exact
fractions until the last step.

    factor_rows.py [--drop-depth N] FILE...      rows as CSV on standard output
    factor_rows.py --ticker FILE...              how often the venue's own best prices equal the rebuilt ones

Files are read one after the other, so name the files of a pair in time order.
"""
import argparse
import csv
import gzip
import heapq
import json
import math
import sys
from fractions import Fraction

WEIGHTS = [Fraction(w, 100) for w in (40, 25, 20, 10, 5)]
COLUMNS = """ts_ms book_state book_valid depth_known book_valid_ms book_epoch gap_flags late_n n_book n_trades cvd_epoch
stale_ms trade_age_ms last_update_id last_trade_id invalid_reason best_bid best_ask bid_qty ask_qty mid wmid spread_ticks
spread_bps wmid_dev_bps obi_1 obi_5 obi_10 obi_w depth_bid_5 depth_ask_5 ofi mlofi_2 mlofi_3 mlofi_4 mlofi_5 ofi_w last_px
buy_qty sell_qty unk_qty delta cvd tfi vwap quote_vol z_ofi z_cvd""".split()
NS = 10**9


def lines(paths):
    for path in paths:
        with gzip.open(path, "rt") as f:
            for line in f:
                _, text = line.split(" ", 1)
                message = json.loads(text, parse_float=str)
                yield message.get("data", message) if "result" not in message else None


def events(paths):
    """(kind, ns or None, fields) in file order."""
    for m in lines(paths):
        if m is None:
            continue
        kind = m.get("e")
        if kind == "depthUpdate":
            yield "depth", m.get("T", m["E"]) * 10**6, m
        elif kind == "trade":
            yield "trade", m["T"] * 10**6, m
        elif kind == "bookTicker" or (kind is None and "B" in m and "u" in m):
            yield "ticker", None, m
        elif "lastUpdateId" in m:
            yield "snapshot", m["T"] * 10**6 if "T" in m else None, m


def decimals(text):
    return len(text.rstrip("0").split(".")[1]) if "." in text else 0


def steps(paths):
    """Decimals of prices and quantities, whatever message they stand in."""
    tick = lot = 0
    for kind, _, m in events(paths):
        if kind in ("depth", "snapshot"):
            levels = m.get("b", m.get("bids")) + m.get("a", m.get("asks"))
        elif kind == "trade":
            levels = [[m["p"], m["q"]]]
        else:
            levels = [[m["b"], m["B"]], [m["a"], m["A"]]]
        for price, qty in levels:
            tick, lot = max(tick, decimals(price)), max(lot, decimals(qty))
    return tick, lot


def units(text, digits):
    """The text as a whole number of 10^-digits."""
    whole, _, part = text.partition(".")
    value = int(whole + part.ljust(digits, "0"))
    extra = max(0, len(part) - digits)
    assert value % 10**extra == 0, f"{text} is finer than {digits} decimals"
    return value // 10**extra


class Book:
    """A book and the venue's rule for keeping it right."""

    def __init__(self, futures, digits):
        self.futures, self.digits = futures, digits
        self.state, self.buffer = "unsynced", []
        self.bids, self.asks, self.id = {}, {}, None
        self.low = self.high = None  # known range: None = complete
        self.epoch = self.gaps = 0
        self.anchored = False

    def level(self, price, qty):
        return units(price, self.digits[0]), units(qty, self.digits[1])

    def apply(self, m):
        for side, levels in ((self.bids, m["b"]), (self.asks, m["a"])):
            for price, qty in levels:
                price, qty = self.level(price, qty)
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
        self.id = m["u"]

    def fits(self, m):
        """'apply', 'stale' or 'gap' for a message after the join."""
        if not self.futures:
            return "stale" if m["u"] <= self.id else "gap" if m["U"] > self.id + 1 else "apply"
        if not self.anchored:
            if m["u"] < self.id:
                return "stale"
            return "apply" if m["U"] <= self.id <= m["u"] or m["pu"] == self.id else "gap"
        if m["pu"] == self.id:
            return "apply"
        return "stale" if m["u"] <= self.id else "gap"

    def delta(self, m):
        """List of messages that changed the book, or 'gap', or an empty list."""
        if self.state != "synced":
            self.state = "buffering" if self.state == "unsynced" else self.state
            self.buffer.append(m)
            return []
        what = self.fits(m)
        if what == "apply":
            self.apply(m)
            self.anchored = True
            return [m]
        if what == "stale":
            return []
        self.gaps += 1
        self.bids, self.asks, self.state, self.buffer = {}, {}, "gap", [m]
        return "gap"

    def snapshot(self, m, emit):
        """Joins; `emit` is called at the snapshot's state and after every buffered message applied."""
        if self.state == "synced":
            return  # an audit copy of what we have, or a spare
        self.bids, self.asks = ({p: q for p, q in (self.level(*l) for l in m[side]) if q} for side in ("bids", "asks"))
        limit = max(len(m["bids"]), len(m["asks"]))
        self.low = min(self.bids) if len(m["bids"]) >= limit else None
        self.high = max(self.asks) if len(m["asks"]) >= limit else None
        self.id, self.anchored = m["lastUpdateId"], False
        self.state, waiting, self.buffer = "synced", self.buffer, []
        self.epoch += 1
        emit(m["lastUpdateId"])
        for old in waiting:
            what = self.fits(old)
            assert what != "gap", "the recordings join"
            if what == "apply":
                self.apply(old)
                self.anchored = True
                emit(old["u"])

    def best(self, n):
        return ([(p, self.bids[p]) for p in heapq.nlargest(n, self.bids)], [(p, self.asks[p]) for p in heapq.nsmallest(n, self.asks)])

    def says(self):
        """(book_state, invalid_reason)"""
        if self.state == "unsynced":
            return ("none", "unsynced")
        if self.state == "buffering":
            return ("none", "buffering")
        if self.state == "gap":
            return ("invalid", "gap")
        if not self.bids or not self.asks:
            return ("one_sided" if self.bids or self.asks else "empty", None)
        bid, ask = max(self.bids), min(self.asks)
        if bid >= ask:
            return ("crossed", "locked" if bid == ask else "crossed")
        return ("ok", None)


def side_flow(now, before, sign):
    """Flow of one level of one side; `sign` +1 for bids, -1 for asks; a level is (price, qty) or None."""
    if now is None and before is None:
        return 0
    if now is None:
        return -before[1]
    if before is None:
        return now[1]
    better = sign * (now[0] - before[0])
    return now[1] if better > 0 else -before[1] if better < 0 else now[1] - before[1]


def flow(now, before):
    """e_1 … e_5 between two top-five books."""
    at = lambda levels, m: levels[m] if m < len(levels) else None
    return [side_flow(at(now[0], m), at(before[0], m), 1) - side_flow(at(now[1], m), at(before[1], m), -1) for m in range(5)]


def median(xs):
    xs, n = sorted(xs), len(xs)
    return xs[n // 2] if n % 2 else (xs[n // 2 - 1] + xs[n // 2]) / 2


def z_wins(x, history):
    window = history[-300:]
    if len(window) < 60 or all(v == window[0] for v in window):
        return None
    mid = median(window)
    mad = median([abs(v - mid) for v in window])
    y = x
    if mad > 0:
        y = min(max(x, mid - 3 * 1.4826 * mad), mid + 3 * 1.4826 * mad)
    mean = math.fsum(window) / len(window)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in window) / (len(window) - 1))
    return min(max((y - mean) / sd, -8.0), 8.0)


class Hybrid:
    def __init__(self):
        self.fast = self.slow = self.last = None
        self.ring, self.pushes, self.frozen = [], 0, 0

    def push(self, x, t):
        a = abs(x)
        gap = False
        if self.last is None:
            self.fast = self.slow = a
        else:
            dt = max(0.001, t - self.last)
            gap = t - self.last > 5
            self.fast += (1 - 2 ** (-dt / 60)) * (a - self.fast)
            self.slow += (1 - 2 ** (-dt / 600)) * (a - self.slow)
        self.last = t
        self.ring = (self.ring + [x])[-300:]
        self.pushes += 1
        floor = 0.0
        if len(self.ring) >= 60:
            mid = median(self.ring)
            floor = 1.4826 * median([abs(v - mid) for v in self.ring]) * 1.8
        scale = max(0.2 * self.fast + 0.8 * self.slow, floor, 1e-9)
        if gap:
            self.frozen = 3
        if self.frozen:
            self.frozen -= 1
            return None
        if self.pushes < 50:
            return None
        return min(max(x / scale, -8.0), 8.0)


class Rows:
    """Closes one row per second of symbol time."""

    def __init__(self, book, contracts):
        self.book, self.out = book, []
        self.contracts = contracts
        self.px, self.qty = (Fraction(1, 10**d) for d in book.digits)
        self.now = self.start = None
        self.first = True
        self.said = ("none", None)
        self.last_book = self.last_trade = self.last_book_id = self.last_trade_id = None
        self.last_px, self.cvd, self.cvd_epoch = None, 0, 0
        self.top = None  # best five after the last book event, if the book was ok
        self.ofi_history, self.hybrid = [], Hybrid()

    def open(self, start):
        self.start = start
        self.valid_ns, self.since = 0, start
        self.whole = self.said[0] == "ok"
        self.flows = [0] * 5
        self.n_book = self.n_trades = self.late = self.flags = 0
        self.buy = self.sell = self.unknown = self.value = 0
        self.trade_gap = False

    def reach(self, ns):
        """Symbol time moves to at least `ns`."""
        if self.now is None:
            self.now = ns
            self.open(ns // NS * NS)
            self.since = ns
        while ns >= self.start + NS:
            self.close()
        self.now = max(self.now, ns)

    def spend(self, until):
        if self.said[0] == "ok":
            self.valid_ns += until - self.since
        self.since = until

    def close(self):
        end = self.start + NS
        self.spend(end)
        self.out.append(self.row(end))
        self.first = False
        self.open(end)

    def see(self, ns):
        """A record of the symbol arrives: time first, then lateness."""
        if ns is not None:
            self.reach(ns)
            if ns < self.start:
                self.late += 1
                self.flags |= 8

    def book_event(self, update_id, joined):
        self.spend(self.now)
        self.said = self.book.says()
        ok = self.said[0] == "ok"
        top = self.book.best(5) if ok else None
        self.whole = self.whole and ok and not joined
        if ok and self.top and not joined:
            self.flows = [a + b for a, b in zip(self.flows, flow(top, self.top))]
        self.top = top
        self.n_book += 1
        self.last_book, self.last_book_id = self.now, update_id

    def lost(self):
        self.spend(self.now)
        self.said, self.top, self.whole = self.book.says(), None, False
        self.flags |= 1

    def trade(self, m):
        px, qty = self.book.level(m["p"], m["q"])
        if self.last_trade_id is not None and m["t"] != self.last_trade_id + 1:
            self.flags |= 2
            self.cvd_epoch += 1
            self.trade_gap = True
        self.last_trade_id = m["t"]
        self.last_trade = self.now
        self.n_trades += 1
        if m.get("X", "MARKET") != "MARKET":
            return
        self.last_px = px
        self.value += px * qty
        if m["m"]:
            self.sell += qty
            self.cvd -= qty
        else:
            self.buy += qty
            self.cvd += qty

    def row(self, end):
        r = dict.fromkeys(COLUMNS)
        state, reason = self.said
        r.update(ts_ms=self.start // 10**6, book_state=state, book_valid=state == "ok", depth_known=False)
        r.update(book_valid_ms=self.valid_ns // 10**6, book_epoch=self.book.epoch, gap_flags=self.flags, late_n=self.late)
        r.update(n_book=self.n_book, n_trades=self.n_trades, cvd_epoch=self.cvd_epoch, invalid_reason=reason)
        if self.last_book is not None:
            r.update(stale_ms=(end - self.last_book) // 10**6, last_update_id=self.last_book_id)
        if self.last_trade is not None:
            r.update(trade_age_ms=(end - self.last_trade) // 10**6, last_trade_id=self.last_trade_id)
        if state == "ok":
            self.book_columns(r)
        if self.whole:
            names = ["ofi", "mlofi_2", "mlofi_3", "mlofi_4", "mlofi_5"]
            r.update({n: float(f * self.qty) for n, f in zip(names, self.flows)})
            weighted = sum(w * f for w, f in zip(WEIGHTS, self.flows)) * self.qty
            r["ofi_w"] = float(weighted)
            r["z_ofi"] = z_wins(float(weighted), self.ofi_history)
            self.ofi_history.append(float(weighted))
        self.trade_columns(r, end)
        return r

    def book_columns(self, r):
        bids, asks = self.book.best(10)
        (b, qb), (a, qa) = bids[0], asks[0]
        mid = Fraction(a + b, 2)
        wmid = Fraction(qb * a + qa * b, qb + qa)
        r.update({n: float(v * self.px) for n, v in (("best_bid", b), ("best_ask", a), ("mid", mid), ("wmid", wmid))})
        r.update(bid_qty=float(qb * self.qty), ask_qty=float(qa * self.qty))
        r.update(spread_ticks=a - b, spread_bps=float(10000 * (a - b) / mid))
        r["wmid_dev_bps"] = float(10000 * (wmid - mid) / mid)
        known = lambda n: (self.book.low is None or all(p >= self.book.low for p, _ in bids[:n])) and (
            self.book.high is None or all(p <= self.book.high for p, _ in asks[:n]))
        obi = lambda x, y: float(Fraction(x - y) / (x + y))
        depth = lambda side, n: sum(q for _, q in side[:n])
        weigh = lambda side: sum(w * q for w, (_, q) in zip(WEIGHTS, side))
        r["depth_known"] = known(10)
        r["obi_1"] = obi(qb, qa)
        if known(5):
            r["obi_5"] = obi(depth(bids, 5), depth(asks, 5))
            r["obi_w"] = obi(weigh(bids), weigh(asks))
            r.update(depth_bid_5=float(depth(bids, 5) * self.qty), depth_ask_5=float(depth(asks, 5) * self.qty))
        if known(10):
            r["obi_10"] = obi(depth(bids, 10), depth(asks, 10))

    def trade_columns(self, r, end):
        r["cvd"] = float(self.cvd * self.qty)
        r["last_px"] = None if self.last_px is None else float(self.last_px * self.px)
        if self.first or self.trade_gap:
            return
        delta, volume = self.buy - self.sell, self.buy + self.sell
        amounts = {"buy_qty": self.buy, "sell_qty": self.sell, "unk_qty": self.unknown, "delta": delta}
        r.update({n: float(v * self.qty) for n, v in amounts.items()})
        if not self.contracts:
            r["quote_vol"] = float(self.value * self.px * self.qty)
        if volume:
            r["tfi"], r["vwap"] = float(Fraction(delta, volume)), float(Fraction(self.value, volume) * self.px)
        r["z_cvd"] = self.hybrid.push(float(delta * self.qty), self.start / NS)


def compute(paths, drop, contracts):
    futures = any(kind == "depth" and "pu" in m for kind, _, m in events(paths[:1]))
    book = Book(futures, steps(paths))
    rows = Rows(book, contracts)
    greatest, n_depth = 0, 0
    for kind, ns, m in events(paths):
        if kind == "ticker":
            greatest = max(greatest, m.get("T", 0) * 10**6)
            continue
        greatest = max(greatest, ns or 0)
        if kind == "depth":
            n_depth += 1
            if n_depth == drop:
                continue
            rows.see(ns)
            was = book.state
            applied = book.delta(m)
            if applied == "gap":
                rows.lost()
            elif applied:
                rows.book_event(m["u"], joined=False)
            elif was == "unsynced":
                rows.said = book.says()
        elif kind == "snapshot":
            rows.see(ns)
            joined = [True]

            def emit(update_id):
                rows.book_event(update_id, joined.pop() if joined else False)

            book.snapshot(m, emit)
        else:
            rows.see(ns)
            rows.trade(m)
    while rows.start + NS <= greatest:
        rows.close()
    print(f"gaps {book.gaps}", file=sys.stderr)
    return rows.out


def ticker(paths):
    """Compares the venue's best prices with the book whenever both show the same update id."""
    futures = any(kind == "depth" and "pu" in m for kind, _, m in events(paths[:1]))
    book, waiting, after, before = Book(futures, steps(paths)), {}, [0, 0], [0, 0]
    for kind, _, m in events(paths):
        if kind == "depth" and book.delta(m) == [m] and m["u"] in waiting:
            before[0] += 1
            before[1] += same(book, waiting.pop(m["u"]))
        elif kind == "snapshot":
            book.snapshot(m, lambda _: None)
        elif kind == "ticker" and book.state == "synced":
            if m["u"] == book.id:
                after[0] += 1
                after[1] += same(book, m)
            elif m["u"] > book.id:
                waiting[m["u"]] = m
    print(f"ticker after book {after[1]}/{after[0]}, before book {before[1]}/{before[0]}")


def same(book, m):
    (bids, asks) = book.best(1)
    return (bids[0], asks[0]) == (book.level(m["b"], m["B"]), book.level(m["a"], m["A"]))


def text(value):
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--drop-depth", type=int, metavar="N", help="leave out the N-th depth message")
    parser.add_argument("--contracts", action="store_true", help="quantities are contracts of unknown value")
    parser.add_argument("--ticker", action="store_true")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.ticker:
        return ticker(args.files)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    for row in compute(args.files, args.drop_depth, args.contracts):
        out.writerow([text(row[c]) for c in COLUMNS])


if __name__ == "__main__":
    main()
