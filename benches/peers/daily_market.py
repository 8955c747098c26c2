"""A made-up market for scripts/bench-daily: bars of 300 days and trades of the last seven, as CSV; with YEARS bars of so many
years and no trades.

    python benches/peers/daily_market.py STOCKS TRADES FOLDER [YEARS]
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

N_DAYS, N_TICK_DAYS = 300, 7


def main():
    stocks, trades, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    years = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    first, n_days, n_tick_days = (f"{2025 - years}-01-02", 242 * years, 0) if years else ("2024-01-02", N_DAYS, N_TICK_DAYS)
    rng = np.random.default_rng(7)
    (folder / "ticks").mkdir(parents=True)
    codes = np.array([f"{600000 + i}.SH" if i < stocks // 2 else f"{i - stocks // 2 + 1:06d}.SZ" for i in range(stocks)])
    days = np.array([str(d).replace("-", "") for d in np.arange(first, "2025-12-31", dtype="datetime64[D]")
                     if d.astype(object).weekday() < 5][:n_days])
    close = np.full(stocks, 20.0)
    frames = []
    for n, day in enumerate(days):
        pre = close
        close = np.round(pre * rng.uniform(0.97, 1.0311, stocks), 2)
        open_ = np.round(pre * rng.uniform(0.99, 1.01, stocks), 2)
        high, low = np.round(np.maximum(open_, close) * 1.01, 2), np.round(np.minimum(open_, close) * 0.99, 2)
        lots = np.round(30_000 + 200_000 * rng.uniform(size=stocks) ** 4)
        amount = lots * 100 * (high + low) / 2 / 1000
        frames.append(pl.DataFrame(dict(ts_code=codes, trade_date=np.full(stocks, day), open=open_, high=high, low=low,
                                        close=close, pre_close=pre, vol=lots, amount=amount)))
        if n >= n_days - n_tick_days:
            ticks(folder / "ticks" / f"trades_{day}.csv", rng, codes, trades, low, high)
    pl.concat(frames).write_csv(folder / "bars.csv")
    pl.DataFrame(dict(ts_code=codes, name=codes, list_date=np.full(stocks, "20100104"))).write_csv(folder / "names.csv")
    (folder / "days").write_text("\n".join(days[-n_tick_days:] if n_tick_days else days[[0, -1]]) + "\n")


def ticks(path, rng, codes, n, low, high):
    """One stock after the other, each by time; prices walk between low and high."""
    at = np.sort(rng.integers(0, 14_400, (len(codes), n)), axis=1)
    at = 34_200 + at + np.where(at >= 7_200, 5_400, 0)
    walk = np.cumsum(rng.normal(0, 0.02, (len(codes), n)), axis=1)
    place = np.abs((walk + 0.5) % 2 - 1)
    price = np.round(low[:, None] + (high - low)[:, None] * place, 2)
    qty = 100 * (1 + (40 * rng.uniform(size=(len(codes), n)) ** 4).astype(int))
    side = np.array(["B", "S", "N"])[rng.integers(0, 3, (len(codes), n))]
    clock = (at // 3600 * 10_000 + at // 60 % 60 * 100 + at % 60).ravel()
    pl.DataFrame(dict(ts_code=np.repeat(codes, n), time=clock, price=price.ravel(), qty=qty.ravel(), side=side.ravel()),
                 ).with_columns(pl.col("time").cast(pl.Utf8).str.zfill(6)).write_csv(path)


main()
