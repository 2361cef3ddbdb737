"""Writes selection.json: prognostic measures, relevance and rainflow counts.

By NumPy 2, SciPy 1.17 and rainflow 3.2; run by hand: python make_selection.py
"""
import json
import pathlib

import numpy as np
import rainflow
from scipy import stats

rng = np.random.default_rng(5)


def monotonicity(lives):
    signs = [abs(np.sign(np.diff(x)).sum()) / (len(x) - 1) for x in lives]
    rank = [abs(stats.spearmanr(x, np.arange(len(x))).statistic) for x in lives]
    weighted = []
    for x in lives:
        x = np.asarray(x)
        i = np.arange(len(x))
        distance = np.triu(i[None, :] - i[:, None])
        weighted.append(abs((distance * np.sign(x[None, :] - x[:, None])).sum()) / distance.sum())
    return [float(np.mean(m)) for m in (signs, rank, weighted)]


def trendability(lives):
    least = 1.0
    for j, a in enumerate(lives):
        for b in lives[j + 1:]:
            n = max(len(a), len(b))
            at = np.linspace(0, 1, n)
            a2, b2 = (np.interp(at, np.linspace(0, 1, len(v)), v) for v in (a, b))
            least = min(least, abs(np.corrcoef(a2, b2)[0, 1]))
    return float(least)


def prognosability(lives):
    first, last = np.array([x[0] for x in lives]), np.array([x[-1] for x in lives])
    return float(np.exp(-last.std(ddof=1) / np.abs(first - last).mean()))


lives = []
for trend, noise in [(1.0, 0.05), (0.2, 0.5), (-2.0, 1.0)]:
    case = []
    for n in rng.integers(20, 60, 4):
        t = np.linspace(0, 1, n)
        case.append((trend * t**2 + noise * rng.standard_normal(n)).tolist())
    lives.append({
        "lives": case,
        "monotonicity": monotonicity(case),
        "trendability": trendability(case),
        "prognosability": prognosability(case),
    })

relevance = []
for ties in (False, True):
    for strength in (0.0, 0.3, 2.0):
        n = 80
        target = rng.standard_normal(n)
        x = strength * target + rng.standard_normal(n)
        classes = (target > 0.2).astype(int) + (target > 1.0).astype(int)
        if ties:
            x, target = np.round(x), np.round(target, 1)
        groups = [x[classes == c] for c in np.unique(classes)]
        between = sum(len(g) * (g.mean() - x.mean())**2 for g in groups)
        within = sum(len(g) * g.var() for g in groups)
        relevance.append({
            "feature": x.tolist(),
            "target": target.tolist(),
            "classes": classes.tolist(),
            "kendall_p": float(stats.kendalltau(x, target, method="asymptotic").pvalue),
            "kruskal_p": float(stats.kruskal(*groups).pvalue),
            "fisher_score": float(between / within),
        })

p = np.concatenate([rng.uniform(size=12), rng.uniform(size=6) * 1e-3])
adjusted = {
    "p": p.tolist(),
    "bh": stats.false_discovery_control(p, method="bh").tolist(),
    "by": stats.false_discovery_control(p, method="by").tolist(),
}

loads = np.round(np.cumsum(rng.standard_normal(300)), 3)
cycles = sorted([float(r), float(m), float(c)] for r, m, c, _, _ in rainflow.extract_cycles(loads))

out = {"lives": lives, "relevance": relevance, "adjusted": adjusted,
       "rainflow": {"loads": loads.tolist(), "cycles": cycles}}
pathlib.Path(__file__).with_name("selection.json").write_text(json.dumps(out) + "\n")
