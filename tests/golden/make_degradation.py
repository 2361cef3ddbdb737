"""Golden data of degradation models, by NumPy and SciPy.

    pip install numpy==2.4.6 scipy==1.17.1
    python tests/golden/make_degradation.py

writes degradation.json beside this file: three fleets, what their lives teach, and percentiles of the remaining life of a
machine after its first readings. Readings are rounded to six decimals, so that the file holds them exactly.
"""

import json
import pathlib

import numpy as np
from scipy import integrate, optimize, stats

rng = np.random.default_rng(20261125)
P = [0.05, 0.25, 0.5, 0.75, 0.95]


def rounded(x):
    return [round(float(v), 6) for v in x]


def ages(n):
    """Irregular, whole seconds from 0."""
    return np.concatenate([[0], np.cumsum(rng.integers(1, 6, n - 1))]).astype(float)


def life(t, y):
    return {"ages": [float(v) for v in t], "readings": rounded(y)}


def inverted(cdf, horizon):
    return [float(optimize.brentq(lambda t: cdf(t) - p, 1e-9, horizon, xtol=1e-10)) if cdf(horizon) > p else None for p in P]


# Lines: a least-squares line a life, then the normal equations and a bivariate normal.
THRESHOLD = 100.0


def lines():
    fleet = []
    for _ in range(12):
        t = ages(40)
        a, b = rng.normal(10, 3), rng.normal(0.8, 0.1)
        fleet.append(life(t, a + b * t + rng.normal(0, 1.5, 40)))
    machine = life(t := ages(15), 8 + 0.9 * t + rng.normal(0, 1.5, 15))
    return fleet, machine


def line_case(fleet, machine, change):
    fits, residual, df = [], 0.0, 0
    for l in fleet:
        t, y = np.array(l["ages"]), change(np.array(l["readings"]))
        x = np.column_stack([np.ones_like(t), t])
        coef = np.linalg.lstsq(x, y, rcond=None)[0]
        fits.append(coef)
        residual += np.sum((y - x @ coef) ** 2)
        df += len(t) - 2
    fits = np.array(fits)
    level = change(THRESHOLD)
    span = abs(level - np.median([change(l["readings"][0]) for l in fleet]))
    lifetime = max(l["ages"][-1] for l in fleet)
    # The least variance that a belief has, a thousandth of a span squared.
    m0, s2 = fits.mean(axis=0), residual / df
    p0 = np.cov(fits.T) + 1e-6 * span**2 * np.diag([1, 1 / lifetime**2])
    t, y = np.array(machine["ages"]), change(np.array(machine["readings"]))
    x = np.column_stack([np.ones_like(t), t])
    cov = np.linalg.inv(np.linalg.inv(p0) + x.T @ x / s2)
    mean = cov @ (np.linalg.solve(p0, m0) + x.T @ y / s2)
    # Level now and slope.
    shift = np.array([[1, t[-1]], [0, 1]])
    m, c = shift @ mean, shift @ cov @ shift.T

    def cdf(u):
        """P(level + slope u >= threshold | level < threshold), by quadrature over the level."""
        sd = np.sqrt(c[0, 0])
        slope_sd = np.sqrt(c[1, 1] - c[0, 1] ** 2 / c[0, 0])

        def steep(x):
            slope = m[1] + c[0, 1] / c[0, 0] * (x - m[0])
            return stats.norm.pdf(x, m[0], sd) * stats.norm.sf(((level - x) / u - slope) / slope_sd)

        low, high = m[0] - 9 * sd, min(level, m[0] + 9 * sd)
        return integrate.quad(steep, low, high, epsabs=1e-12, limit=200)[0] / stats.norm.cdf((level - m[0]) / sd)

    return {
        "fleet": fleet,
        "machine": machine,
        "mean": mean.tolist(),
        "covariance": [cov[0, 0], cov[0, 1], cov[1, 1]],
        "noise": s2,
        "percentiles": inverted(cdf, 10 * lifetime),
    }


def exponentials():
    fleet = []
    for _ in range(10):
        t = ages(40)
        fleet.append(life(t, np.exp(rng.normal(0.5, 0.2) + rng.normal(0.03, 0.003) * t + rng.normal(0, 0.1, 40))))
    machine = life(t := ages(20), np.exp(0.6 + 0.031 * t + rng.normal(0, 0.1, 20)))
    return fleet, machine


def wiener():
    sigma, fleet = 0.5, []
    walk = lambda t, mu: 5 + np.concatenate([[0], np.cumsum(rng.normal(mu * np.diff(t), sigma * np.sqrt(np.diff(t))))])
    for _ in range(15):
        t = ages(60)
        fleet.append(life(t, walk(t, rng.normal(0.6, 0.25))))
    machine = life(t := ages(25), walk(t, 0.8))
    rates, spans, residual, df = [], [], 0.0, 0
    for l in fleet:
        dt, dx = np.diff(l["ages"]), np.diff(l["readings"])
        rates.append(dx.sum() / dt.sum())
        spans.append(dt.sum())
        residual += np.sum((dx - rates[-1] * dt) ** 2 / dt)
        df += len(dt) - 1
    s2 = residual / df
    m0, v0 = np.mean(rates), np.var(rates, ddof=1) - s2 * np.mean(1 / np.array(spans))
    assert v0 > 0
    dt = machine["ages"][-1] - machine["ages"][0]
    dx = machine["readings"][-1] - machine["readings"][0]
    v = 1 / (1 / v0 + dt / s2)
    m = v * (m0 / v0 + dx / s2)
    d = THRESHOLD - machine["readings"][-1]
    assert m / np.sqrt(v) > 9

    def cdf(t):
        """The inverse Gaussian (mean d/μ, shape d²/σ²) averaged over the drift."""
        shape = d**2 / s2
        of = lambda mu: stats.invgauss.cdf(t, (d / mu) / shape, scale=shape) * stats.norm.pdf(mu, m, np.sqrt(v))
        return integrate.quad(of, m - 8.5 * np.sqrt(v), m + 8.5 * np.sqrt(v), epsabs=1e-12, limit=200)[0]

    return {
        "fleet": fleet,
        "machine": machine,
        "mean": [m],
        "covariance": [v],
        "noise": s2,
        "percentiles": inverted(cdf, 2000.0),
    }


def gamma():
    fleet = []
    grow = lambda t: 3 + np.concatenate([[0], np.cumsum(rng.gamma(0.8 * np.diff(t), 0.7))])
    for _ in range(8):
        t = ages(50)
        fleet.append(life(t, grow(t)))
    machine = life(t := ages(20), grow(t))
    dt = np.concatenate([np.diff(l["ages"]) for l in fleet])
    dx = np.concatenate([np.diff(l["readings"]) for l in fleet])
    rate = dx.sum() / dt.sum()
    scale = np.sum((dx - rate * dt) ** 2) / (dt.sum() - np.sum(dt**2) / dt.sum()) / rate
    d = THRESHOLD - machine["readings"][-1]
    return {
        "fleet": fleet,
        "machine": machine,
        "mean": [rate / scale],
        "covariance": [scale],
        "noise": 0.0,
        "percentiles": inverted(lambda t: stats.gamma.sf(d, rate / scale * t, scale=scale), 2000.0),
    }


cases = {
    "linear": line_case(*lines(), lambda y: y),
    "exponential": line_case(*exponentials(), np.log),
    "wiener": wiener(),
    "gamma": gamma(),
}
pathlib.Path(__file__).with_name("degradation.json").write_text(json.dumps(cases) + "\n")
