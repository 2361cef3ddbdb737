"""Golden data of waveform features by name, by NumPy, SciPy and antropy.

    pip install numpy==2.4.6 scipy==1.17.1 antropy==0.2.3
    python tests/golden/make_waveform.py

writes waveform.json beside this file. Samples are rounded to four decimals, so that the file holds them exactly.
"""

import json
import pathlib

import antropy
import numpy as np
from scipy import signal, stats

rng = np.random.default_rng(20261124)
TAPERS = {"hann": "hann", "rectangular": "boxcar", "flat_top": "flattop"}
HALF_LOBE = {"hann": 2, "rectangular": 1, "flat_top": 5}


def bands(rate):
    return [[0, rate / 8], [rate / 8, rate / 2]]


def time_features(x, rate):
    d = x - np.mean(x)
    mobility, complexity = antropy.hjorth_params(x)
    # antropy takes differences without the time between samples, and first the variance of all of them.
    row = {
        "mean": np.mean(x),
        "sd": np.std(x),
        "rms": np.std(x),
        "total_rms": np.sqrt(np.mean(x**2)),
        "peak": np.max(np.abs(d)),
        "peak_to_peak": np.ptp(x),
        "crest_factor": np.max(np.abs(d)) / np.std(x),
        "shape_factor": np.std(x) / np.mean(np.abs(d)),
        "impulse_factor": np.max(np.abs(d)) / np.mean(np.abs(d)),
        "clearance_factor": np.max(np.abs(d)) / np.mean(np.sqrt(np.abs(d))) ** 2,
        "skewness": stats.skew(x),
        "excess_kurtosis": stats.kurtosis(x),
        "zero_crossing_rate": np.count_nonzero(np.diff(d >= 0)) * rate / (len(x) - 1),
        "hjorth_activity": np.var(x),
        "hjorth_mobility": mobility * rate,
        "hjorth_complexity": complexity,
    }
    for p in [0, 0.05, 0.25, 0.5, 0.777, 1]:
        row[f"quantile_{p}"] = np.quantile(x, p)
    return row


def frequency_features(x, rate, taper, f0):
    n = len(x)
    f, density = signal.periodogram(x, rate, window=TAPERS[taper], detrend="constant", scaling="density")
    power = density * rate / n
    row = {}
    for lo, hi in bands(rate):
        inside = (f >= lo - 1e-9) & ((f < hi - 1e-9) | (2 * hi == rate))
        row[f"band_{lo:g}_{hi:g}_hz_rms"] = np.sqrt(power[inside].sum())
        row[f"band_{lo:g}_{hi:g}_hz_share"] = power[inside].sum() / power.sum()
    f, p = f[1:], power[1:]
    q = p / p.sum()
    row["spectral_centroid"] = np.sum(f * q)
    row["spectral_spread"] = np.sqrt(np.sum((f - np.sum(f * q)) ** 2 * q))
    row["spectral_entropy"] = stats.entropy(q, base=len(q))
    row["spectral_flatness"] = stats.gmean(p) / np.mean(p)
    for share in [0.5, 0.85]:
        row[f"spectral_rolloff_{share}"] = f[np.searchsorted(np.cumsum(q), share)]
    amplitude = signal.periodogram(x, rate, window=TAPERS[taper], detrend="constant", scaling="spectrum")[1]
    # Of a sine: the root of twice its power; all of it at the Nyquist frequency.
    amplitude = np.sqrt(amplitude * np.where((np.arange(len(power)) * 2 == n), 1, 2))
    peaks = signal.find_peaks(np.append(power, 0))[0]
    peaks = peaks[np.argsort(-power[peaks], kind="stable")]
    for k in range(3):
        row[f"line_{k + 1}_hz"] = peaks[k] * rate / n
        row[f"line_{k + 1}_amplitude"] = amplitude[peaks[k]]

    half = HALF_LOBE[taper]

    def lobe(centre):
        k = int(np.floor(centre + 0.5))
        return power[max(k - half, 1) : k + half + 1].sum()

    lobes = [lobe(h * f0 * n / rate) for h in range(1, 6)]
    row[f"harmonics_{f0}_hz_1_to_5_rms"] = np.sqrt(np.sum(lobes))
    row[f"total_harmonic_distortion_{f0}_hz_5"] = np.sqrt(np.sum(lobes[1:]) / lobes[0])
    k = np.arange(peaks[0] - half, peaks[0] + half + 1)
    centre = np.sum(k * power[k]) / power[k].sum()
    rest = [lobe(h * centre) for h in range(2, 5) if round(h * centre) <= len(power) - 1]
    row["total_harmonic_distortion_4"] = np.sqrt(sum(rest) / power[k].sum()) if rest else None
    return row


def case(name, rate, x, f0):
    x = np.round(x, 4)
    rows = {taper: {**time_features(x, rate), **frequency_features(x, rate, taper, f0)} for taper in TAPERS}
    return {
        "name": name,
        "rate_hz": rate,
        "samples": x.tolist(),
        "features": {taper: {k: None if v is None else float(v) for k, v in row.items()} for taper, row in rows.items()},
    }


def harmonics(n, rate, f0, noise):
    t = np.arange(n) / rate
    x = sum(a * np.sin(2 * np.pi * h * f0 * t + h) for h, a in enumerate([3, 0.8, 0.5, 0.3, 0.1], 1))
    return x + noise * rng.standard_normal(n)


cases = [
    case("shaft and its harmonics", 2560, harmonics(1024, 2560, 53.7, 0.2), 53.7),
    case("odd length, skewed, offset", 1000, 7.5 + rng.gamma(2.0, size=777) + harmonics(777, 1000, 60.0, 0), 60),
    case("prime length, noise", 997, rng.standard_normal(499), 40),
]
path = pathlib.Path(__file__).with_name("waveform.json")
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
