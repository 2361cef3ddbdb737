"""Golden errors of gradient boosting: scikit-learn's HistGradientBoostingRegressor on a generated table.

    pip install numpy scikit-learn
    python tests/golden/make_gradient_boosting.py > tests/golden/gradient_boosting.json

Written with NumPy 2.4 and scikit-learn 1.9. The table is Friedman's first (doi 10.1214/aos/1176347963) with missing
values, of uniforms of xoshiro256+ seeded by SplitMix64 (https://prng.di.unimi.it): the test makes the same one.
"""

import json

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

MASK = (1 << 64) - 1
N_TRAIN, N_TEST, N_FEATURES, SEED = 3000, 2000, 8, 11
SETTINGS = {"n_trees": 120, "learning_rate": 0.1, "max_leaves": 15, "min_leaf_rows": 20, "l2": 2.0, "n_bins": 63}


def uniforms(seed):
    def splitmix(state):
        while True:
            state = (state + 0x9E3779B97F4A7C15) & MASK
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
            yield z ^ (z >> 31)

    state = splitmix(seed)
    s = [next(state) for _ in range(4)]
    while True:
        yield (((s[0] + s[3]) & MASK) >> 11) / 2.0**53
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & MASK


u = uniforms(SEED)
x = np.empty((N_TRAIN + N_TEST, N_FEATURES))
y = np.empty(len(x))
for i in range(len(x)):
    row = [next(u) for _ in range(N_FEATURES)]
    noise = next(u) + next(u) + next(u) - 1.5
    y[i] = 10 * np.sin(np.pi * row[0] * row[1]) + 20 * (row[2] - 0.5) ** 2 + 10 * row[3] + 5 * row[4] + 10 + 2 * noise
    # A reading goes missing more often where it is high.
    if next(u) < 0.2 * row[3]:
        row[3] = np.nan
    x[i] = row
model = HistGradientBoostingRegressor(
    learning_rate=SETTINGS["learning_rate"],
    max_iter=SETTINGS["n_trees"],
    max_leaf_nodes=SETTINGS["max_leaves"],
    max_depth=None,
    min_samples_leaf=SETTINGS["min_leaf_rows"],
    l2_regularization=SETTINGS["l2"],
    max_bins=SETTINGS["n_bins"],
    early_stopping=False,
).fit(x[:N_TRAIN], y[:N_TRAIN])
error = lambda a, b: float(np.sqrt(np.mean((model.predict(a) - b) ** 2)))
print(
    json.dumps(
        {
            "seed": SEED,
            "n_train": N_TRAIN,
            "n_test": N_TEST,
            "n_features": N_FEATURES,
            "settings": SETTINGS,
            "sum_of_y": float(y.sum()),
            "rmse_train": error(x[:N_TRAIN], y[:N_TRAIN]),
            "rmse_test": error(x[N_TRAIN:], y[N_TRAIN:]),
            "rmse_constant": float(np.sqrt(np.mean((y[N_TRAIN:] - y[:N_TRAIN].mean()) ** 2))),
        },
        indent=1,
    )
)
