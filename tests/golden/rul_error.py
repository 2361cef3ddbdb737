"""Golden figures for tests/rul_error.rs, by NumPy.  Run: python3 tests/golden/rul_error.py > tests/golden/rul_error.json"""
import json

import numpy as np

rng = np.random.default_rng(20260101)
n = 120
asset = rng.integers(0, 9, n)
truth = np.round(rng.uniform(0, 195, n), 3)
pred = np.round(truth + rng.normal(0, 18, n), 3)
lower = np.round(pred - rng.uniform(0, 40, n), 3)
upper = np.round(pred + rng.uniform(0, 40, n), 3)
pred[:3] = truth[:3]  # right on the spot
lower[3], upper[4] = truth[3], truth[4]  # truth on the edge
upper[3], lower[4] = truth[3] + 1, truth[4] - 1
weights = 1.0 / np.bincount(asset)[asset]

d = pred - truth
cost = np.where(d < 0, np.exp(-d / 13), np.exp(d / 10)) - 1
held = (lower <= truth) & (truth <= upper)
mean = lambda x: float(np.average(x, weights=weights))
print(json.dumps(dict(
    asset=asset.tolist(), truth=truth.tolist(), pred=pred.tolist(), lower=lower.tolist(), upper=upper.tolist(),
    weights=weights.tolist(),
    rmse=float(np.sqrt(np.mean(d**2))), mae=float(np.mean(np.abs(d))), phm08_score=float(np.sum(cost)),
    coverage=float(np.mean(held)), mean_width=float(np.mean(upper - lower)),
    rmse_weighted=float(np.sqrt(mean(d**2))), mae_weighted=mean(np.abs(d)),
    phm08_score_weighted=float(np.sum(weights * cost)), coverage_weighted=mean(held),
    mean_width_weighted=mean(upper - lower),
)))
