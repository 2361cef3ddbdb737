"""Golden data of the detectors that compare a row with training rows: scikit-learn, PyOD and NumPy.

    pip install numpy==2.4.6 scikit-learn==1.9.1 pyod==3.6.7
    PROGNOS_DATA=... python tests/golden/make_detectors_neighbours.py > tests/golden/detectors_neighbours.json

PROGNOS_DATA names a folder with ai4i/ai4i2020.csv; other versions change the numbers by rounding only. Kernel regression
has no peer: it is written out here in NumPy, from the description, without a shared line.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
from pyod.models.knn import KNN
from sklearn.cluster import DBSCAN
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

K_LOF = 20


def scaler(x):
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    return lambda y: (y - mean) / deviation


def knn(train, rows, k, method):
    return KNN(n_neighbors=k, method=method).fit(train).decision_function(rows)


def lof(train, rows, k=K_LOF):
    return -LocalOutlierFactor(n_neighbors=k, novelty=True).fit(train).score_samples(rows)


def knee(distances):
    d = np.sort(distances)
    if d[-1] == d[0]:
        return float(d[-1])
    depth = np.linspace(0, 1, len(d)) - (d - d[0]) / (d[-1] - d[0])
    return float(d[len(d) - 1 - np.argmax(depth[::-1])] * (1 + 1e-9))


def density(train, min_points, tolerance=None):
    if tolerance is None:
        others = NearestNeighbors(n_neighbors=min_points).fit(train).kneighbors(train)[0]  # the first is the row itself
        tolerance = knee(others[:, -1])
    fitted = DBSCAN(eps=tolerance, min_samples=min_points).fit(train)
    return tolerance, fitted


def core_distance(fitted, tolerance, rows):
    return NearestNeighbors(n_neighbors=1).fit(fitted.components_).kneighbors(rows)[0][:, 0] / tolerance


def memory_of(z, n_memory):
    chosen = set(z.argmin(axis=0)) | set(z.argmax(axis=0))
    free = [i for i in np.argsort((z**2).sum(axis=1), kind="stable") if i not in chosen]
    wanted = min(max(n_memory - len(chosen), 0), len(free))
    chosen |= {free[(2 * s + 1) * len(free) // (2 * wanted)] for s in range(wanted)}
    return np.array(sorted(int(i) for i in chosen))


def estimates(memory, z, h, own=None):
    square = ((z[:, None, :] - memory[None]) ** 2).sum(axis=2)
    if own is not None:
        square[own] = np.inf
    weight = np.exp(-(square - square.min(axis=1, keepdims=True)) / (2 * h * h))
    return weight @ memory / weight.sum(axis=1, keepdims=True)


def kernel(z, n_memory):
    chosen = memory_of(z, n_memory)
    memory, own = z[chosen], (chosen, np.arange(len(chosen)))
    square = ((z[:, None, :] - memory[None]) ** 2).sum(axis=2)
    square[own] = np.inf
    typical = np.sort(np.sqrt(square.min(axis=1)))[len(z) // 2]
    tried = [typical / 4 * 2 ** (i / 2) for i in range(13)]
    h = min(tried, key=lambda h: ((z - estimates(memory, z, h, own)) ** 2).sum())
    deviation = np.sqrt(((z - estimates(memory, z, h, own)) ** 2).mean(axis=0))
    return h, lambda rows: (((rows - estimates(memory, rows, h)) / deviation) ** 2).sum(axis=1)


def generated():
    """Two tight ways of running, one wide one, two copies of a few rows, some stray ones."""
    rng = np.random.default_rng(20260301)
    unit = np.array([1.0, 20.0, 0.01, 300.0])
    offset = np.array([0.0, 300.0, 1.0, 101_325.0])
    centres = np.array([[0, 0, 0, 0], [6, 0, 5, 2], [-4, 7, 0, -3]], dtype=float)

    def healthy(n):
        way = np.arange(n) % 3
        x = centres[way] + rng.normal(size=(n, 4)) * np.array([0.3, 0.4, 1.0])[way][:, None]
        x[:, 1] += 0.5 * x[:, 0] ** 2 / 6
        return x

    train = healthy(300)
    train[150:160] = train[:10]
    train[200:230] = train[5]  # more copies than the neighbours of LOF
    train[::75] = [[20, -5, 3, 1], [3, 14, -9, 2], [-11, -8, 6, 9], [9, 9, 9, -9]]
    test = healthy(120)
    faulty = healthy(40)
    faulty[:, :2] += rng.choice([-1.0, 1.0], size=(40, 2)) * rng.uniform(1.5, 4, size=(40, 2))
    rows = np.concatenate([test, faulty, train[[5, 0, 75]], 1e3 * np.ones((1, 4))])
    labels = np.r_[np.zeros(120), np.ones(40)]
    return np.round(train * unit + offset, 6), np.round(rows * unit + offset, 6), labels.astype(int)


def ai4i():
    """Fitted on the healthy rows of the first half, judged on the second half."""
    with open(Path(os.environ["PROGNOS_DATA"]) / "ai4i" / "ai4i2020.csv", encoding="utf-8-sig") as f:
        table = list(csv.reader(f))[1:]
    x = np.array([[float(v) for v in r[3:8]] for r in table])
    failed = np.array([int(r[8]) for r in table])
    half = len(x) // 2
    train = x[:half][failed[:half] == 0]
    y = failed[half:]
    auc = lambda scores: float(roc_auc_score(y, scores))

    def standard(part):
        scale = scaler(part)
        return scale(part), scale(x[half:])

    z, rows = standard(train)
    few, few_rows = standard(train[:2000])
    tolerance, fitted = density(few, 5)
    third, third_rows = standard(train[::3])
    return {
        "knn_largest": auc(knn(z, rows, 5, "largest")),
        "knn_mean": auc(knn(z, rows, 5, "mean")),
        "lof": auc(lof(z, rows)),
        "dbscan_of_the_first_2000": auc(core_distance(fitted, tolerance, few_rows)),
        "kernel_of_every_third": auc(kernel(third, 200)[1](third_rows)),
    }


def main():
    train, rows, labels = generated()
    scale = scaler(train)
    z, q = scale(train), scale(rows)
    auc = lambda scores: float(roc_auc_score(labels, scores[: len(labels)]))
    tolerance, fitted = density(z, 5)
    wide_tolerance, wide = density(z, 10, 0.75)
    h, kernel_score = kernel(z, 60)
    scores = {f"knn_{m}_{k}": knn(z, q, k, m) for m in ["largest", "mean", "median"] for k in [5, 8]}
    scores |= {
        "lof": lof(z, q),
        "dbscan": core_distance(fitted, tolerance, q),
        "kernel": kernel_score(q),
    }
    out = {
        "train": train.tolist(),
        "rows": rows.tolist(),
        "labels": labels.tolist(),
        "scores": {k: v.tolist() for k, v in scores.items()},
        "auc": {k: auc(v) for k, v in scores.items()},
        "tolerance": tolerance,
        "training_labels": fitted.labels_.tolist(),
        "n_core": len(fitted.components_),
        "wide": {"tolerance": wide_tolerance, "min_points": 10, "training_labels": wide.labels_.tolist()},
        "bandwidth": h,
        "ai4i": ai4i(),
    }
    print(json.dumps(out))


main()
