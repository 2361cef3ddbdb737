"""Golden data of non-negative least squares, of weights that sum to one and of Fourier ridge: SciPy and NumPy.

    pip install numpy scipy
    python tests/golden/make_stack.py > tests/golden/stack.json

Written with NumPy 2.4 and SciPy 1.17; other versions change the numbers by rounding only.
"""

import json

import numpy as np
from scipy.optimize import minimize, nnls

rng = np.random.default_rng(7)


def convex(a, b):
    """min |a w - b|^2 over w >= 0, sum w = 1."""
    n = a.shape[1]
    scale = float(b @ b)
    found = minimize(
        lambda w: float(np.sum((a @ w - b) ** 2)) / scale,
        np.full(n, 1 / n),
        jac=lambda w: 2 * a.T @ (a @ w - b) / scale,
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert found.success or found.status == 8, found
    return found.x


cases = []
for rows, columns, spread in [(12, 2, 1.0), (20, 3, 1.0), (30, 5, 1.0), (30, 5, 0.3), (40, 8, 0.3), (25, 4, 0.1)]:
    b = np.round(rng.uniform(0, 10, rows), 4)
    # Estimates of b, each with its own bias and noise, as stacked models are; some lean the wrong way.
    a = b[:, None] * rng.uniform(-0.2, 1.2, columns) + rng.normal(0, 4 * spread, (rows, columns)) + rng.normal(0, 1, columns)
    a = np.round(a, 4)
    x, _ = nnls(a, b, maxiter=1000)
    cases.append({"a": a.tolist(), "b": b.tolist(), "x": x.tolist(), "convex": convex(a, b).tolist()})

# --- Remaining life by ridge regression on random Fourier features -----------------------------------------------------
MASK = 2**64 - 1


def mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def part(seed, index):
    return mixed((seed + (index + 1) * 0x9E3779B97F4A7C15) & MASK)


class Xoshiro:
    """xoshiro256+ seeded by SplitMix64 (Blackman & Vigna 2021)."""

    def __init__(self, seed):
        self.s = [mixed((seed + (i + 1) * 0x9E3779B97F4A7C15) & MASK) for i in range(4)]
        self.spare = None

    def next(self):
        s = self.s
        out, t = (s[0] + s[3]) & MASK, (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & MASK
        return out

    def uniform(self):
        return (self.next() >> 11) / 2**53

    def normal(self):
        if self.spare is not None:
            out, self.spare = self.spare, None
            return out
        radius = np.sqrt(-2 * np.log(1 - self.uniform()))
        angle = 2 * np.pi * self.uniform()
        self.spare = radius * np.sin(angle)
        return radius * np.cos(angle)


SEED, WAVES, MULTIPLES, LAMBDA = 11, 37, [0.5, 1.5], 3.0
n, p = 90, 3
x = np.round(rng.normal(size=(n, p)) * [1.0, 30.0, 0.2] + [5.0, -100.0, 0.0], 4)
y = np.round(np.clip(50 + 20 * np.sin(x[:, 0]) + 0.5 * x[:, 1], 0, None), 4)
x[rng.choice(n, 8, replace=False), rng.integers(0, p, 8)] = np.nan
fresh = np.round(rng.normal(size=(20, p)) * [1.0, 30.0, 0.2] + [5.0, -100.0, 0.0], 4)
fresh[2, 0] = np.nan
fresh[3, 1] = 1e6
mean, sd = np.nanmean(x, axis=0), np.nanstd(x, axis=0)


def standard(a):
    return np.clip(np.nan_to_num((a - mean) / sd), -10, 10)


z = standard(x)
draws = Xoshiro(part(SEED, 0))
pairs = [((draws.next() * n) >> 64, (draws.next() * n) >> 64) for _ in range(1000)]
distances = sorted(d for d in (np.linalg.norm(z[a] - z[b]) for a, b in pairs) if d > 0)
median = distances[len(distances) // 2]
draws = Xoshiro(part(SEED, 1))
frequency, phase = np.zeros((WAVES, p)), np.zeros(WAVES)
for k in range(WAVES):
    frequency[k] = [draws.normal() / (median * MULTIPLES[k * len(MULTIPLES) // WAVES]) for _ in range(p)]
    phase[k] = 2 * np.pi * draws.uniform()


def basis(a):
    return np.hstack([standard(a), np.sqrt(2) * np.cos(standard(a) @ frequency.T + phase)])


centre = basis(x).mean(axis=0)
b = basis(x) - centre
# Least squares with rows of the penalty below: no normal equations.
stacked = np.vstack([b, np.sqrt(LAMBDA) * np.eye(b.shape[1])])
weights = np.linalg.lstsq(stacked, np.concatenate([y - y.mean(), np.zeros(b.shape[1])]), rcond=None)[0]


def listed(a):
    return [[float(v) if np.isfinite(v) else None for v in row] for row in a]


fourier = {
    "x": listed(x),
    "y": y.tolist(),
    "fresh": listed(fresh),
    "seed": SEED,
    "n_waves": WAVES,
    "bandwidths": MULTIPLES,
    "lambda": LAMBDA,
    "median": float(median),
    "predictions": ((basis(fresh) - centre) @ weights + y.mean()).tolist(),
}
print(json.dumps({"nnls": cases, "fourier_ridge": fourier}))
