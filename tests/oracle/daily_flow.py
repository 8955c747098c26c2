"""The daily tables that need trades, computed the slow way with pandas, compared with what the binary stored.

    lobstream daily import bars ARCHIVE_FOLDER/*.csv --dir DIR
    lobstream daily run --universe all --from 20220104 --to 20220131 --ticks TRADES --config FILE --dir DIR
    python tests/oracle/daily_flow.py ARCHIVE_FOLDER DIR 20220104 20220131 TRADES FILE

The run must have begun with the first day given. Every row of stock_microstructure_daily, stock_fund_quality,
stock_level_microstructure and strategy_candidates is compared, missing and surplus ones too. TRADES holds
trades_YYYYMMDD.csv. FILE may change the keys of [daily.candidates]; all others keep their defaults. Bands, pool and
levels are those of daily.py. Exit code 1 and the first differences if there are any.
"""

import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from daily import bars_of, bollinger, e4, levels, pool, stored

TOLERANCE = 1e-9
CANDIDATES = dict(quality_top=0.30, max_ppos=50.0, min_strength=70, flow="required", max_dist_bp=500,
                  support_quantile=0.70, resistance_quantile=0.60, history_days=60, min_history=20)


def clock(text):
    """HH:MM:SS -> seconds of the day."""
    h, m, s = text.split(":")
    return int(h) * 3600 + int(m) * 60 + float(s)


def trades_of(folder, day):
    """Stock -> list of (seconds, price in e4, shares, side), by time; equal times in the order of the file."""
    path = Path(folder) / f"trades_{day}.csv"
    if not path.exists():
        return {}
    frame = pd.read_csv(path, dtype={"time": str, "side": str})
    frame = frame.assign(at=[clock(t) for t in frame.time], e4=[e4(p) for p in frame.price])
    frame = frame.sort_values("at", kind="stable")
    return {code: list(zip(of["at"], of["e4"], of["qty"], of["side"])) for code, of in frame.groupby("ts_code")}


AFTER_HOURS = 15 * 3600 + 5 * 60


def micro(trades, history, amount):
    """The row of a day; `history` holds the trade values of earlier days, oldest first, in CNY e-4."""
    day = [t for t in trades if t[0] < AFTER_HOURS]
    past = history[-60:]
    own = [p * q for _, p, q, _ in day]
    if len(past) >= 5:
        threshold, source, days = np.quantile([v / 1e4 for of in past for v in of], 0.9), "hist", len(past)
    else:
        threshold, source, days = np.quantile([v / 1e4 for v in own], 0.9), "today", 0
    big = [t for t in day if t[1] * t[2] / 1e4 >= threshold]

    def value(of, side=None, first=0, last=86400):
        return sum(p * q for at, p, q, s in of if (side is None or s == side) and first <= at < last) / 1e4

    def volume(of, side=None):
        return sum(q for _, _, q, s in of if side is None or s == side)

    def net(first, last):
        return value(big, "B", first, last) - value(big, "S", first, last)

    total, buy, sell = value(day), value(big, "B"), value(big, "S")
    n = {side: sum(t[3] == side for t in day) for side in "BSN"}
    coverage = total / amount
    at = [0, 9.5 * 3600, 10 * 3600, 14 * 3600, AFTER_HOURS]
    return dict(
        total_value=total, total_volume=volume(day), vwap=total / volume(day), big_buy_value=buy, big_sell_value=sell,
        big_net_value=buy - sell, big_buy_volume=volume(big, "B"), big_sell_volume=volume(big, "S"),
        big_net_ratio=(buy - sell) / total, big_buy_ratio=buy / total, big_sell_ratio=sell / total,
        big_net_auction=net(at[0], at[1]), big_net_open=net(at[1], at[2]), big_net_mid=net(at[2], at[3]),
        big_net_close=net(at[3], at[4]), buy_value=value(day, "B"), sell_value=value(day, "S"),
        order_flow_imbalance=(value(day, "B") - value(day, "S")) / total, trade_count=len(day),
        aggressive_trade_count_ratio=(n["B"] - n["S"]) / len(day), big_threshold=threshold,
        big_threshold_source=source, big_threshold_days=days,
        after_hours_value=value(trades) - total, coverage=coverage,
        quality="ok" if 0.98 <= coverage <= 1.02 else "partial")


def quality_window(closes):
    """First bar of the rise that ends with the last one, and how it was found."""
    for i in range(len(closes) - 1):
        peak, deepest = 0, 0
        for c in closes[i:]:
            peak = max(peak, c)
            deepest = max(deepest, (peak - c) * 10000 - peak * 600)
        falls = any((max(closes[i:j + 1]) - closes[j]) * 10000 >= max(closes[i:j + 1]) * 600 for j in range(i, len(closes)))
        if closes[-1] > closes[i] and not falls:
            return i, "rise"
    return max(0, len(closes) - 5), "fallback"


def fund_quality(bars, flows):
    """The row of a stock without its scores; `flows` are the micro rows by day."""
    bars = bars.iloc[-20:].reset_index(drop=True)
    start, kind = quality_window([e4(c) for c in bars.close])
    of = bars.iloc[start:].reset_index(drop=True)
    days = [flows.get(d) for d in of.trade_date]
    known = [f for f in days if f]
    row = dict(window_start=int(of.trade_date[0]), window_days=len(of), micro_days=len(known), window_kind=kind,
               price_return=of.close.iloc[-1] / of.close[0] - 1, big_net_sum=None, big_net_share=None,
               turnover_ratio=None, pos_days_ratio=None, trend_corr=None, big_cost_gain=None, support_ratio=None)
    if len(known) / len(of) < 0.5:
        return row | dict(quality="low_coverage")
    row["big_net_sum"] = sum(f["big_net_value"] for f in known)
    row["big_net_share"] = row["big_net_sum"] / sum(f["total_value"] for f in known)
    row["pos_days_ratio"] = sum(f["big_net_value"] > 0 for f in known) / len(known)
    pairs = pd.DataFrame([(f["big_net_value"], c) for f, c in zip(days, of.close) if f], columns=["net", "close"])
    if len(pairs) >= 3 and pairs.close.nunique() > 1 and pairs.net.cumsum().nunique() > 1:
        row["trend_corr"] = pairs.net.cumsum().corr(pairs.close)
    bought = sum(f["big_buy_volume"] for f in known)
    if bought:
        row["big_cost_gain"] = of.close.iloc[-1] / (sum(f["big_buy_value"] for f in known) / bought) - 1
    held, i = [], 1
    closes = [e4(c) for c in of.close]
    while i < len(closes):
        j = i
        while j < len(closes) and closes[j] < closes[j - 1]:
            j += 1
        if j > i:
            before, low = closes[i - 1], closes[j - 1]
            if (before - low) * 10000 >= before * 200 and all(days[i:j]):
                held.append(sum(f["big_net_value"] for f in days[i:j]) >= 0)
        i = max(j, i + 1)
    if held:
        row["support_ratio"] = sum(held) / len(held)
    return row | dict(quality="ok")


WEIGHTS = dict(big_net_share=0.25, pos_days_ratio=0.20, price_return=0.15, trend_corr=0.15, big_cost_gain=0.15,
               support_ratio=0.10)


def score(rows):
    """Adds fund_quality_z and fund_quality_score to the rows of a day."""
    judged = [r for r in rows.values() if r["quality"] == "ok"]
    for r in rows.values():
        r["fund_quality_z"] = r["fund_quality_score"] = None
    if len(judged) < 5:
        return
    for r in judged:
        r["fund_quality_z"] = 0.0
    for metric, weight in WEIGHTS.items():
        known = np.array([r[metric] for r in judged if r[metric] is not None])
        if len(known) == 0 or (known == known[0]).all():
            continue
        for r in judged:
            if r[metric] is not None:
                r["fund_quality_z"] += weight * min(3.0, max(-3.0, (r[metric] - known.mean()) / known.std()))
    for r in judged:
        r["fund_quality_score"] = 0.5 * (1 + math.erf(r["fund_quality_z"] / math.sqrt(2)))


def trading_seconds(at):
    if 9.5 * 3600 <= at < 11 * 3600 + 31 * 60:
        return min(at - 9.5 * 3600, 7200)
    if 13 * 3600 <= at < AFTER_HOURS:
        return min(7200 + at - 13 * 3600, 14400)
    return None


def as_number(at):
    ms = round(at * 1000)
    return (ms // 3600000 * 10000 + ms // 60000 % 60 * 100 + ms // 1000 % 60) * 1000 + ms % 1000


def clip(x):
    return min(1.0, max(0.0, x))


def tests(level, role, trades, threshold):
    """Tests of a level on a day, as rows by number."""
    ticks = [(trading_seconds(at), at, p, q, s) for at, p, q, s in trades if trading_seconds(at) is not None]
    kind = {"support": "support", "flip_support": "flip", "resistance": "resistance", "flip_resistance": "resistance"}[role]
    sign = -1 if kind == "resistance" else 1
    inside = [abs(t[2] - level) * 10000 <= level * 50 for t in ticks]
    runs, i = [], 0
    while i < len(ticks):
        j = i
        while j < len(ticks) and inside[j]:
            j += 1
        if j > i:
            left = i and runs and ticks[runs[-1][-1] + 1][0]
            if runs and ticks[i][0] - left < 60:
                runs[-1] += list(range(i, j))
            else:
                runs.append(list(range(i, j)))
        i = max(j, i + 1)
    rows, rejected = {}, 0
    for run in (r for r in runs if len(r) >= 5):
        own = [ticks[i] for i in run]
        first, last = run[0], run[-1]
        after = ticks[last + 1] if last + 1 < len(ticks) else None
        exit_side = "session_end" if after is None else "up" if after[2] > level else "down"
        rejected += exit_side == ("down" if kind == "resistance" else "up")
        value = sum(p * q for _, _, p, q, _ in own) / 1e4

        def sided(side, big=False):
            return sum(p * q for _, _, p, q, s in own
                       if s == side and (not big or p * q / 1e4 >= threshold)) / 1e4

        seen = [t for t in ticks[first:] if t[0] <= ticks[last][0] + 60]
        beyond = max((level - t[2]) * sign for t in seen)
        pen = max(0, beyond) / level
        lasts = [min(60, ticks[i + 1][0] - ticks[i][0]) if i + 1 < len(ticks) else 0 for i in run]
        all_time = sum(lasts)
        future = None
        if ticks[last][0] + 1800 <= 14400:
            future = [t[2] for t in ticks if t[0] <= ticks[last][0] + 1800][-1] / ticks[last][2] - 1
        row = dict(
            level_price=level / 1e4, level_type=kind, role=role, band_pct=0.005, n_ticks=len(run),
            t_start=as_number(own[0][1]), t_end=as_number(own[-1][1]), opened_inside=first == 0,
            exit_side=exit_side, vol_total=sum(t[3] for t in own), value_total=value,
            order_flow_imbalance=(sided("B") - sided("S")) / value, max_penetration=pen,
            time_above_level_ratio=sum(w for w, t in zip(lasts, own) if t[2] > level) / all_time if all_time else None,
            time_below_level_ratio=sum(w for w, t in zip(lasts, own) if t[2] < level) / all_time if all_time else None,
            tests_rejected=rejected, future_return_30m=future,
            big_buy_value=None, big_sell_value=None, big_net_value=None, big_net_ratio=None)
        names = {"support": "support_absorption_score", "flip": "flip_support_score",
                 "resistance": "resistance_sell_absorption_score"}
        for name in names.values():
            row[name + "_test"] = row[name + "_live"] = None
        if threshold is not None:
            buy, sell = sided("B", True), sided("S", True)
            row |= dict(big_buy_value=buy, big_sell_value=sell, big_net_value=buy - sell, big_net_ratio=(buy - sell) / value)
            bn, of = row["big_net_ratio"], row["order_flow_imbalance"]
            terms = [(0.35, clip(.5 + sign * bn)), (0.15, clip(.5 + sign * of / 2)), (0.25, clip(1 - pen / 0.005))]
            if kind == "resistance":
                terms.append((0.10, clip(rejected / 3)))
            known = sum(w * x for w, x in terms)
            row[names[kind] + "_live"] = known / sum(w for w, _ in terms)
            if future is not None:
                row[names[kind] + "_test"] = known + (1 - sum(w for w, _ in terms)) * clip(.5 + sign * future / 0.01)
        row["score"] = row[names[kind] + "_test"] if row[names[kind] + "_test"] is not None else row[names[kind] + "_live"]
        rows[len(rows) + 1] = row
    return rows


def candidates(members, scores, found, days, closes, positions, level_rows, keys):
    """Candidates of the last of `days`: code -> row."""
    near, history = days[-20:], days[-keys["history_days"]:]

    def all_scores(kinds):
        return [t["score"] for d in history for t in found.get(d, []) if t["level_type"] in kinds and t["score"] is not None]

    def cut(values, q):
        return float(np.quantile(values, q)) if len(values) >= keys["min_history"] else 0.5

    least, most = cut(all_scores(("support", "flip")), keys["support_quantile"]), cut(all_scores(("resistance",)), keys["resistance_quantile"])
    scored = sorted((-scores[c], c) for c in members if scores.get(c) is not None)
    kept = [c for _, c in scored[:math.ceil(keys["quality_top"] * len(scored) - 1e-9)]]
    rows = {}
    for code in kept:
        if not positions[code] < keys["max_ppos"]:
            continue
        close = e4(closes[code])
        strong = [(price, r) for price, r in level_rows[code].items() if r[3] >= keys["min_strength"]]

        def tested(price, kinds):
            own = [t["score"] for d in near for t in found.get(d, []) if t["code"] == code and t["score"] is not None
                   and t["level_type"] in kinds and abs(t["level_e4"] - price) * 10000 <= price * 20]
            return (sum(own) / len(own) if own else None), len(own)

        below = [(p, r[2]) for p, r in strong if r[2] in ("support", "flip_support") and p <= close
                 and (close - p) * 10000 <= close * keys["max_dist_bp"]]
        if not below:
            continue
        support, role = max(below)
        mean, n = tested(support, ("support", "flip"))
        if mean is None or mean < least:
            continue
        above = [p for p, r in strong if r[2] in ("resistance", "flip_resistance") and p > close
                 and (p - close) * 10000 <= close * keys["max_dist_bp"]]
        resistance = min(above) if above else None
        held = tested(resistance, ("resistance",))[0] if above else None
        if held is not None and held > most:
            continue
        price = close / 1e4
        rows[code] = dict(
            close=price, fund_quality_score=scores[code], support_price=support / 1e4, support_role=role,
            support_score=mean, support_tests=n, support_dist=(price - support / 1e4) / price,
            resistance_price=resistance / 1e4 if above else None, resistance_score=held,
            resistance_dist=(resistance / 1e4 - price) / price if above else None, flow_missing="")
    order = sorted(rows, key=lambda c: (-rows[c]["fund_quality_score"], -rows[c]["support_score"], rows[c]["support_dist"], c))
    for rank, code in enumerate(order, 1):
        rows[code]["rank"] = rank
    return rows


class Comparison:
    def __init__(self):
        self.values, self.wrong, self.rows = 0, [], {}

    def value(self, what, got, expected):
        self.values += 1
        missing = got is None or (isinstance(got, float) and math.isnan(got))
        if expected is None or (isinstance(expected, float) and math.isnan(expected)):
            same = missing
        elif isinstance(expected, (float, np.floating)):
            same = not missing and abs(got - expected) <= TOLERANCE * max(1.0, abs(expected))
        else:
            same = got == expected
        if not same:
            self.wrong.append(f"{what}: stored {got!r}, expected {expected!r}")

    def table(self, folder, table, day, keys, expected):
        """Compares a part with rows by key."""
        self.rows[table] = self.rows.get(table, 0) + len(expected)
        frame = stored(folder, table, day)
        got = {tuple(row[k] for k in keys): row for row in frame.to_dict("records")} if len(frame) else {}
        self.value(f"{day} {table} keys", sorted(got), sorted(expected))
        for key in sorted(set(got) & set(expected)):
            for column, value in expected[key].items():
                if column in ("score", "code", "level_e4"):
                    continue
                self.value(f"{day} {table} {key} {column}", got[key][column], value)


def main():
    archive, folder, first, last, ticks, config = sys.argv[1:]
    told = tomllib.loads(Path(config).read_text()).get("daily", {})
    keys = CANDIDATES | told.pop("candidates", {})
    assert not told, f"only [daily.candidates] may be changed: {told}"
    stocks = bars_of(archive)
    basic = pd.read_csv(Path(archive) / "basic_stock_data.csv", dtype=str)
    names = dict(zip(basic.ts_code, basic.name.fillna("")))
    tables = {code: bollinger(frame) for code, frame in stocks.items()}
    days = [d for d in sorted({d for frame in stocks.values() for d in frame.trade_date}) if first <= d <= last]
    compared, values, flows, known_levels, found, latest = Comparison(), {}, {}, {}, {}, {}
    for day in days:
        trades = trades_of(ticks, day)
        bars = {code: frame[frame.trade_date <= day] for code, frame in stocks.items() if day in set(frame.trade_date)}
        rows = {}
        for code in sorted(bars):
            if code in trades:
                row = micro(trades[code], values.get(code, []), bars[code].amount.iloc[-1])
                flows.setdefault(code, {})[day] = rows[code] = row
                values.setdefault(code, []).append([p * q for at, p, q, _ in trades[code] if at < AFTER_HOURS])
        compared.table(folder, "stock_microstructure_daily", day, ["ts_code"], {(c,): r for c, r in rows.items()})

        quality = {code: fund_quality(of, flows.get(code, {})) for code, of in bars.items()}
        score(quality)
        compared.table(folder, "stock_fund_quality", day, ["ts_code"], {(c,): r for c, r in quality.items()})

        tested = {}
        for code, row in rows.items():
            threshold = row["big_threshold"] if row["big_threshold_source"] == "hist" else None
            for price, level in known_levels.get(code, {}).items():
                if level[2] != "neutral":
                    for number, test in tests(price, level[2], trades[code], threshold).items():
                        tested[code, price, number] = test | dict(code=code, level_e4=price)
        after = days[days.index(day) + 1] if day != last else None
        for (code, price, _), test in tested.items():
            frame = stocks[code]
            nxt = frame[frame.trade_date == after] if after else frame[:0]
            inside = [t for t in trades[code] if trading_seconds(t[0]) is not None and as_number(t[0]) == test["t_end"]
                      and abs(t[1] - price) * 10000 <= price * 50]
            test["future_return_1d"] = nxt.close.iloc[0] / (inside[-1][1] / 1e4) - 1 if len(nxt) else None
        compared.table(folder, "stock_level_microstructure", day, ["ts_code", "level_e4", "test_id"], tested)

        found[day] = list(tested.values())
        known_levels = known_levels | {code: levels(of) for code, of in bars.items()}
        latest[day] = {code: row["fund_quality_score"] for code, row in quality.items()}
        now = days[:days.index(day) + 1]
        scores = {code: s for d in now[-5:] for code, s in latest[d].items()}
        members = pool(stocks, tables, names, day)
        at = {code: table[table.trade_date == day].iloc[0] for code, table in tables.items() if code in bars}
        expected = candidates(members, scores, found, now, {c: b.close.iloc[-1] for c, b in bars.items()},
                              {c: row.price_position for c, row in at.items()}, known_levels, keys)
        compared.table(folder, "strategy_candidates", day, ["ts_code"], {(c,): r for c, r in expected.items()})
    rows = ", ".join(f"{n} rows of {table}" for table, n in compared.rows.items())
    print(f"{compared.values} values compared, {rows}, {len(compared.wrong)} differ")
    for line in compared.wrong[:20]:
        print(line)
    sys.exit(1 if compared.wrong else 0)


if __name__ == "__main__":
    main()
