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


def make(name):
    kind, n = name.split("_")
    return {"signal": vibration, "rows": walk, "windows": lambda n: vibration(2560 * n)}[kind](int(n))


def write(folder, name):
    path = folder / f"{name}.f64"
    kind, n = name.split("_")
    size = 8 * int(n) * (2560 if kind == "windows" else 1)
    if not path.exists() or path.stat().st_size != size:
        make(name).astype("<f8").tofile(path)


@functools.lru_cache(maxsize=1)
def load(folder, name):
    """The array; `windows_N` as N rows of 2,560 samples."""
    x = np.fromfile(folder / f"{name}.f64", dtype="<f8")
    return x.reshape(-1, 2560) if name.startswith("windows_") else x
