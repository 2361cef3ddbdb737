"""Golden data of vibration features and amplitude spectra, by NumPy and SciPy.

    pip install numpy==2.4.6 scipy==1.17.1
    python tests/golden/make_vibration.py

writes vibration.json beside this file. Samples are rounded to four decimals, so that the file holds them exactly.
"""

import json
import pathlib

import numpy as np
from scipy import signal, stats

rng = np.random.default_rng(20261123)


def bearing(n, rate):
    """Noise, two shaft lines, and a ringing impulse train as of an outer race fault."""
    t = np.arange(n) / rate
    x = 0.3 * rng.standard_normal(n) + np.sin(2 * np.pi * 30 * t) + 0.4 * np.sin(2 * np.pi * 60 * t + 1)
    for hit in np.arange(0.003, t[-1], 1 / 107.3):
        after = t - hit
        x += np.where(after >= 0, 4 * np.exp(-900 * np.abs(after)) * np.sin(2 * np.pi * 4_300 * after), 0)
    return x


def features(x, rate, taper, bands):
    rms = np.std(x)
    peak = np.max(np.abs(x - np.mean(x)))
    window = {"hann": signal.get_window("hann", len(x), fftbins=True), "rectangular": np.ones(len(x))}[taper]
    # Density times bin width is the mean square of a bin.
    f, density = signal.periodogram(x, rate, window=window, detrend="constant", scaling="density")
    mean_square = density * rate / len(x)
    k = np.arange(len(f))
    row = [rms, peak, peak / rms, stats.kurtosis(x)]
    for lo, hi in bands:
        # k rate / n >= lo without rounding: rates, edges and lengths here are whole numbers.
        inside = (k * rate >= lo * len(x)) & ((k * rate < hi * len(x)) | (2 * hi == rate))
        row.append(np.sqrt(np.sum(mean_square[inside])))
    return [float(v) for v in row]


def amplitude(x, taper):
    window = {"hann": signal.get_window("hann", len(x), fftbins=True), "rectangular": np.ones(len(x))}[taper]
    a = np.abs(np.fft.rfft((x - np.mean(x)) * window)) / np.sum(window)
    a[1 : (len(x) + 1) // 2] *= 2
    return [float(v) for v in a]


def case(name, rate, channels, bands):
    channels = [np.round(c, 4) for c in channels]
    return {
        "name": name,
        "rate_hz": rate,
        "bands_hz": bands,
        "samples": [c.tolist() for c in channels],
        "features": {
            taper: [features(c, rate, taper, bands) for c in channels] for taper in ["hann", "rectangular"]
        },
        "amplitude": {
            taper: amplitude(channels[0], taper) if len(channels[0]) < 1000 else None
            for taper in ["hann", "rectangular"]
        },
    }


cases = [
    case(
        "bearing, two channels",
        25_600,
        [bearing(2560, 25_600), 0.2 * bearing(2560, 25_600) + 1.0],
        [[1280 * i, 1280 * (i + 1)] for i in range(10)],
    ),
    case("odd length, overlapping bands", 1000, [rng.laplace(size=255)], [[0, 100], [50, 333], [333, 500]]),
    case("prime length, large offset", 997, [5e4 + rng.standard_normal(499)], [[0, 200], [200, 400]]),
    case("spike in silence", 64, [np.where(np.arange(64) == 13, 7.25, 0.0)], [[0, 16], [16, 32]]),
]
path = pathlib.Path(__file__).with_name("vibration.json")
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
