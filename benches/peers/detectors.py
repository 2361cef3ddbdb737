"""Detectors of the peers, one thread each, and what of both sides' scores is compared.

Libraries are imported where they are used: some take seconds to load, which no other task should wait for.
"""
import numpy as np

from signals import anomalous

LEAST = 1000  # rows of a stream before those that are compared
RIVER_ROWS = 5_000
DISCORD_ROWS, KNOWN = 100, 2_000


def area(scores, labels):
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score
    return np.array([roc_auc_score(labels, scores)])


def ranking(scores):
    """How well the scores of a table rank its rows."""
    return area(scores, anomalous(len(scores)))


def ranking_of_stream(n_rows):
    """Likewise of the first `n_rows`, behind those that no side scores yet."""
    return lambda scores: area(scores[LEAST:n_rows], anomalous(n_rows)[LEAST:])


def standard(x):
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


def isolation_forest(x):
    from sklearn.ensemble import IsolationForest
    return lambda: -IsolationForest(n_estimators=100, max_samples=256, random_state=1, n_jobs=1).fit(x).score_samples(x)


def pyod(module, name, **settings):
    """One that scores its rows as it is fitted."""
    def plan(x):
        import importlib
        detector = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        return lambda: detector(**settings).fit(x).decision_scores_
    return plan


def nearest_by_sklearn(x):
    from sklearn.neighbors import NearestNeighbors

    def call():
        z = standard(x)
        return NearestNeighbors(n_neighbors=6, n_jobs=1).fit(z).kneighbors(z)[0][:, 5]
    return call


def nearest_by_pyod(x):
    from pyod.models.knn import KNN
    return lambda: KNN(n_neighbors=5, n_jobs=1).fit(standard(x)).decision_scores_


def local_outlier_factor(x):
    from sklearn.neighbors import LocalOutlierFactor

    def call():
        z = standard(x)
        return -LocalOutlierFactor(n_neighbors=20, novelty=True, n_jobs=1).fit(z).score_samples(z)
    return call


def half_space_trees(x):
    from river.anomaly import HalfSpaceTrees
    names = [f"c{j}" for j in range(x.shape[1])]
    rows = [dict(zip(names, row.tolist())) for row in x[:RIVER_ROWS]]

    def call():
        trees = HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)
        scores = []
        for row in rows:
            scores.append(trees.score_one(row))
            trees.learn_one(row)
        return np.array(scores)
    return call


def discord(x):
    import copy

    import stumpy
    known = stumpy.stumpi(x[:KNOWN], 50, egress=True)
    rows = x[KNOWN:KNOWN + DISCORD_ROWS]

    def call():
        stream = copy.deepcopy(known)
        distances = []
        for value in rows:
            stream.update(value)
            distances.append(stream.left_P_[-1])
        return np.array(distances)
    return call
