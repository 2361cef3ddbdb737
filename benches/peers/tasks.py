"""What is compared: one entry a task, whose name is that of a line in tasks.rs (or `ours`), with the peers of each.

A peer's `call` takes the array and gives what is timed, which returns its result; or is the name of another task of ours.rs,
or of the peer's own `program`.
"""
import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
import pandas
import polars
import pycatch22
import scipy.fft
import scipy.signal

import boosting
import detectors
import numpy_features
import numpy_kurtogram
import survival
import tsfel_features
from signals import RATE_HZ


@dataclasses.dataclass
class Peer:
    name: str
    call: Callable | str
    same: float | None = 1e-9  # largest relative difference, None where conventions differ
    times: float | None = None  # asked: so many times as fast as it
    aim: float | None = None  # beyond what is asked
    within: float | None = None  # asked: at most so much of its time
    share: float = 1.0  # of ours' work that the peer does; its time is divided by it
    comparable: Callable = lambda values: values  # what is compared of ours, a row a scale
    numbers: Callable | None = None  # what is compared of the peer's result; as of ours unless set
    slow: bool = False
    note: str = ""
    program: str = "ours"  # that has the task `call`


@dataclasses.dataclass
class Task:
    name: str
    what: str
    peers: list
    at_most_ms: float | None = None  # asked of ours alone

    @property
    def ours(self):
        return self.name


def rfft(x):
    return lambda: scipy.fft.rfft(x).view(float)


def welch(segment):
    def plan(x):
        return lambda: scipy.signal.welch(x, RATE_HZ, "hann", nperseg=segment, noverlap=segment // 2, detrend="constant")[1]
    return plan


def amplitude(x):
    taper = scipy.signal.get_window("hann", len(x))
    scale = np.full(len(x) // 2 + 1, 2 / taper.sum())
    scale[0] *= 0.5
    scale[-1] *= 0.5 if len(x) % 2 == 0 else 1.0
    return lambda: np.abs(scipy.fft.rfft((x - x.mean()) * taper)) * scale


def by_pandas(window, statistic):
    def plan(x):
        rolling = pandas.Series(x).rolling(window)
        return getattr(rolling, statistic)
    return plan


def by_polars(window, statistic, **kw):
    def plan(x):
        rolling = getattr(polars.Series(x), f"rolling_{statistic}")
        return lambda: rolling(window_size=window, **kw)
    return plan


def rolling(statistic, by_polars_name, same, aim=2, **kw):
    """Over ten million rows; the first `window - 1` are NaN. No slower than the faster of both is asked."""
    def series(result):
        return result.to_numpy()  # not timed
    return [Task(f"rolling_{statistic}_{window}", f"rolling {statistic} of {window:,} rows over 10,000,000", [
        Peer("pandas", by_pandas(window, {"sd": "std", "kurtosis": "kurt"}.get(statistic, statistic)), same, 1, aim, numbers=series,
             slow=True, note=MAKES),
        Peer("polars", by_polars(window, by_polars_name, **kw), same, 1, aim, numbers=series, slow=True, note=MAKES),
    ]) for window in (100, 1000)]


def catch22(windows):
    rows = [w.tolist() for w in windows]  # what its C code is handed fastest

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.array([pycatch22.catch22_all(r, mask_nans=False)["values"] for r in rows]).ravel()
    return call


def columns(n):
    """Values of rows of `n` features, a feature a row."""
    return lambda values: values.reshape(-1, n).T


def alike(values):
    """Of ours, what TSFEL defines alike."""
    return columns(FEATURES)(values)[[numpy_features.NAMES.index(name) for name in tsfel_features.SAME], :tsfel_features.WINDOWS]


def ranked(ours, what, peer, call, times, same=0.005):
    """Detectors that draw, or count a row otherwise, are compared by how well they rank the rows."""
    return Task(ours, f"{what}, fit and scores of 100,000 x 20", [
        Peer(peer, call, same, times, slow=True, comparable=detectors.ranking, note=AREA)])


def by_rcf3(ours, what, n_rows, times=None, same=0.02):
    return Task(ours, what, [Peer("rcf3", f"rcf3_{ours}", same=same, times=times, program="rcf3", slow=True,
                                  comparable=detectors.ranking_of_stream(n_rows), note=f"{AREA}; 32-bit numbers")])


MAKES = "makes its result anew"
AREA = "ROC-AUC compared"
FEATURES = len(numpy_features.NAMES)
TASKS = [
    *[Task(f"{ours}_{n}", f"real transform of {n:,}{how}", peers) for n in (2560, 25_600, 1_000_000, 1 << 20)
      for ours, how, peers in [
          ("fft", ", samples kept", [Peer("realfft and a copy", f"realfft_{n}", 1e-14, within=1.05),
                                     Peer("scipy.fft.rfft", rfft, 1e-12, note=MAKES)]),
          ("fft_destroying", ", samples lent", [Peer("realfft", f"realfft_destroying_{n}", 1e-14, within=1.05)]),
      ]],
    *[Task(f"amplitude_{n}", f"amplitude spectrum of {n:,}", [Peer("SciPy", amplitude, 1e-12, note=MAKES)]) for n in (2560, 25_600)],
    *[Task(f"welch_{segment}", f"Welch of 1,000,000, segments of {segment:,}", [
        Peer("scipy.signal.welch", welch(segment), 1e-11, times=3, note=MAKES)])
      for segment in (1024, 4096)],
    Task("kurtogram", "kurtogram of 25,600, to level 7",
         [Peer("the same in NumPy, as orientation", numpy_kurtogram.plan, 1e-8, note=MAKES)], at_most_ms=5),
    *rolling("mean", "mean", 1e-9),
    *rolling("sd", "std", 1e-6),
    *rolling("kurtosis", "kurtosis", 1e-4, bias=False),
    *rolling("median", "median", 1e-12, aim=10),
    Task("features_30", f"{FEATURES} features of 10,000 windows of 2,560", [
        Peer("NumPy", numpy_features.plan, 1e-8, times=5, slow=True, comparable=columns(FEATURES)),
        Peer(f"TSFEL, {tsfel_features.COUNT} features alike, from {tsfel_features.WINDOWS} windows", tsfel_features.plan, 1e-9,
             times=300, share=tsfel_features.WINDOWS / 10_000, comparable=alike, numbers=tsfel_features.numbers, slow=True,
             note=f"{len(tsfel_features.SAME)} of them compared"),
    ]),
    Task("catch22", "catch22 of 200 windows of 2,560", [
        Peer("pycatch22", catch22, 1e-9, times=1, slow=True, comparable=columns(22), note="makes lists")]),
    ranked("isolation_forest", "isolation forest, 100 trees of 256 rows", "scikit-learn", detectors.isolation_forest, 3, same=0.02),
    ranked("ecod", "ECOD", "PyOD", detectors.pyod("ecod", "ECOD"), 5),
    ranked("copod", "COPOD", "PyOD", detectors.pyod("copod", "COPOD"), 5),
    ranked("histograms", "histograms (HBOS)", "PyOD", detectors.pyod("hbos", "HBOS"), 5,
           same=0.02),  # its bins are of raw values, ours of standard units: what it adds to counts weighs differently
    Task("nearest", "distance to the fifth nearest, 10,000 x 20", [
        Peer("scikit-learn", detectors.nearest_by_sklearn, 1e-9, slow=True),
        Peer("PyOD", detectors.nearest_by_pyod, 1e-9, slow=True)]),
    Task("local_outlier_factor", "local outlier factor, 20 neighbours, 10,000 x 20", [
        Peer("scikit-learn", detectors.local_outlier_factor, 1e-9, slow=True)]),
    Task("half_space_trees", "half-space trees, 10 of height 8 over 250 rows, 100,000 steps of 10 columns", [
        Peer(f"River, from {detectors.RIVER_ROWS:,} rows", detectors.half_space_trees, 0.1, times=50, slow=True,
             share=detectors.RIVER_ROWS / 100_000, comparable=detectors.ranking_of_stream(detectors.RIVER_ROWS), note=f"{AREA}, which ten trees draw")]),
    *[by_rcf3(f"cut_forest_{n}", f"random cut forest, 50 x 256, shingles of {n}, 10,000 steps of 10 columns", 10_000, times=3)
      for n in (1, 4)],
    by_rcf3("online_isolation", "online isolation forest, 32 over 2,048 rows, 100,000 steps of 10 columns", 100_000),
    Task("discord", "left discord, stretches of 50 in 2,000 rows, 2,000 steps", [
        Peer(f"STUMPY's stumpi, from {detectors.DISCORD_ROWS} steps", detectors.discord, 1e-6, times=50, slow=True,
             share=detectors.DISCORD_ROWS / 2000, comparable=lambda distances: distances[:detectors.DISCORD_ROWS])]),
    # Both stop where they have converged; of lifelines that is four digits of a Weibull's coefficients.
    Task("cox", "proportional hazards of 100,000 lives, 5 covariates", [
        Peer("lifelines", survival.plan("CoxPHFitter", 0), 1e-5, times=50, slow=True)]),
    Task("weibull_aft", "accelerated Weibull lives, 100,000, 5 covariates", [
        Peer("lifelines", survival.plan("WeibullAFTFitter", 2), 1e-3, times=20, slow=True)]),
    Task("gradient_boosting_fit", "boosted trees, 350 of 15 leaves on 13,440 x 250 and on both halves", [
        Peer("LightGBM", boosting.fit, 0.015, times=1, slow=True, comparable=boosting.error,
             numbers=lambda predict: boosting.error(predict()), note="errors on fresh assets compared")]),
    Task("gradient_boosting_predict", "350 boosted trees of 15 leaves, 4,060 rows", [
        Peer("LightGBM", boosting.predict, 0.015, times=1, comparable=boosting.error, note="errors compared")],
         at_most_ms=20.3),  # 5 us a row
]
