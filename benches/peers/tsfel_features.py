"""The features of TSFEL that are like the thirty, through its own extractor."""
import contextlib
import io
import warnings

import numpy as np
import tsfel

from signals import RATE_HZ

WINDOWS = 50
WANTED = {
    "statistical": ("Mean", "Standard deviation", "Root mean square", "Max", "Min", "Peak to peak distance", "Mean absolute deviation",
                    "Skewness", "Kurtosis", "ECDF Percentile"),
    "temporal": ("Zero crossing rate", "Mean absolute diff"),
    "spectral": ("Spectral centroid", "Spectral spread", "Spectral entropy", "Spectral roll-off", "Fundamental frequency",
                 "Max power spectrum", "Power bandwidth", "Median frequency", "Maximum frequency"),
}


def config():
    every = {domain: tsfel.get_features_by_domain(domain)[domain] for domain in WANTED}
    wanted = {domain: {name: every[domain][name] for name in names} for domain, names in WANTED.items()}
    wanted["statistical"]["ECDF Percentile"]["parameters"] = {"percentile": "[0.05, 0.25, 0.5, 0.75, 0.95]"}
    return wanted


COUNT = sum(map(len, WANTED.values())) + 4


def plan(windows):
    settings, some = config(), [np.ascontiguousarray(w) for w in windows[:WINDOWS]]

    def call():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return tsfel.time_series_features_extractor(settings, some, fs=RATE_HZ, verbose=0, n_jobs=None)
    return call
