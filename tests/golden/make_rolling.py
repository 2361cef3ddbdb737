"""Writes rolling.json: rolling statistics over rows and spans of time, and exponentially weighted ones.

By NumPy 2.4 and pandas 3.1; run by hand: python make_rolling.py
"""
import json
import pathlib

import numpy as np
import pandas as pd

rng = np.random.default_rng(23)
n = 160
# Quarters: times are exact in nanoseconds.
times = np.cumsum(rng.integers(1, 16, n)) * 0.25
x = np.round(100.0 + np.cumsum(rng.standard_normal(n)) + 3.0 * rng.standard_exponential(n), 6)
x[rng.random(n) < 0.08] = np.nan
x[40:52] = np.nan
x[90:100] = 101.5
stamps = pd.to_datetime((times * 1e9).astype(np.int64), unit="ns")
s = pd.Series(x)
t = pd.Series(x, index=stamps)


def numbers(series):
    return [None if np.isnan(v) else float(v) for v in np.asarray(series)]


def slope(along):
    def of(window):
        w = window.dropna()
        at = along(w)
        return np.nan if len(w) < 2 else np.polyfit(at - at[-1], w.to_numpy(), 1)[0]
    return of


def seconds(w):
    return w.index.as_unit("ns").asi8 * 1e-9


def statistics(series, window, min_count, along):
    r = series.rolling(window, min_periods=min_count)
    return {
        "mean": numbers(r.mean()),
        "variance": numbers(r.var(ddof=0)),
        "sd": numbers(r.std(ddof=1)),
        "skewness": numbers(r.skew()),
        "kurtosis": numbers(r.kurt()),
        "min": numbers(r.min()),
        "max": numbers(r.max()),
        "median": numbers(r.median()),
        "quantile": numbers(r.quantile(0.15, interpolation="linear")),
        "slope": numbers(r.apply(slope(along), raw=False)),
    }


rows = [{"rows": w, "min_count": m, **statistics(s, w, m, lambda w: w.index.to_numpy().astype(float))}
        for w, m in ((1, 1), (5, 5), (12, 4), (50, 10), (200, 1))]
spans = [{"span": w, "min_count": m, **statistics(t, f"{int(w * 1000)}ms", m, seconds)}
         for w, m in ((0.25, 1), (7.5, 2), (40.0, 5))]
# Pairs of a window of w rows: w - lag of them.
correlations = [{"rows": w, "lag": lag, "min_count": m,
                 "values": numbers(s.shift(lag).rolling(w - lag, min_periods=m).corr(s))}
                for w, lag, m in ((10, 1, 5), (30, 3, 10))]

ewma = []
for kind, value, kw in (("alpha", 0.3, {"alpha": 0.3}), ("span", 9.0, {"span": 9}), ("half_life", 4.0, {"halflife": 4})):
    for adjust in (True, False):
        for bias in (True, False):
            e = s.ewm(adjust=adjust, min_periods=3, **kw)
            ewma.append({"kind": kind, "value": value, "recursive": not adjust, "corrected": not bias, "min_count": 3,
                         "mean": numbers(e.mean()), "variance": numbers(e.var(bias=bias))})
timed = [{"half_life": h, "mean": numbers(s.ewm(halflife=f"{int(h * 1000)}ms", times=stamps).mean())} for h in (2.0, 15.0)]

out = {"times": times.tolist(), "x": numbers(x), "rows": rows, "spans": spans, "correlations": correlations,
       "ewma": ewma, "timed": timed}
pathlib.Path(__file__).with_name("rolling.json").write_text(json.dumps(out))
