"""Writes life_prior.json: the next life of a lognormal with unknown parameters, given the age survived.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_life_prior.py

Without censored lives it is Student's t of log life. With them, centre and spread are integrated on a grid.
"""
import json
import pathlib

import numpy as np
from scipy import stats

SPREAD, CONFIDENCE = 0.6, 3.0


def closed(failed):
    x = np.log(failed)
    nu = CONFIDENCE + len(x) - 1
    scale2 = (CONFIDENCE * SPREAD**2 + ((x - x.mean()) ** 2).sum()) / nu * (1 + 1 / len(x))
    return stats.t(nu, x.mean(), np.sqrt(scale2)).sf


def gridded(failed, censored, shift=0.0):
    """Survival of log life; shift moves each normal down by that many squares of its spread."""
    x, c = np.log(failed), np.log(censored) if len(censored) else np.zeros(0)
    u = np.linspace(-6, 4, 1001)
    mu = np.linspace(x.mean() - 40, x.mean() + 60, 8001)
    s = np.exp(u)[:, None]
    log_post = -CONFIDENCE * u[:, None] - CONFIDENCE * SPREAD**2 / (2 * s**2)
    for v in x:
        log_post = log_post + stats.norm.logpdf(v, mu, s)
    for v in c:
        log_post = log_post + stats.norm.logsf(v, mu, s)
    post = np.exp(log_post - log_post.max())
    post /= post.sum()
    return lambda y: float((post * stats.norm.sf(y, mu - shift * s**2, s)).sum())


cases = []
ages = [0.0, 40.0, 150.0]
times = [5.0, 30.0, 100.0, 400.0]
for name, failed, censored, weighting in [
    ("one", [100.0], [], "Instants"),
    ("two", [50.0, 200.0], [], "Instants"),
    ("five", [90.0, 120.0, 60.0, 300.0, 75.0], [], "Instants"),
    ("two and two", [50.0, 200.0], [120.0, 180.0], "Instants"),
    ("one and three", [80.0], [100.0, 150.0, 220.0], "Instants"),
    ("five, machines", [90.0, 120.0, 60.0, 300.0, 75.0], [], "Machines"),
]:
    if weighting == "Machines" or censored:
        sf = gridded(failed, censored, 1.0 if weighting == "Machines" else 0.0)
    else:
        sf = closed(failed)
        check = gridded(failed, censored)
        assert all(abs(check(np.log(t)) - sf(np.log(t))) < 2e-5 for t in times), name
    at = lambda t: float(sf(np.log(t))) if t > 0 else 1.0
    cases.append(
        {
            "name": name,
            "failed": failed,
            "censored": censored,
            "weighting": weighting,
            "survival": [[age, t, at(age + t) / at(age)] for age in ages for t in times],
        }
    )

path = pathlib.Path(__file__).with_name("life_prior.json")
path.write_text(json.dumps({"spread": SPREAD, "confidence": CONFIDENCE, "cases": cases}, indent=1) + "\n")
