"""Areas under the ROC curve of other libraries' streaming detectors on generated streams.

    pip install river rcf3
    python tests/golden/make_detectors_streams.py > tests/golden/detectors_streams.json

Written with River 0.26.1 and rcf3 0.5.2. The streams are made of SplitMix64 outputs by additions and products alone, so
that the test makes the same numbers by itself; the first rows are written down to show it.
"""

import json
import sys

from rcf3 import Forest, OnlineIForest
from river import anomaly

MASK = (1 << 64) - 1
WIDTH = 10
N_TRAIN = 500
N_ROWS = 4500
SEEDS = range(5)


def uniforms(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 11) * 2.0**-53


def stream(seed, size):
    """Rows of ten columns that follow three hidden numbers; of each 50 rows after training one has two columns moved by
    `size`, and after half of the rows the third column has moved by 0.5 for good."""
    u = uniforms(seed)
    rows, labels = [], []
    for i in range(N_ROWS):
        hidden = [next(u) + next(u) - 1.0 for _ in range(3)]
        row = [hidden[j % 3] + 0.5 * (next(u) + next(u) - 1.0) for j in range(WIDTH)]
        if i >= N_ROWS // 2:
            row[2] += 0.5
        strange = i >= N_TRAIN and i % 50 == 17
        if strange:
            first = i // 50 % WIDTH
            row[first] += size
            row[(first + 4) % WIDTH] -= size
        rows.append(row)
        labels.append(strange)
    return rows, labels


def area(scores, labels):
    """Share of the pairs of a strange and a usual row in which the strange one has the higher score, ties by half."""
    strange = [s for s, l in zip(scores, labels) if l]
    usual = [s for s, l in zip(scores, labels) if not l]
    wins = sum((a > b) + 0.5 * (a == b) for a in strange for b in usual)
    return wins / (len(strange) * len(usual))


def half_space_trees(rows, seed):
    names = range(WIDTH)
    train = rows[:N_TRAIN]
    limits = {j: (min(r[j] for r in train), max(r[j] for r in train)) for j in names}
    model = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, limits=limits, seed=seed)
    scores = []
    for row in rows:
        x = dict(zip(names, row))
        scores.append(model.score_one(x))
        model.learn_one(x)
    return scores


def random_cut_forest(shingle):
    def scores(rows, seed):
        model = Forest(WIDTH, shingle_size=shingle, num_trees=50, capacity=256, seed=seed)
        return [model.update_and_score(row) for row in rows]

    return scores


def online_isolation_forest(rows, seed):
    model = OnlineIForest(WIDTH, num_trees=32, window_size=1024, max_leaf_samples=16, seed=seed)
    return [model.update_and_score(row) for row in rows]


def areas(detector, size):
    found = []
    for seed in SEEDS:
        rows, labels = stream(100 + seed, size)
        found.append(area(detector(rows, seed)[N_TRAIN:], labels[N_TRAIN:]))
    return found


json.dump(
    {
        "first_rows": stream(100, 1.0)[0][:3],
        "half_space_trees": {"size": 1.5, "areas": areas(half_space_trees, 1.5)},
        "random_cut_forest": {"size": 1.0, "areas": areas(random_cut_forest(1), 1.0)},
        "random_cut_forest_of_shingles": {"size": 1.5, "areas": areas(random_cut_forest(4), 1.5)},
        "online_isolation_forest": {"size": 1.5, "areas": areas(online_isolation_forest, 1.5)},
    },
    sys.stdout,
    indent=1,
)
