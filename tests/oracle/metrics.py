"""Metrics of seeded equity curves as other libraries compute them.

    pip install quantstats==0.0.86 empyrical-reloaded==0.7.1 scipy pandas
    python3 tests/oracle/metrics.py > backtest/tests/data/metrics_oracle.json

Where two libraries know a measure, both must agree to 1e-9 here, or this script fails. The test is
backtest/tests/metrics_oracle.rs.
"""

import json
import sys
import warnings

import empyrical
import numpy as np
import pandas as pd
import quantstats.stats as qs
import scipy.stats

warnings.filterwarnings("ignore")


def both(name, first, second):
    assert abs(first - second) <= 1e-9 * max(abs(first), 1e-3), f"{name}: {first} and {second}"
    return float(first)


def case(name, seed, n, ppy, rf, drift, jump):
    rng = np.random.default_rng(seed)
    market = rng.normal(drift, 0.01, n)
    own = 0.6 * market + rng.standard_t(4, n) * 0.006 + jump * (rng.random(n) < 0.02)
    start = 1_000_000.0
    curve = np.round(start * np.cumprod(1 + own), 2)
    bench = np.round(start * np.cumprod(1 + market), 2)
    index = pd.date_range("2020-01-01", periods=n, freq="D")
    r = pd.Series(np.diff(curve, prepend=start) / np.r_[start, curve[:-1]], index)
    b = pd.Series(np.diff(bench, prepend=start) / np.r_[start, bench[:-1]], index)
    excess = r - rf
    sr = r.mean() / r.std(ddof=1)
    skew, kurt = scipy.stats.skew(r), scipy.stats.kurtosis(r, fisher=False)
    psr = scipy.stats.norm.cdf(sr * np.sqrt(n - 1) / np.sqrt(1 - skew * sr + (kurt - 1) / 4 * sr**2))
    pnl = np.round(rng.normal(20, 400, 60), 2)
    trades = pd.Series(pnl)
    monthly = (1 + r).groupby([r.index.year, r.index.month]).prod() - 1
    yearly = (1 + r).groupby(r.index.year).prod() - 1
    want = {
        "total_return": both("total", qs.comp(r), empyrical.cum_returns_final(r)),
        "cagr": both("cagr", qs.cagr(r, periods=ppy), empyrical.cagr(r, annualization=ppy)),
        "volatility": both("vol", qs.volatility(r, periods=ppy), empyrical.annual_volatility(r, annualization=ppy)),
        "sharpe": both("sharpe", qs.sharpe(excess, periods=ppy), empyrical.sharpe_ratio(r, rf, annualization=ppy)),
        "sortino": both("sortino", qs.sortino(r, periods=ppy), empyrical.sortino_ratio(r, annualization=ppy)),
        "max_drawdown": both("mdd", qs.max_drawdown(r), empyrical.max_drawdown(r)),
        "calmar": both("calmar", qs.calmar(r, periods=ppy), empyrical.calmar_ratio(r, annualization=ppy)),
        "beta": both("beta", qs.greeks(r, b, periods=ppy)["beta"], empyrical.beta(r, b)),
        "alpha": float((excess.mean() - empyrical.beta(r, b) * (b - rf).mean()) * ppy),
        "information_ratio": float(qs.information_ratio(r, b) * np.sqrt(ppy)),
        "skew": float(skew),
        "kurtosis": float(kurt),
        "psr": float(psr),
        "profit_factor": float(trades[trades > 0].sum() / -trades[trades < 0].sum()),
        "win_rate": float((trades > 0).mean()),
        "expectancy": float(trades.mean()),
        "sqn": float(np.sqrt(len(trades)) * trades.mean() / trades.std(ddof=1)),
        "monthly": [float(x) for x in monthly],
        "yearly": [float(x) for x in yearly],
        "rolling_sharpe_63": [float(x) for x in qs.rolling_sharpe(r, rolling_period=63, periods_per_year=ppy).dropna()],
    }
    if rf == 0:
        both("alpha", want["alpha"], qs.greeks(r, b, periods=ppy)["alpha"])
    return {
        "name": name, "start": start, "ppy": ppy, "rf": rf,
        "curve": curve.tolist(), "benchmark": bench.tolist(), "pnl": pnl.tolist(), "want": want,
    }


cases = [
    case("a year of trading days", 1, 252, 252, 0.0, 0.0005, 0.0),
    case("half a year, all days, falling", 2, 190, 365, 0.0, -0.001, -0.02),
    case("with a riskless return", 3, 400, 252, 0.0001, 0.001, 0.03),
]
json.dump({"made_by": "tests/oracle/metrics.py", "cases": cases}, sys.stdout, indent=None)
print()
