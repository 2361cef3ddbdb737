"""The arrays both sides read: raw little-endian f64 files, `<name>.f64`, made once."""
import functools

import numpy as np

RATE_HZ = 25_600.0


def vibration(n, seed=1):
    """Noise, two lines, and impacts that ring at 3.2 kHz a hundred times a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / RATE_HZ
    since = t % 0.01
    return (0.3 + rng.standard_normal(n) + np.sin(2 * np.pi * 29.7 * t) + 0.5 * np.sin(2 * np.pi * 1187.3 * t)
            + 4 * np.exp(-800 * since) * np.sin(2 * np.pi * 3200 * since))


def walk(n):
    """A telemetry column: a level that wanders, with noise."""
    rng = np.random.default_rng(2)
    return 500 + np.cumsum(0.01 * rng.standard_normal(n)) + rng.standard_normal(n)


def anomalous(n):
    """Which rows of a table or stream of `n` are: one in a hundred."""
    return np.arange(n) % 100 == 37


def table(n, width=20):
    """Columns that follow three hidden numbers, with noise; in an anomalous row some are off by four."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, 3))[:, np.arange(width) % 3] + 0.7 * rng.standard_normal((n, width))
    odd = np.flatnonzero(anomalous(n))
    for _ in range(3):
        x[odd, rng.integers(width, size=len(odd))] += 4 * rng.choice([-1, 1], len(odd))
    return x


def stream(n):
    """As a table of ten columns, all between 0 and 1."""
    return np.clip(0.5 + table(n, 10) / 12, 0, 1)


def cycle(n):
    """A shape of 80 rows, again and again, with noise."""
    return np.sin(2 * np.pi * np.arange(n) / 80) + 0.3 * np.random.default_rng(4).standard_normal(n)


def spells(n):
    """Weibull lives that five covariates stretch, a third of them censored: (age, failed, covariates) a row."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((n, 5))
    age, end = 100 * np.exp(x @ [0.5, -0.3, 0.2, 0.1, 0.0]) * rng.weibull(2, n), rng.exponential(200, n)
    return np.column_stack([np.maximum(np.minimum(age, end), 1e-3), age <= end, x])


ASSET = 140  # rows of one asset of `lives`


def lives(n, width=250):
    """Assets that wear out at speeds of their own: columns that follow four hidden numbers, with noise; the life left is the last."""
    rng = np.random.default_rng(5)
    asset, age = np.arange(n) // ASSET, np.arange(n) % ASSET
    speed = np.exp(0.3 * rng.standard_normal(asset.max() + 1))[asset]
    wear = (age / ASSET) ** 2 * speed
    hidden = np.stack([wear, age / ASSET * speed, np.sin(age / 9) + 0.2 * rng.standard_normal(n), rng.standard_normal(n)], axis=1)
    mix = rng.standard_normal((4, width)) * rng.random((4, width))
    x = hidden @ mix + (0.3 + rng.random(width)) * rng.standard_normal((n, width))
    return np.column_stack([x, 125 * np.clip(1.3 - wear - 0.2 * hidden[:, 1], 0, 1)])


KINDS = {"signal": vibration, "rows": walk, "windows": lambda n: vibration(2560 * n), "table": table, "stream": stream,
         "cycle": cycle, "lives": lives, "spells": spells}
WIDTHS = {"windows": 2560, "table": 20, "stream": 10, "spells": 7, "lives": 251}  # numbers a row, of arrays that have rows


def make(name):
    kind, n = name.split("_")
    return KINDS[kind](int(n))


def write(folder, name):
    path = folder / f"{name}.f64"
    kind, n = name.split("_")
    size = 8 * int(n) * WIDTHS.get(kind, 1)
    if not path.exists() or path.stat().st_size != size:
        make(name).astype("<f8").tofile(path)


@functools.lru_cache(maxsize=1)
def load(folder, name):
    """The array; `windows_N` as N rows of 2,560 samples, tables and streams likewise."""
    x = np.fromfile(folder / f"{name}.f64", dtype="<f8")
    width = WIDTHS.get(name.split("_")[0])
    return x if width is None else x.reshape(-1, width)
