"""Writes survival.json: curves, accelerated lives and proportional hazards of small tables with ties, late entries, weights.

By lifelines 0.30.3, NumPy 2.4 and SciPy 1.17; run by hand: python make_survival.py
"""
import json
import pathlib
import warnings

import numpy as np
import pandas as pd
from autograd import grad, hessian
from lifelines import (CoxPHFitter, CoxTimeVaryingFitter, KaplanMeierFitter, LogNormalAFTFitter, NelsonAalenFitter,
                       WeibullAFTFitter, utils)

warnings.filterwarnings("ignore")
rng = np.random.default_rng(23)
COLUMNS = ["load", "heat", "speed"]


def lives(n, ties, late):
    """Weibull lives that load shortens, censored and watched from an age on."""
    x = rng.standard_normal((n, 3)) * [1.0, 10.0, 0.1] + [5.0, 300.0, 0.0]
    t = 200 * np.exp(-0.5 * (x[:, 0] - 5) + 0.02 * (x[:, 1] - 300)) * rng.weibull(1.8, n)
    c = rng.exponential(400, n)
    e = rng.uniform(0, 60, n) * (rng.random(n) < 0.6) if late else np.zeros(n)
    stop, failed = np.minimum(t, c), t <= c
    if ties:
        stop, e = np.ceil(stop / 20) * 20, np.floor(e / 20) * 20
    keep = stop > e
    frame = pd.DataFrame(x[keep], columns=COLUMNS)
    frame["start"], frame["stop"], frame["failed"] = e[keep], stop[keep], failed[keep]
    return frame


def table(frame):
    return {"names": COLUMNS, "values": frame[COLUMNS].to_numpy().ravel().tolist(), "start": frame.start.tolist(),
            "stop": frame.stop.tolist(), "failed": frame.failed.tolist()}


def curves(frame, weights):
    kw = dict(event_observed=frame.failed, weights=weights, entry=frame.start if (frame.start > 0).any() else None)
    km, na = KaplanMeierFitter(alpha=0.1).fit(frame.stop, **kw), NelsonAalenFitter(alpha=0.1, nelson_aalen_smoothing=False).fit(frame.stop, **kw)
    ages = km.survival_function_.index.to_numpy()
    survival = km.survival_function_.to_numpy().ravel()
    return {**table(frame), "weights": None if weights is None else weights.tolist(), "ages": ages.tolist(), "survival": survival.tolist(),
            "variance": (survival ** 2 * km._cumulative_sq_.to_numpy()).tolist(),
            "band": km.confidence_interval_.to_numpy().T.tolist(),
            "median": km.median_survival_time_ if np.isfinite(km.median_survival_time_) else None,
            "hazard": na.cumulative_hazard_.to_numpy().ravel().tolist(), "hazard_variance": na._cumulative_sq.tolist(),
            "hazard_band": na.confidence_interval_.to_numpy().T.tolist()}


def aft(fitter, frame, penalizer):
    """lifelines stops where SLSQP does; its own likelihood is followed on by Newton's rule to where its slope is nothing."""
    f = fitter(penalizer=penalizer)
    late = (frame.start > 0).any()
    f.fit(frame if late else frame.drop(columns="start"), "stop", "failed", entry_col="start" if late else None)
    columns = f.regressors.transform_df(frame[COLUMNS])
    scale = columns.std(0)
    scale[scale < 1e-8] = 1.0
    args = ((frame.stop.to_numpy(), None), frame.failed.to_numpy(), np.ones(len(frame)), frame.start.to_numpy(),
            utils.DataframeSlicer(utils.normalize(columns, 0, scale)))
    minus = f._neg_likelihood_with_penalty_function
    theta = (f.params_ * scale).to_numpy()
    for _ in range(8):
        theta = theta - np.linalg.solve(hessian(minus)(theta, *args), grad(minus)(theta, *args))
    moved = np.abs(theta / scale - f.params_)
    assert (moved < 2e-3 * f.standard_errors_).all(), moved / f.standard_errors_
    f.params_ = pd.Series(theta, index=f.params_.index) / scale
    covariance = np.linalg.inv(len(frame) * hessian(minus)(theta, *args))
    errors = pd.Series(np.sqrt(np.diag(covariance)), index=f.params_.index) / scale
    first, second = f._primary_parameter_name, f._ancillary_parameter_name
    order = [(first, c) for c in COLUMNS] + [(first, "Intercept"), (second, "Intercept")]
    rows, ages, after = frame[COLUMNS].iloc[:4], np.array([10.0, 100.0, 300.0]), 50.0
    return {"penalizer": penalizer, "estimates": [f.params_[k] for k in order], "errors": [errors[k] for k in order],
            "log_likelihood": -len(frame) * float(minus(theta, *args)), "ages": ages.tolist(),
            "survival": f.predict_survival_function(rows, times=ages).to_numpy().T.tolist(), "after": after,
            "median_after": f.predict_percentile(rows, p=0.5, conditional_after=np.full(4, after)).tolist()}


def cox(frame, penalizer):
    f = CoxPHFitter(penalizer=penalizer)
    late = (frame.start > 0).any()
    used = frame if late else frame.drop(columns="start")
    f.fit(used, "stop", "failed", entry_col="start" if late else None, fit_options={"precision": 1e-14, "r_precision": 1e-14})
    out = {"penalizer": penalizer, "estimates": f.params_[COLUMNS].tolist(), "errors": f.standard_errors_[COLUMNS].tolist(),
           "log_likelihood": f.log_likelihood_, "ages": None, "hazard": None, "survival": None}
    if not late:  # with late entries, lifelines' baseline counts all rows from birth on
        base = f.baseline_cumulative_hazard_
        out["ages"], out["hazard"] = base.index.tolist(), base.to_numpy().ravel().tolist()
        out["survival"] = f.predict_survival_function(frame[COLUMNS].iloc[:4], times=base.index[[3, 10]]).to_numpy().T.tolist()
    return out


def changing(n):
    """Each machine's load changes at random ages; a row a stretch."""
    rows = []
    for machine in range(n):
        age, temper = 0.0, rng.standard_normal()
        while age < 400:
            load, heat = 5 + rng.standard_normal(), 300 + 10 * temper
            rate = 0.004 * np.exp(0.6 * (load - 5) - 0.03 * (heat - 300))
            length = 10.0 * rng.integers(1, 8)
            failure = 10 * np.ceil(rng.exponential(1 / rate) / 10)
            row = {"asset": machine, "load": load, "heat": heat, "speed": 0.1 * rng.standard_normal(), "start": age}
            rows.append({**row, "stop": age + min(length, failure), "failed": bool(failure <= length)})
            if failure <= length:
                break
            age += length
    return pd.DataFrame(rows)


def cox_changing(frame, penalizer):
    f = CoxTimeVaryingFitter(penalizer=penalizer)
    f.fit(frame, id_col="asset", event_col="failed", start_col="start", stop_col="stop",
          fit_options={"precision": 1e-14, "r_precision": 1e-14})
    base = f.baseline_cumulative_hazard_
    return {"penalizer": penalizer, "estimates": f.params_[COLUMNS].tolist(), "errors": f.standard_errors_[COLUMNS].tolist(),
            "log_likelihood": f.log_likelihood_, "ages": base.index.tolist(), "hazard": base.to_numpy().ravel().tolist(), "survival": None}


plain, tied, late, late_tied = lives(80, False, False), lives(80, True, False), lives(90, False, True), lives(90, True, True)
walk = changing(40)
out = {
    "curves": [curves(plain, None), curves(tied, rng.integers(1, 5, len(tied))), curves(late_tied, None), curves(late, None)],
    "accelerated": [{"table": table(f), "weibull": [aft(WeibullAFTFitter, f, p) for p in (0.0, 0.05)],
                     "log_normal": [aft(LogNormalAFTFitter, f, p) for p in (0.0, 0.05)]} for f in (plain, late)],
    "cox": [{"table": table(f), "asset": None, "fits": [cox(f, p) for p in (0.0, 0.05)]} for f in (plain, tied, late_tied)]
           + [{"table": table(walk), "asset": walk.asset.tolist(), "fits": [cox_changing(walk, p) for p in (0.0, 0.05)]}],
}
pathlib.Path(__file__).with_name("survival.json").write_text(json.dumps(out) + "\n")
