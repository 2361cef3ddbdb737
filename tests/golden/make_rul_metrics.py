"""Writes rul_metrics.json: scores of remaining-life predictions, written from their definitions without regard for cost.

By NumPy 2.4; run by hand: python make_rul_metrics.py
The CRPS is integrated over a fine grid of times whose steps meet the percentiles and the truth, F squared by Simpson's rule:
exact for the cubic pieces up to rounding. Tracks by A. Saxena et al., doi:10.36001/ijphm.2010.v1i1.1336.
"""
import json
import pathlib

import numpy as np

rng = np.random.default_rng(71)


def jumpless(n_known):
    steps = rng.uniform(0.05, 3, 101) ** 2
    q = np.round(rng.uniform(0, 40) + np.cumsum(steps), 4)
    return q[:n_known].tolist()


def F(q, t):
    """Chance of failing until t; percentiles differ."""
    if t < q[0]:
        return 0.0
    return float(np.interp(t, q, np.arange(len(q)) / 100))


def crps(q, y):
    last = q[-1]
    knots = sorted(set([0.0, y] + list(q)))
    total = 0.0
    for a, b in zip(knots, knots[1:]):
        if a >= max(last, y):
            break
        m = (a + b) / 2
        # Beyond the last known percentile lives count as it: F is 1 there.
        f = lambda t: 1.0 if m > last else (0.0 if m < q[0] else F(q, t))
        g = lambda t: (f(t) - (1.0 if m > y else 0.0)) ** 2
        total += (b - a) / 6 * (g(a) + 4 * g(m) + g(b))
    return total


distributions = [jumpless(n) for n in [101, 101, 101, 80, 101, 61, 101, 101]]
truth = np.round(rng.uniform(1, 400, len(distributions)), 3)
truth[3] = round(distributions[3][-1] + 25, 3)  # beyond what is known
weights = np.round(rng.uniform(0.1, 2, len(truth)), 3)
scores = np.array([crps(q, y) for q, y in zip(distributions, truth)])
pit = []
for q, y in zip(distributions, truth):
    known = (len(q) - 1) / 100
    pit.append((known + 1) / 2 if y > q[-1] else F(q, y))

levels = [0.2, 0.5, 0.8, 0.9]
calibration = []
for level in levels:
    held = width = bounded = 0
    for q, y, w in zip(distributions, truth, weights):
        at = np.arange(len(q)) / 100
        lo, hi = (1 - level) / 2, (1 + level) / 2
        lower = np.interp(lo, at, q)
        unknown = hi > at[-1] + 1e-9
        upper = np.inf if unknown else np.interp(hi, at, q)
        held += w * (lower <= y <= upper)
        if not unknown:
            width, bounded = width + w * (upper - lower), bounded + w
    calibration.append([level, held / weights.sum(), width / bounded])

n = 60
life = np.round(rng.uniform(2, 200, n), 3)
pred = np.round(np.maximum(life + rng.normal(0, 25, n), 0), 3)
w = np.round(rng.uniform(0, 2, n), 3)
er = 100 * (life - pred) / life
points = np.where(er <= 0, np.exp(-np.log(0.5) * er / 5), np.exp(np.log(0.5) * er / 20))
lower, upper = np.round(pred * 0.8, 3), np.round(pred * 1.3, 3)
level = 0.8
penalty = 2 / (1 - level)
winkler = upper - lower + penalty * np.maximum(lower - life, 0) + penalty * np.maximum(life - upper, 0)
p = 0.1
pinball = np.maximum(p * (life - lower), (p - 1) * (life - lower))
edges = [0.0, 30.0, 90.0, 150.0]
bins = []
for a, b in zip(edges, edges[1:]):
    own = (a <= life) & (life < b)
    d = pred[own] - life[own]
    bins.append([int(own.sum()), float(np.sqrt(np.mean(d**2))), float(np.mean(np.abs(d))), float(np.mean(d))])

tracks = []
for _ in range(6):
    m = int(rng.integers(3, 15))
    end = round(float(rng.uniform(80, 150)), 3)
    ages = np.sort(np.round(rng.uniform(0, end, m), 3))
    rul = end - ages
    noise = rng.normal(0, 1, m) * (0.05 + 0.4 * rul / end) * rul
    got = np.round(np.maximum(rul + noise, 0), 3)
    alpha, lam = 0.2, round(float(rng.uniform(0.1, 0.9)), 3)
    row = max(i for i in range(m) if ages[i] <= ages[0] + lam * (end - ages[0]))
    cone = [bool((1 - alpha) * r <= g <= (1 + alpha) * r) for g, r in zip(got, rul)]
    inside = [abs(g - r) <= alpha * end for g, r in zip(got, rul)]
    horizon = None
    for i in range(m):
        if all(inside[i:]):
            horizon = float(rul[i])
            break
    ra = 1 - np.abs(got - rul) / rul
    wts = 1 / rul[: row + 1]
    nxt = np.append(ages[1:], end)
    M = np.abs(got - rul)
    area = np.sum((nxt - ages) * M)
    xc = 0.5 * np.sum((nxt**2 - ages**2) * M) / area
    yc = 0.5 * np.sum((nxt - ages) * M**2) / area
    tracks.append(dict(ages=ages.tolist(), predicted=got.tolist(), end=end, alpha=alpha, lambda_=lam, alpha_lambda=cone[row],
                       share=float(np.mean(cone)), horizon=horizon, accuracy=float(ra[row]),
                       cumulative=float(np.average(ra[: row + 1], weights=wts)),
                       convergence=float(np.hypot(xc - ages[0], yc))))

lives = np.round(rng.weibull(3, 25) * 100, 2)
costs = [1.0, 6.0]


def rate(age):
    planned = lives >= age
    return float((costs[0] * planned.sum() + costs[1] * (~planned).sum()) / np.minimum(lives, age).sum())


ages = np.unique(np.concatenate([lives, np.arange(1, 300, 0.25)]))
best = float(min(ages, key=rate))

out = dict(
    distributions=distributions, truth=truth.tolist(), weights=weights.tolist(), crps=float(scores.mean()),
    crps_weighted=float(np.average(scores, weights=weights)), pit=pit, calibration=calibration,
    life=life.tolist(), pred=pred.tolist(), w=w.tolist(), lower=lower.tolist(), upper=upper.tolist(),
    phm12=float(points.mean()), phm12_weighted=float(np.average(points, weights=w)),
    interval_score=float(winkler.mean()), interval_score_weighted=float(np.average(winkler, weights=w)),
    pinball=float(pinball.mean()), pinball_weighted=float(np.average(pinball, weights=w)), edges=edges, bins=bins,
    tracks=tracks, lives=lives.tolist(), costs=costs, best_age=best, best_rate=rate(best), failure_rate=rate(1e9),
)
pathlib.Path(__file__).with_name("rul_metrics.json").write_text(json.dumps(out))
