"""Writes tail.json: generalised Pareto tails of excesses, and combined p-values.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_tail.py

SciPy's fit stops near the maximum of the likelihood; it is taken as a start and polished.
"""
import json
import pathlib

import numpy as np
from scipy import optimize, stats

rng = np.random.default_rng(11)
cases = {
    "exponential": stats.genpareto.rvs(0.0, scale=2.0, size=400, random_state=rng),
    "heavy": stats.genpareto.rvs(0.4, scale=0.01, size=300, random_state=rng),
    "very heavy": stats.genpareto.rvs(1.3, scale=5.0, size=200, random_state=rng),
    "ending": stats.genpareto.rvs(-0.25, scale=1e4, size=300, random_state=rng),
    "ending soon": stats.genpareto.rvs(-0.45, scale=1.0, size=500, random_state=rng),
    "few": stats.genpareto.rvs(0.2, scale=1.0, size=12, random_state=rng),
    "of chi-squared": (lambda x: x[x > np.quantile(x, 0.95)] - np.quantile(x, 0.95))(rng.chisquare(4, 4000)),
}
tails = []
for name, y in cases.items():
    def loss(p):
        if p[1] <= 0:
            return np.inf
        return -np.sum(stats.genpareto.logpdf(y, p[0], scale=p[1]))

    shape, _, scale = stats.genpareto.fit(y, floc=0)
    unit = np.mean(y)
    scaled = y / unit

    def scaled_loss(p):
        return np.inf if p[1] <= 0 else -np.sum(stats.genpareto.logpdf(scaled, p[0], scale=p[1]))

    best = np.array([shape, scale / unit])
    for _ in range(4):
        best = optimize.minimize(scaled_loss, best, method="Nelder-Mead",
                                 options={"xatol": 1e-13, "fatol": 1e-13, "maxiter": 10000}).x
    shape_hat, scale_hat = float(best[0]), float(best[1] * unit)
    assert loss([shape_hat, scale_hat]) <= loss([shape, scale]) + 1e-9
    tails.append({
        "name": name,
        "excesses": y.tolist(),
        "scipy_log_likelihood": -float(loss([shape, scale])),
        "shape": shape_hat,
        "scale": scale_hat,
        "log_likelihood": -float(loss([shape_hat, scale_hat])),
        "quantile_1e-3": float(stats.genpareto.isf(1e-3, shape_hat, scale=scale_hat)),
        "exceedance_of_twice_the_scale": float(stats.genpareto.sf(2 * scale_hat, shape_hat, scale=scale_hat)),
    })

combined = []
for k in (2, 3, 5, 20):
    for power in (1, 3, 12):
        p = rng.uniform(size=k) ** power
        combined.append({
            "p": p.tolist(),
            "fisher": float(stats.combine_pvalues(p, "fisher").pvalue),
            "stouffer": float(stats.combine_pvalues(p, "stouffer").pvalue),
            "harmonic_mean": float(stats.hmean(p)),
            "cauchy": float(stats.cauchy.sf(np.mean(stats.cauchy.isf(p)))),
            "bonferroni": float(min(1.0, k * p.min())),
        })
out = {"tails": tails, "combined": combined}
pathlib.Path(__file__).with_name("tail.json").write_text(json.dumps(out) + "\n")
