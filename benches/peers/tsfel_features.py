"""The features of TSFEL that are like the thirty, through its own extractor.

Those of `SAME` are defined alike and compared. Its percentiles lie on steps, not between samples; its crossings are counted, of
zero; its spectra are without taper: these are timed alone.
"""
import contextlib
import io
import warnings

import numpy as np
import tsfel

from signals import RATE_HZ

WINDOWS = 50
WANTED = {
    "statistical": ("Mean", "Standard deviation", "Root mean square", "Max", "Peak to peak distance", "Skewness", "Kurtosis",
                    "ECDF Percentile"),
    "temporal": ("Zero crossing rate",),
    "spectral": ("Spectral centroid", "Spectral spread", "Spectral entropy", "Spectral roll-off", "Fundamental frequency",
                 "Max power spectrum"),
}
SAME = {  # by the names of `numpy_features.NAMES`
    "mean": "Mean", "rms": "Standard deviation", "total_rms": "Root mean square", "peak_to_peak": "Peak to peak distance",
    "skewness": "Skewness", "excess_kurtosis": "Kurtosis",
}


def config():
    every = {domain: tsfel.get_features_by_domain(domain)[domain] for domain in WANTED}
    wanted = {domain: {name: every[domain][name] for name in names} for domain, names in WANTED.items()}
    wanted["statistical"]["ECDF Percentile"]["parameters"] = {"percentile": "[0.05, 0.25, 0.5, 0.75, 0.95]"}
    return wanted


COUNT = sum(map(len, WANTED.values())) + 4


def numbers(table):
    """What is compared of its result, a feature a row."""
    return np.stack([table[f"0_{name}"] for name in SAME.values()])


def plan(windows):
    settings, some = config(), [np.ascontiguousarray(w) for w in windows[:WINDOWS]]

    def call():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return tsfel.time_series_features_extractor(settings, some, fs=RATE_HZ, verbose=0, n_jobs=None)
    return call
