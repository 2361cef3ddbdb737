"""Writes complexity.json: entropies, compressibility, self-similarity of some signals.

By antropy 0.2 and NumPy 2.4; run by hand: python make_complexity.py
"""
import json
import pathlib

import antropy
import numpy as np

rng = np.random.default_rng(3)
n = 240
t = np.arange(n)
signals = {
    "noise": rng.standard_normal(n),
    "walk": np.cumsum(rng.standard_normal(n)),
    "sine": np.sin(0.21 * t) + 1e-3 * rng.standard_normal(n),
    "chirp": np.sin(1e-3 * t**2) + 0.1 * rng.standard_normal(n),
    "heavy": rng.standard_t(2, n),
}

out = []
for name, x in signals.items():
    bits = (x > np.median(x)).astype(int)
    out.append({
        "name": name,
        "x": x.tolist(),
        "permutation_3_1": float(antropy.perm_entropy(x, 3, 1, normalize=True)),
        "permutation_5_2": float(antropy.perm_entropy(x, 5, 2, normalize=True)),
        "sample": float(antropy.sample_entropy(x, 2)),
        "approximate": float(antropy.app_entropy(x, 2)),
        "lempel_ziv_words": int(antropy.lziv_complexity(bits, normalize=False)),
        "lempel_ziv": float(antropy.lziv_complexity(bits, normalize=True)),
        "higuchi": float(antropy.higuchi_fd(x, 10)),
        "detrended_fluctuation": float(antropy.detrended_fluctuation(x)),
    })
pathlib.Path(__file__).with_name("complexity.json").write_text(json.dumps(out) + "\n")
