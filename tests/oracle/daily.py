"""The daily tables that bars alone allow, computed the slow way with pandas, compared with what the binary stored.

    lobstream daily import bars ARCHIVE --dir DIR
    lobstream daily run --from 20220104 --to 20220131 --dir DIR
    python tests/oracle/daily.py ARCHIVE_FOLDER DIR 20220104 20220131

ARCHIVE_FOLDER holds the unpacked tushare files (one CSV per stock, and basic_stock_data.csv), whose prices are adjusted.
Every row of stock_bollinger_data, stock_active_pool and price_levels_daily of the days is compared, missing and
surplus ones too. Exit code 1 and the first differences if there are any.
"""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TOLERANCE = 1e-9


def bars_of(folder):
    """Stock -> bars by day, oldest first, in CNY and shares."""
    stocks = {}
    for path in sorted(Path(folder).glob("*.csv")):
        if path.name == "basic_stock_data.csv":
            continue
        frame = pd.read_csv(path, dtype={"trade_date": str})
        frame = frame.dropna(subset=["close", "high", "low"])
        suspended = frame.vol.isna() & (frame.pre_close.isna() | (frame.pre_close == frame.close))
        frame = frame[~suspended].drop_duplicates("trade_date", keep="last").sort_values("trade_date")
        frame = frame.assign(vol=frame.vol * 100, amount=frame.amount * 1000).reset_index(drop=True)
        if len(frame):
            stocks[frame.ts_code[0]] = frame
    return stocks


def zscore(series, m):
    def last(window):
        sd = window.std(ddof=0)
        return np.nan if (window == window[0]).all() else (window[-1] - window.mean()) / sd

    return series.rolling(m).apply(last, raw=True)


def bands(series, n=20, k=2.0, m=120):
    """Middle, upper, lower, width, z-score of the width, position."""
    middle = series.rolling(n).apply(np.mean, raw=True)
    sd = series.rolling(n).apply(lambda w: 0.0 if (w == w[0]).all() else w.std(ddof=0), raw=True)
    upper, lower = middle + k * sd, middle - k * sd
    width = upper - lower
    position = (100 * (series - lower) / width).where(width != 0)
    return pd.DataFrame(dict(middle=middle, upper=upper, lower=lower, width=width, z=zscore(width, m), position=position))


def bollinger(frame):
    p, v = bands(frame.close), bands(frame.vol.astype(float))
    return pd.DataFrame({
        "trade_date": frame.trade_date,
        "middle_band": p.middle, "upper_band": p.upper, "lower_band": p.lower, "band_width": p.width,
        "band_width_zscore": p.z, "price_position": p.position,
        "upper_return": 100 * (p.upper / p.middle - 1), "lower_return": 100 * (p.lower / p.middle - 1),
        "v_middle_band": v.middle, "v_upper_band": v.upper, "v_lower_band": v.lower, "v_band_width": v.width,
        "v_band_width_zscore": v.z, "v_price_position": v.position, "amount": frame.amount,
    })


def pool(stocks, tables, names, day):
    """Members of the pool of a day: code -> (max_vpos, max_ppos, avg_amount)."""
    end = pd.Timestamp(day)
    members = {}
    for code, table in tables.items():
        name = names.get(code, "")
        if "ST" in name or "退" in name or code.endswith(".BJ") or day not in set(table.trade_date):
            continue
        dates = pd.to_datetime(table.trade_date)
        window = table[(dates >= end - pd.Timedelta(days=19)) & (dates <= end)]
        vpos, ppos, amount = window.v_price_position.max(), window.price_position.max(), window.amount.mean()
        if vpos > 99 and ppos > 50 and amount > 30_000_000:
            members[code] = (vpos, ppos, amount)
    return members


def e4(price):
    return math.floor(price * 10000 + 0.5)


def levels(frame):
    """Rows of price_levels_daily after the last bar: e4 -> (type, direction, role, strength, raw, source date)."""
    frame = frame.iloc[-270:].reset_index(drop=True)
    H, L, C = ([e4(x) for x in frame[c]] for c in ("high", "low", "close"))
    n, w, found = len(C), 2, []
    swings = []
    for i in range(w, n - w):
        if all(H[i] >= H[i - j] and H[i] > H[i + j] for j in range(1, w + 1)):
            swings.append((i, "H", H[i]))
        if all(L[i] <= L[i - j] and L[i] < L[i + j] for j in range(1, w + 1)):
            swings.append((i, "L", L[i]))

    def width_ok(prices, tenth_bp):
        return 2 * (max(prices) - min(prices)) * 100000 <= (max(prices) + min(prices)) * tenth_bp

    lists, now = [], []
    for s in swings:
        if now and not width_ok([p for _, _, p in now] + [s[2]], 9600):
            lists.append(now)
            now = []
        now.append(s)
    if now:
        lists.append(now)
    ranges = []
    for group in lists:
        prices = [p for _, _, p in group]
        if len(group) < 4 or group[-1][0] - group[0][0] + 1 < 10 or not width_ok(prices, 8000):
            continue
        hi, lo = max(prices), min(prices)
        r = [group[0][0], group[-1][0], hi, lo,
             sum(5 * (hi - p) <= hi - lo for p in prices), sum(5 * (p - lo) <= hi - lo for p in prices)]
        if ranges and r[0] <= ranges[-1][1]:
            q = ranges[-1]
            ranges[-1] = [q[0], max(q[1], r[1]), max(q[2], r[2]), min(q[3], r[3]), q[4] + r[4], q[5] + r[5]]
        else:
            ranges.append(r)
    majors = []
    if swings:
        pivot = swings[0]
        for s in swings[1:]:
            gain = s[2] - pivot[2] if s[1] == "H" else pivot[2] - s[2]
            if s[1] == pivot[1]:
                if gain >= 0:
                    pivot = s
            elif gain > 0 and gain * 10000 >= pivot[2] * 400:
                majors.append(pivot)
                pivot = s
        if majors:
            majors.append(pivot)
    majors = [s for s in majors if not any(r[0] <= s[0] <= r[1] for r in ranges)]
    majors = list({s[0]: s for s in majors}.values())

    def bonus(bar):
        ago = n - 1 - bar
        return 10 if ago <= 0 else 0 if ago >= 40 else 10 * (1 - ago / 40)

    for r in ranges:
        found.append((r[2], "range_high", "resistance", 70 + 2 * min(r[4], 5) + bonus(r[1]), r[1]))
        found.append((r[3], "range_low", "support", 70 + 2 * min(r[5], 5) + bonus(r[1]), r[1]))
    for i, kind, p in majors:
        found.append((p, "trend_pivot_high" if kind == "H" else "trend_pivot_low",
                      "resistance" if kind == "H" else "support", 60 + bonus(i), i))
    for i in range(1, n):
        if L[i] * 1000 > H[i - 1] * 1001:
            found += [(H[i - 1], "gap_up_low", "support", 65, i), (L[i], "gap_up_high", "neutral", 55, i)]
        elif H[i] * 1000 < L[i - 1] * 999:
            found += [(L[i - 1], "gap_down_high", "resistance", 65, i), (H[i], "gap_down_low", "neutral", 55, i)]
    for r in ranges:
        for i in range(r[1] + 1, n):
            if C[i] > r[2]:
                found.append((H[i], "breakout_high", "resistance", 70 + bonus(i), i))
                break
            if C[i] < r[3]:
                found.append((L[i], "breakout_low", "support", 70 + bonus(i), i))
                break
    for a, b, c in zip(majors, majors[1:], majors[2:]):
        target = c[2] + b[2] - a[2]
        if (a[1], b[1], c[1]) == ("L", "H", "L") and c[2] > a[2] and target > 0:
            found.append((target, "measured_move_target", "resistance", 55, c[0]))
        if (a[1], b[1], c[1]) == ("H", "L", "H") and c[2] < a[2] and target > 0:
            found.append((target, "measured_move_target", "support", 55, c[0]))

    found.sort(key=lambda x: x[0])
    clusters = []
    for x in found:
        if clusters:
            group = clusters[-1]
            total = sum(y[0] for y in group)
            apart = abs(x[0] * len(group) - total)
            if apart <= 100 * len(group) or apart * 10000 <= total * 20:
                group.append(x)
                continue
        clusters.append([x])
    rows = []
    for group in clusters:
        total = sum(y[3] for y in group)
        price = math.floor(sum(y[0] * y[3] for y in group) / total + 0.5)
        votes = [y[2] for y in group]
        s, r = votes.count("support"), votes.count("resistance")
        direction = "support" if s > r else "resistance" if r > s else "neutral"
        raw = min(100, total / len(group) + 5 * (len(group) - 1))
        src = min(y[4] for y in group)
        flipped = False
        for c in C[src + 1:]:
            over, under = c * 10000 > price * 10050, c * 10000 < price * 9950
            if direction == "resistance":
                flipped = over or (flipped and not under)
            elif direction == "support":
                flipped = under or (flipped and not over)
        role = direction
        if flipped:
            role = "flip_support" if direction == "resistance" else "flip_resistance"
        rows.append((price, "+".join(sorted({y[1] for y in group})), direction, role, round(raw), raw, frame.trade_date[src]))
    rows.sort(key=lambda x: (-x[4], x[0]))
    return {x[0]: x[1:] for x in rows[:40]}


def stored(folder, table, day):
    path = Path(folder) / "daily" / table / f"trade_date={day}" / "part-0.parquet"
    return pd.read_parquet(path) if path.exists() else pd.DataFrame()


def main():
    archive, folder, first, last = sys.argv[1:]
    stocks = bars_of(archive)
    basic = pd.read_csv(Path(archive) / "basic_stock_data.csv", dtype=str)
    names = dict(zip(basic.ts_code, basic.name.fillna("")))
    tables = {code: bollinger(frame) for code, frame in stocks.items()}
    all_days = sorted({d for frame in stocks.values() for d in frame.trade_date})
    days = [d for d in all_days if first <= d <= last]
    wrong, compared = [], 0

    def check(what, got, expected):
        nonlocal compared
        compared += 1
        same = got == expected
        if isinstance(expected, float):
            both = math.isnan(expected) and (got is None or math.isnan(got))
            same = both or abs(got - expected) <= TOLERANCE * max(1.0, abs(expected))
        if not same:
            wrong.append(f"{what}: stored {got!r}, expected {expected!r}")

    pools = {}
    for day in days:
        got = stored(folder, "stock_bollinger_data", day)
        got = got.set_index("ts_code") if len(got) else got
        expected = {}
        for code, table in tables.items():
            row = table[table.trade_date == day]
            if len(row) and not math.isnan(row.middle_band.iloc[0]):
                expected[code] = row.iloc[0]
        check(f"{day} bollinger stocks", sorted(got.index), sorted(expected))
        for code, row in expected.items():
            for column in row.index.drop(["trade_date", "amount"]):
                if code in got.index:
                    check(f"{day} {code} {column}", float(got.loc[code, column]), float(row[column]))
        window = all_days[max(0, all_days.index(day) - 9):all_days.index(day) + 1]
        for d in window:
            if d not in pools:
                pools[d] = pool(stocks, tables, names, d)
        got = stored(folder, "stock_active_pool", day)
        got = got.set_index("ts_code") if len(got) else got
        check(f"{day} pool", sorted(got.index), sorted(pools[day]))
        for code, row in pools[day].items():
            if code in got.index:
                for column, value in zip(("max_vpos", "max_ppos", "avg_amount"), row):
                    check(f"{day} {code} {column}", float(got.loc[code, column]), float(value))
        universe = sorted({c for d in window for c in pools[d] if day in set(stocks[c].trade_date)})
        got = stored(folder, "price_levels_daily", day)
        check(f"{day} stocks with levels", sorted(set(got.ts_code)) if len(got) else [],
              [c for c in universe if levels(stocks[c][stocks[c].trade_date <= day])])
        for code in universe:
            expected = levels(stocks[code][stocks[code].trade_date <= day])
            of = got[got.ts_code == code]
            check(f"{day} {code} levels", sorted(of.level_e4), sorted(expected))
            for row in of.itertuples():
                if row.level_e4 in expected:
                    kind, direction, role, strength, raw, src = expected[row.level_e4]
                    what = f"{day} {code} {row.level_e4}"
                    check(what, (row.level_type, row.direction, row.role, row.strength, str(row.src_date)),
                          (kind, direction, role, strength, str(src)))
                    check(what + " strength_raw", float(row.strength_raw), float(raw))
    print(f"{compared} values of {len(days)} days compared, {len(wrong)} differ")
    for line in wrong[:20]:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
