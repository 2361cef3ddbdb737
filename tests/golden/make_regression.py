"""Golden data of ridge regression, operating regimes and health indices: NumPy, SciPy and scikit-learn.

    pip install numpy scipy scikit-learn
    python tests/golden/make_regression.py > tests/golden/regression.json

Written with NumPy 2.4, SciPy 1.17 and scikit-learn 1.9; other versions change the numbers by rounding only.
"""

import json

import numpy as np
from scipy import linalg
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(42)


def rounded(a):
    """Numbers that a decimal file holds exactly as they were used."""
    return np.round(a, 6)


def listed(a):
    a = np.asarray(a, dtype=float)
    if a.ndim == 1:
        return [float(x) if np.isfinite(x) else None for x in a]
    return [listed(r) for r in a]


# --- Remaining life by ridge regression -------------------------------------------------------------------------------
LAMBDA, CAP = 7.5, 90.0
n, p = 120, 4
mixing = rng.normal(size=(p, p))
x = rounded(rng.normal(size=(n, p)) @ mixing * [1.0, 20.0, 0.03, 5.0] + [10.0, -300.0, 0.5, 1000.0])
y = rounded(np.clip(60 + 15 * x[:, 0] - 150 + rng.normal(0, 5, n), 0, None))
x[rng.choice(n, 12, replace=False), rng.integers(0, p, 12)] = np.nan
fresh = rounded(rng.normal(size=(25, p)) @ mixing * [1.0, 20.0, 0.03, 5.0] + [10.0, -300.0, 0.5, 1000.0])
fresh[3, 1] = np.nan
fresh[4] = [1e5, -300.0, 0.5, 1000.0]  # held at ten standard deviations
fresh[5] = [-1e300, -300.0, 0.5, 1000.0]
scale = StandardScaler().fit(x)  # leaves NaN out
fill = SimpleImputer(strategy="constant", fill_value=0.0)
standard = lambda a: np.clip(fill.fit_transform(scale.transform(a)), -10, 10)
model = Ridge(alpha=LAMBDA, solver="cholesky").fit(standard(x), np.minimum(y, CAP))
ridge = {
    "lambda": LAMBDA,
    "cap": CAP,
    "x": listed(x),
    "y": listed(y),
    "coefficients": listed(model.coef_),
    "fresh": listed(fresh),
    "predicted": listed(np.clip(model.predict(standard(fresh)), 0, CAP)),
}

# --- Operating regimes ------------------------------------------------------------------------------------------------
centres = np.array([[0.0, 100.0], [25.0, 60.0], [42.0, 80.0]])
jitter = np.array([0.02, 0.1])
n = 240
regime = rng.integers(0, 3, n)
settings = rounded(centres[regime] + rng.normal(size=(n, 2)) * jitter)
level = np.array([[640.0, 9.0, 1.0], [560.0, 8.0, 1.0], [445.0, 6.5, 1.0]])[regime]
spread = np.array([[1.0, 0.02, 0.0], [2.5, 0.05, 0.0], [0.4, 0.03, 0.0]])[regime]
follow = np.array([[3.0, -2.0], [0.1, 0.05], [0.0, 0.0]])  # sensors follow the settings' jitter
sensors = rounded(level + (settings - centres[regime]) @ follow.T + rng.normal(size=(n, 3)) * spread)
sensors[7, 1] = sensors[90, 0] = np.nan


def regimes_normalised(settings, sensors, regime):
    mean, deviation = settings.mean(axis=0), settings.std(axis=0)
    s = (settings - mean) / deviation
    out = np.full(sensors.shape, np.nan)
    for r in np.unique(regime):
        mine = regime == r
        gap = s[mine] - s[mine].mean(axis=0)  # from the cluster's centre
        noise = gap / gap.std(axis=0)
        for c in range(sensors.shape[1]):
            v = sensors[mine, c]
            known = np.isfinite(v)
            # A penalty of a millionth a row on the slopes, none on the intercept, as rows of a least-squares problem.
            a = np.hstack([np.ones((known.sum(), 1)), noise[known]])
            penalty = np.sqrt(1e-6 * known.sum()) * np.eye(3)[1:]
            b, *_ = np.linalg.lstsq(np.vstack([a, penalty]), np.append(v[known], [0, 0]), rcond=None)
            residual = v[known] - a @ b
            out[np.flatnonzero(mine)[known], c] = residual / np.sqrt((residual**2).mean())
    return out


with np.errstate(invalid="ignore", divide="ignore"):
    normal = regimes_normalised(settings, sensors[:, :2], regime)
regimes = {
    "rows": listed(np.hstack([settings, sensors])),
    "regime": [int(r) for r in regime],
    "normal": listed(normal),
}

# --- Health indices ---------------------------------------------------------------------------------------------------
RIDGE, CAPS, LATE, N_PRINCIPAL, N_SIGNAL = 20.0, [125.0, 30.0], 30.0, 3, 2
lives = [90, 70, 110, 60, 80]
mix = rng.normal(size=(2, 5))
z, rul, starts, group = [], [], [], []
for life in lives:
    wear = np.linspace(0, 1, life) ** 2
    drift = np.cumsum(rng.normal(0, 0.1, life))
    z.append(np.outer(3 * wear, mix[0]) + np.outer(drift, mix[1]) + rng.normal(size=(life, 5)) * [0.3, 0.5, 0.8, 0.4, 1.0])
    rul.append(np.arange(life)[::-1].astype(float))
    starts += [True] + [False] * (life - 1)
    group.append(rng.integers(0, 2, life))
z, rul, group = rounded(np.vstack(z)), np.concatenate(rul), np.concatenate(group)
starts = np.array(starts)


def oriented(v):
    return v if v[np.argmax(np.abs(v))] > 0 else -v


by_regime = []
for r in range(2):
    for cap in CAPS:
        m = Ridge(alpha=RIDGE, solver="cholesky").fit(z[group == r], np.minimum(rul[group == r], cap) / cap)
        by_regime.append([float(m.intercept_), *listed(m.coef_)])
late = np.cov(z[rul <= LATE].T, bias=True)
principal = [oriented(v) for v in linalg.eigh(late)[1].T[::-1][:N_PRINCIPAL]]
difference = (z[1:] - z[:-1])[~starts[1:]]
noise = 0.5 * difference.T @ difference / len(difference)
noise += 1e-6 * max(noise.diagonal().max(), 1e-12) * np.eye(5)
signal = np.cov(z.T, bias=True) - noise
ratio = [oriented(v) for v in linalg.eigh(signal, noise)[1].T[::-1][:N_SIGNAL]]  # w'Nw = 1
health = {
    "ridge": RIDGE,
    "caps": CAPS,
    "late": LATE,
    "z": listed(z),
    "rul": listed(rul),
    "regime": [int(r) for r in group],
    "starts": [bool(s) for s in starts],
    "by_regime": by_regime,
    "principal": listed(principal),
    "signal": listed(ratio),
}
print(json.dumps({"ridge": ridge, "regimes": regimes, "health": health}))
