"""Survival models of lifelines, fitted on rows of (age, failed, five covariates)."""
import warnings

import numpy as np

COVARIATES = list("abcde")


def plan(name, after):
    def prepare(x):
        import lifelines
        import pandas
        frame = pandas.DataFrame(x, columns=["age", "failed", *COVARIATES])

        def call():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return getattr(lifelines, name)().fit(frame, "age", "failed").params_.to_numpy()[:len(COVARIATES) + after]
        return call
    return prepare
