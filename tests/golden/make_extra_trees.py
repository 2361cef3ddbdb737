"""Golden errors of extremely randomised trees: scikit-learn's ExtraTreesRegressor on a generated table, by ten seeds.

    pip install numpy scikit-learn
    python tests/golden/make_extra_trees.py > tests/golden/extra_trees.json

Written with NumPy 2.4 and scikit-learn 1.9. The table is Friedman's first (doi 10.1214/aos/1176347963), of uniforms of
SplitMix64 (https://prng.di.unimi.it): the test makes the same one.
"""

import json

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

MASK = (1 << 64) - 1
N_TRAIN, N_TEST, N_FEATURES, SEED = 1500, 1000, 8, 11
SETTINGS = {"n_trees": 100, "min_leaf_rows": 5, "column_fraction": 0.5}


def uniforms(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 11) / 2.0**53


u = uniforms(SEED)
x, y = np.empty((N_TRAIN + N_TEST, N_FEATURES)), np.empty(N_TRAIN + N_TEST)
for i in range(len(x)):
    row = [next(u) for _ in range(N_FEATURES)]
    noise = next(u) + next(u) + next(u) - 1.5
    y[i] = 10 * np.sin(np.pi * row[0] * row[1]) + 20 * (row[2] - 0.5) ** 2 + 10 * row[3] + 5 * row[4] + 10 + 2 * noise
    x[i] = row
errors = []
for seed in range(10):
    model = ExtraTreesRegressor(
        SETTINGS["n_trees"],
        min_samples_leaf=SETTINGS["min_leaf_rows"],
        max_features=SETTINGS["column_fraction"],
        random_state=seed,
    ).fit(x[:N_TRAIN], y[:N_TRAIN])
    errors.append([float(np.sqrt(np.mean((model.predict(x[part]) - y[part]) ** 2))) for part in (slice(0, N_TRAIN), slice(N_TRAIN, None))])
train, test = np.transpose(errors)
print(json.dumps({
    "n_train": N_TRAIN, "n_test": N_TEST, "n_features": N_FEATURES, "seed": SEED, "settings": SETTINGS, "sum_of_y": float(y.sum()),
    "rmse_train": float(train.mean()), "rmse_test": float(test.mean()),
    "sd_train": float(train.std(ddof=1)), "sd_test": float(test.std(ddof=1)),
}, indent=1))
