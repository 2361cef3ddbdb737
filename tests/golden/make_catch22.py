"""Writes catch22.json: the 22 canonical characteristics of some series.

By pycatch22 1.0.2 and NumPy 2.4.6; run by hand: python make_catch22.py
"""
import json
import pathlib

import numpy as np
import pycatch22

rng = np.random.default_rng(22)


def autoregression(n, a):
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = a * x[i - 1] + rng.standard_normal()
    return x


def logistic(n):
    x = [0.3]
    while len(x) < n:
        x.append(3.9 * x[-1] * (1 - x[-1]))
    return np.array(x)


def impacts(n):
    x = 0.2 * rng.standard_normal(n)
    for start in range(7, n, 83):
        t = np.arange(n - start)
        x[start:] += 2 * np.exp(-t / 12) * np.sin(0.9 * t)
    return x


makers = {
    "noise": lambda n: 5 + 3 * rng.standard_normal(n),
    "autoregression": lambda n: autoregression(n, 0.9),
    "sine": lambda n: np.sin(0.13 * np.arange(n)) + 0.2 * rng.standard_normal(n),
    "slow sine": lambda n: np.sin(6 * np.pi / n * np.arange(n)) + 0.01 * rng.standard_normal(n),
    "walk": lambda n: np.cumsum(rng.standard_normal(n)),
    "logistic": logistic,
    "impacts": impacts,
    "exponential": lambda n: rng.exponential(size=n),
    "heavy": lambda n: rng.standard_t(2, n),
    "levels": lambda n: rng.integers(0, 6, n).astype(float),
    "trend": lambda n: 0.01 * np.arange(n) + 0.3 * rng.standard_normal(n),
    # A spike among small values: the number of bins of distances meets its bound.
    "spike": lambda n: np.where(np.arange(n) == n // 2, 1000.0, rng.standard_normal(n)),
}
# 39, 40, 78 and 79 lie about the shortest windows that have `rs_range` and `dfa`, 99 and 100 about decimation by two.
lengths = {name: [10, 11, 25, 39, 40, 50, 64, 78, 79, 99, 100, 128, 251, 333, 512] for name in makers}
for name, n in [("noise", 2560), ("walk", 2560), ("impacts", 2560), ("sine", 2049), ("autoregression", 1024),
                ("heavy", 1000), ("impacts", 1001), ("logistic", 1000)]:
    lengths[name] = lengths[name] + [n]

out = []
for name, make in makers.items():
    for n in lengths[name]:
        x = np.round(make(n), 4)
        values = pycatch22.catch22_all(x.tolist(), mask_nans=False)["values"]
        out.append({
            "name": f"{name} {n}",
            "x": x.tolist(),
            "values": [None if np.isnan(v) else v for v in values],
        })
names = pycatch22.catch22_all([0.0, 1.0] * 9, short_names=True)["short_names"]
text = json.dumps({"names": names, "cases": out}, separators=(",", ":"))
pathlib.Path(__file__).with_name("catch22.json").write_text(text + "\n")
