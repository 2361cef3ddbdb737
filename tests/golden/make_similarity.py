"""Golden data of similarity models, by NumPy.

    pip install numpy==2.4.6
    python tests/golden/make_similarity.py

writes similarity.json beside this file: a fleet of two readings, a machine, and for each model the failures with their
probabilities that the weighted estimator of Kaplan and Meier gives. Readings are rounded to six decimals.
"""

import json
import pathlib

import numpy as np

rng = np.random.default_rng(20261126)
WINDOW, NEAREST = 12, 8


def life(n, noise=0.05):
    u = np.arange(n) / n
    return np.round(np.column_stack([u**2 + rng.normal(0, noise, n), np.exp(1.5 * u) + rng.normal(0, noise, n)]), 6)


fleet = [life(n) for n in rng.choice(np.arange(45, 90), 14, replace=False)]
# By end, as the model sorts them; the fourth and the ninth were still running at their last row.
fleet.sort(key=len)
failed = [i not in (3, 8) for i in range(len(fleet))]
assert len({len(l) for l in fleet}) == len(fleet)
machine = life(70)[:34]

rows = np.concatenate(fleet)
mean, sd = rows.mean(axis=0), rows.std(axis=0)
z = [(l - mean) / sd for l in fleet]
zm = (machine - mean) / sd


def warped(a, b, band):
    """The whole table, by its definition."""
    n = len(a)
    table = np.full((n + 1, n + 1), np.inf)
    table[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(max(1, i - band), min(n, i + band) + 1):
            best = min(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1])
            table[i, j] = np.sum((a[i - 1] - b[j - 1]) ** 2) + best
    return np.sqrt(table[n, n] / a.size)


def correlated(a, b):
    return 1 - np.mean([np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(a.shape[1])])


def differing(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


# A life ends at the age of its last row, n - 1.
def equal_age(distance):
    def matches(history, ages, i):
        if len(z[i]) - 1 < ages[-1]:
            return []
        laid = np.column_stack([np.interp(ages, np.arange(len(z[i])), z[i][:, j]) for j in range(2)])
        return [(distance(history, laid), len(z[i]) - 1 - ages[-1])]

    return matches


def best_fit(distance):
    def matches(history, ages, i):
        n, span = len(z[i]), len(ages) - 1
        found = [(distance(history, z[i][p - span : p + 1]), n - 1 - p) for p in range(span, n)]
        return [min(found)] if found else []

    return matches


def residual(degree):
    curves = [[np.polynomial.Polynomial.fit(np.arange(len(l)), l[:, j], degree) for j in range(2)] for l in z]

    def matches(history, ages, i):
        if len(z[i]) - 1 < ages[-1]:
            return []
        fitted = np.column_stack([c(ages) for c in curves[i]])
        return [(differing(history, fitted), len(z[i]) - 1 - ages[-1])]

    return matches


def case(matches):
    nearest = []
    for i, l in enumerate(z):
        for q in (1, 2, 3):
            n = -(-q * len(l) // 4)
            first = max(0, n - WINDOW)
            found = [m for k in range(len(z)) if k != i for m in matches(l[first:n], np.arange(first, n), k)]
            if found:
                nearest.append(min(found)[0])
    width = np.median(nearest) ** 2
    limit = 3 * np.quantile(nearest, 0.95)
    n = len(machine)
    found = [
        (d, left, failed[k])
        for k in range(len(z))
        for d, left in matches(zm[n - WINDOW :], np.arange(n - WINDOW, n), k)
    ]
    found = sorted(found)[:NEAREST]
    assert found[0][0] < limit
    d = np.array([f[0] for f in found])
    w = np.exp(-(d**2 - d[0] ** 2) / width)
    lives = sorted((left, not dead, weight) for (_, left, dead), weight in zip(found, w))
    survival, at_risk, failures = 1.0, sum(l[2] for l in lives), []
    for left, censored, weight in lives:
        if not censored:
            failures.append([float(left), float(survival * weight / at_risk)])
            survival *= 1 - weight / at_risk
        at_risk -= weight
    return {"failures": failures, "beyond": float(max(survival, 0.0)) if survival > 1e-9 else 0.0}


cases = {
    "residual_line": case(residual(1)),
    "residual_parabola": case(residual(2)),
    "difference": case(equal_age(differing)),
    "warped": case(equal_age(lambda a, b: warped(a, b, 3))),
    "correlation": case(equal_age(correlated)),
    "warped_best_fit": case(best_fit(lambda a, b: warped(a, b, 2))),
}
out = {"fleet": [l.tolist() for l in fleet], "failed": failed, "machine": machine.tolist(), "cases": cases}
pathlib.Path(__file__).with_name("similarity.json").write_text(json.dumps(out) + "\n")
