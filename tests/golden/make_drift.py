"""Writes drift.json: population stability, Kolmogorov-Smirnov and chi-squared of binned samples.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_drift.py

Bins are cut at the twentieths of the training values; NaN is a bin of its own. Each machine has one row, so that rows and
machines are the same number.
"""
import json
import pathlib

import numpy as np
from scipy import special, stats

FLOOR = 1e-4
rng = np.random.default_rng(7)


def case(name, then, now):
    finite = np.sort(then[np.isfinite(then)])
    n = len(finite)
    cuts = np.unique(finite[[-(-k * n // 20) - 1 for k in range(1, 20)]])

    def counts(x):
        bins = np.searchsorted(cuts, x[np.isfinite(x)], side="left")
        return np.append(np.bincount(bins, minlength=len(cuts) + 1), np.sum(~np.isfinite(x)))

    a, b = counts(then), counts(now)
    q, p = np.maximum(a / a.sum(), FLOOR), np.maximum(b / b.sum(), FLOOR)
    bin_a, bin_b = np.repeat(np.arange(len(a) - 1), a[:-1]), np.repeat(np.arange(len(b) - 1), b[:-1])
    ks = stats.ks_2samp(bin_a, bin_b, method="asymp")
    m, k = len(bin_a), len(bin_b)
    table = np.stack([a, b])
    table = table[:, table.sum(axis=0) > 0]
    # What the crate is told: all rows of the window are machines, in every channel.
    told = len(now)
    return {
        "name": name,
        "then": [None if np.isnan(v) else float(v) for v in then],
        "now": [None if np.isnan(v) else float(v) for v in now],
        "psi": float(np.sum((p - q) * np.log(p / q))),
        "ks": float(ks.statistic),
        "ks_p": float(special.kolmogorov(np.sqrt(m * told / (m + told)) * ks.statistic)),
        "ks_2samp_p": float(ks.pvalue) if k == told else None,
        "bins_p": float(stats.chi2_contingency(table, correction=False).pvalue) if m == len(then) else None,
    }


x = rng.normal(size=400)
gaps = rng.normal(size=300)
gaps[::5] = np.nan
cases = [
    case("same law", x, rng.normal(size=150)),
    case("shifted", x, rng.normal(0.4, 1, size=150)),
    case("spread", x, rng.normal(0, 1.7, size=250)),
    case("far", x, rng.normal(6, 1, size=60)),
    case("gaps now", x, gaps),
    case("gaps then", gaps, rng.normal(size=100)),
    case("lognormal", np.exp(x), np.exp(rng.normal(0.2, 1.2, size=333))),
]
kolmogorov = [[v, float(special.kolmogorov(v))] for v in [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0, 1.2, 1.6, 2.5, 4.0, 8.0]]
path = pathlib.Path(__file__).with_name("drift.json")
path.write_text(json.dumps({"cases": cases, "kolmogorov": kolmogorov}) + "\n")
