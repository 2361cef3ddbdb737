"""Golden data of the detectors by isolation, random cuts and histograms: scikit-learn and PyOD on generated tables.

    pip install numpy scikit-learn==1.9.1 pyod==3.6.7
    python tests/golden/make_detectors_trees.py [FOLDER WITH ai4i/ai4i2020.csv] > tests/golden/detectors_trees.json

Written with NumPy 2.4, scikit-learn 1.9.1 and PyOD 3.6.7. Tables come from xoshiro256+ by additions, divisions and square
roots alone, so that the test makes the same numbers to the last bit. Peers see standardised rows (divisor n - 1), as the
crate's detectors do. PyOD's LODA reads the histogram one bin too far (values above an inner edge get the density of the
bin beyond the next); `loda_by_definition` is the same method read at the right bin, with half a row added to each bin and
nothing but that outside.

The folder is read for the table AI4I 2020 (UCI 601, CC BY 4.0) and nothing else; without it, its figures stay out.
"""

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
from pyod.models.hbos import HBOS
from pyod.models.inne import INNE
from pyod.models.loda import LODA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

MASK = (1 << 64) - 1
N_INLIERS, N_OUTLIERS = 950, 50
SEEDS = range(10)


class Chance:
    """xoshiro256+ seeded by SplitMix64 (https://prng.di.unimi.it)."""

    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & MASK
            z = seed
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
            self.s.append(z ^ (z >> 31))

    def uniform(self):
        s = self.s
        out = (s[0] + s[3]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & MASK
        return (out >> 11) / 2.0**53

    def bell(self):
        """Twelve uniforms less six: nearly normal, variance one."""
        total = 0.0
        for _ in range(12):
            total += self.uniform()
        return total - 6.0

    def heavy(self):
        """Nearly Student's t with three degrees of freedom."""
        top = self.bell()
        square = 0.0
        for _ in range(3):
            b = self.bell()
            square += b * b
        return top / math.sqrt(square / 3.0)


def clusters(c, outlier, i):
    """Three clusters of different width in five columns; outliers anywhere in the box around them."""
    if outlier:
        return [24.0 * c.uniform() - 12.0 for _ in range(5)]
    k = i % 3
    return [6.0 * ((k + j) % 3) - 6.0 + (0.5 + 0.5 * k) * c.bell() for j in range(5)]


def correlated(c, outlier, i):
    """Six columns that follow two movements; outliers move each column by itself, within the usual range."""
    a, b = c.bell(), c.bell()
    row = []
    for j in range(6):
        if outlier:
            a, b = c.bell(), c.bell()
        w = 0.2 * j
        row.append(w * a + (1.0 - w) * b + 0.2 * c.bell())
    return row


def heavy_tails(c, outlier, i):
    """Four columns with heavy tails; outliers are shifted in all of them."""
    return [c.heavy() + (4.0 if outlier else 0.0) for _ in range(4)]


def one_column(c, outlier, i):
    """Eight independent columns; outliers stand out in one, in turn."""
    row = [c.bell() for _ in range(8)]
    if outlier:
        row[i % 8] += 6.0
    return row


TABLES = [clusters, correlated, heavy_tails, one_column]


def generated(k):
    c = Chance(100 + k)
    rows = [TABLES[k](c, False, i) for i in range(N_INLIERS)] + [TABLES[k](c, True, i) for i in range(N_OUTLIERS)]
    return np.array(rows), np.array([0] * N_INLIERS + [1] * N_OUTLIERS)


def ai4i(folder):
    with open(Path(folder) / "ai4i" / "ai4i2020.csv", newline="", encoding="utf-8-sig") as f:
        records = list(csv.DictReader(f))
    numbers = [
        "Air temperature [K]",
        "Process temperature [K]",
        "Rotational speed [rpm]",
        "Torque [Nm]",
        "Tool wear [min]",
    ]
    rows = [["LMH".index(r["Type"])] + [float(r[name]) for name in numbers] for r in records]
    return np.array(rows, dtype=float), np.array([int(r["Machine failure"]) for r in records])


class LodaByDefinition:
    def __init__(self, random_state):
        self.rng = np.random.default_rng(random_state)

    def scores(self, z, n_cuts=100, n_bins=10):
        n, d = z.shape
        total = np.zeros(n)
        for _ in range(n_cuts):
            columns = self.rng.permutation(d)[: int(math.sqrt(d))]
            y = z[:, columns] @ self.rng.normal(size=len(columns))
            counts, edges = np.histogram(y, bins=n_bins)
            density = (counts + 0.5) / (n + 0.5 * n_bins)
            total -= np.log(density[np.clip(np.searchsorted(edges, y, side="right") - 1, 0, n_bins - 1)])
        return total / n_cuts


PEERS = {
    "isolation_forest": lambda z, s: -IsolationForest(random_state=s).fit(z).score_samples(z),
    "nearest_isolation": lambda z, s: INNE(random_state=s).fit(z).decision_function(z),
    "loda": lambda z, s: LODA(random_state=s).fit(z).decision_function(z),
    "loda_by_definition": lambda z, s: LodaByDefinition(s).scores(z),
    "histogram": lambda z, s: HBOS().fit(z).decision_function(z),
}


def standardised(x):
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


def areas(x, y, seeds):
    out = {}
    for name, peer in PEERS.items():
        a = [float(roc_auc_score(y, peer(standardised(x), s))) for s in seeds]
        out[name] = {"mean": float(np.mean(a)), "deviation": float(np.std(a, ddof=1)), "n": len(a)}
    return out


def main():
    out = {"tables": {}, "histogram": {}}
    for k, make in enumerate(TABLES):
        x, y = generated(k)
        out["tables"][make.__name__] = {"sum": float(math.fsum(x.ravel())), "areas": areas(x, y, SEEDS)}
    # HBOS holds no chance: its scores themselves, of training rows and of rows beyond.
    x, _ = generated(0)
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    beyond = np.array([[v] * 5 for v in [-1e3, -14.0, -12.5, -12.0, -5.0, 0.0, 3.0, 12.0, 12.5, 14.0, 1e3]])
    rows = np.vstack([x[::50], beyond])
    for n_bins, alpha, tol in [(10, 0.1, 0.5), (25, 0.01, 0.2)]:
        h = HBOS(n_bins=n_bins, alpha=alpha, tol=tol).fit((x - mean) / deviation)
        out["histogram"][str(n_bins)] = h.decision_function((rows - mean) / deviation).tolist()
    # The mean path of an unsuccessful search, by scikit-learn.
    from sklearn.ensemble._iforest import _average_path_length

    sizes = [1, 2, 3, 10, 256, 65_536]
    out["average_path"] = {"n": sizes, "length": _average_path_length(np.array(sizes)).tolist()}
    if len(sys.argv) > 1:
        x, y = ai4i(sys.argv[1])
        out["ai4i"] = {"areas": areas(x, y, range(5))}
    print(json.dumps(out, indent=1))


main()
