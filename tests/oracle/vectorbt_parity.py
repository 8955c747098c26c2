"""The trade list of vectorbt for the parity rule, on 100,000 seeded bars with gaps.

    pip install vectorbt==1.2.0            # and vectorbt-rust==1.2.0 for its compiled engine
    python3 tests/oracle/vectorbt_parity.py > backtest/tests/data/vectorbt_parity.json
    python3 tests/oracle/vectorbt_parity.py --speed        # how many bars a second of CPU it does, on stderr

Rule: enter when the close is below the lower Bollinger band, leave at the stop, then the target, then a close above
the middle band; fills at the close, stops inside the bar or at a gapped open. The bars are those of
backtest/tests/bands/pass.rs, in whole cents.
"""

import hashlib
import json
import sys
import time

import numpy as np
import pandas as pd
import vectorbt as vbt

N, WINDOW, K, SL, TP, FEE = 100_000, 20, 2.0, 0.012, 0.02, 0.0005


def bars(n):
    state = 20_240_102

    def draw(m):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % m

    close, rows = 10_000, []
    for _ in range(n):
        gap = draw(41) - 20
        wide = 10 if draw(20) == 0 else 1
        open_ = close + gap * wide
        close = open_ + draw(161) - 80 - (open_ - 10_000) // 64
        high, low = max(open_, close) + draw(40), min(open_, close) - draw(40)
        rows.append((open_, high, low, close))
    return np.array(rows, dtype=np.float64) / 100


def signals(close):
    windows = np.lib.stride_tricks.sliding_window_view(close, WINDOW)
    mean = np.r_[np.full(WINDOW - 1, np.nan), windows.mean(axis=1)]
    sd = np.r_[np.full(WINDOW - 1, np.nan), windows.std(axis=1)]
    return close < mean - K * sd, close > mean


def portfolio(o, h, l, c, entries, exits, engine=None):
    return vbt.Portfolio.from_signals(
        c, entries, exits, open=o, high=h, low=l, sl_stop=SL, tp_stop=TP, fees=FEE, init_cash=1.0,
        size=np.inf, accumulate=False, freq="1min", engine=engine,
    )


def main():
    o, h, l, c = bars(N).T
    entries, exits = signals(c)
    index = pd.RangeIndex(N)
    args = [pd.Series(x, index) for x in (o, h, l, c, entries, exits)]
    trades = portfolio(*args).trades.records
    closed = trades[trades["status"] == 1]
    rows = zip(closed["entry_idx"], closed["exit_idx"], closed["exit_price"])
    lines = [f"{i0},{i1},{price:.8f}" for i0, i1, price in rows]
    text = "".join(line + "\n" for line in lines)
    # vectorbt takes the fee out of the cash: 1/(1 + f) of it is bought. The page takes it out of the notional, so the
    # equity is chained here from the prices.
    equity = float(np.prod((1 - FEE) ** 2 * closed["exit_price"] / closed["entry_price"]))
    json.dump(
        {
            "made_by": f"tests/oracle/vectorbt_parity.py with vectorbt {vbt.__version__}",
            "bars": N, "n": WINDOW, "k": K, "sl": SL, "tp": TP, "fee_bp": FEE * 1e4,
            "trades": len(lines), "first": lines[:40], "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "equity": equity,
        },
        sys.stdout,
        indent=1,
    )
    print()
    if "--speed" in sys.argv:
        speed(args)


def speed(args):
    """CPU time, so that a busy neighbour counts little."""
    for engine in ("numba", "rust"):
        try:
            portfolio(*args, engine)
        except Exception as e:
            print(f"vectorbt, engine {engine}: {e}", file=sys.stderr)
            continue
        best = min(timed(args, engine) for _ in range(15))
        print(f"vectorbt, engine {engine}: {N / best / 1e6:.2f} M bars/s of CPU", file=sys.stderr)


def timed(args, engine):
    begin = time.process_time()
    portfolio(*args, engine)
    return time.process_time() - begin


main()
