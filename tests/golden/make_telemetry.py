"""Golden data of the rolling telemetry features: pandas' ewm and NumPy's polyfit.

    pip install numpy pandas
    python tests/golden/make_telemetry.py > tests/golden/telemetry.json

Written with NumPy 2.4 and pandas 3.1; other versions change the numbers by rounding only. One life unit is a million
seconds here, so that pandas' rounding of a half-life to nanoseconds does not show.
"""

import json

import numpy as np
import pandas as pd

EWMA = [3.0, 12.0]
SLOPE = [5.0, 20.0]
RESIDUAL_SD = [20.0]
ENDPOINT = [20.0]
CHANGE = (12.0, [4.0, 10.0])
UNIT_NS = 10**15


def ewma(times, values, span):
    decay = 1.0 - 2.0 / (span + 1.0)
    half_life = pd.Timedelta(round(np.log(0.5) / np.log(decay) * UNIT_NS), unit="ns")
    index = pd.to_datetime(np.round(times * UNIT_NS).astype(np.int64))
    return pd.Series(values).ewm(halflife=half_life, times=index, adjust=True).mean().to_numpy()


def line(times, values, now, span):
    used = (times <= now) & (times > now - span) & np.isfinite(values)
    if used.sum() < 3:
        return (np.nan,) * 3
    t, v = times[used] - now, values[used]
    slope, endpoint = np.polyfit(t, v, 1)
    residual = v - np.polyval([slope, endpoint], t)
    return slope, endpoint, np.sqrt((residual**2).sum() / (len(v) - 2))


def features(times, values):
    """Columns in the crate's order: EWMAs, slopes, residual deviations, endpoints, changes."""
    lines = {s: np.array([line(times, values, now, s) for now in times]) for s in SLOPE + RESIDUAL_SD + ENDPOINT}
    columns = [ewma(times, values, s) for s in EWMA]
    columns += [lines[s][:, 0] for s in SLOPE]
    columns += [lines[s][:, 2] for s in RESIDUAL_SD]
    columns += [lines[s][:, 1] for s in ENDPOINT]
    span, lags = CHANGE
    smooth = ewma(times, values, span)
    for lag in lags:
        # The latest row at least `lag` old; a nanosecond of slack, as times are multiples of a thousandth.
        before = np.searchsorted(times, times - lag + 1e-9, side="right") - 1
        columns.append(np.where(before >= 0, smooth - smooth[before], np.nan))
    return np.array(columns).T


def numbers(a):
    return [None if not np.isfinite(x) else float(x) for x in np.ravel(a)]


def series(name, times, values):
    table = features(times, values)
    return {"name": name, "times": numbers(times), "values": numbers(values), "features": [numbers(r) for r in table]}


rng = np.random.default_rng(20240607)
n = 60
even = np.arange(n, dtype=float)
# Multiples of a thousandth, from a tenth to four units apart, and one gap longer than every span.
steps = rng.integers(100, 4000, n)
steps[40] = 31_000
uneven = np.cumsum(steps) / 1000.0
uneven -= uneven[0]
wear = 5.0 + 0.02 * np.arange(n) ** 1.3 + rng.normal(0, 0.5, n)
gappy = 300.0 - wear + rng.normal(0, 2.0, n)
gappy[rng.choice(n, 15, replace=False)] = np.nan
gappy[:2] = np.nan
check = pd.Series(wear).ewm(span=12, adjust=True).mean().to_numpy()
assert np.allclose(ewma(even, wear, 12.0), check, rtol=1e-12), "half-lives and spans say the same"
print(
    json.dumps(
        {
            "series": [
                series("every unit", even, wear),
                series("any spacing, readings missing", uneven, gappy),
            ]
        },
        indent=0,
    )
)
