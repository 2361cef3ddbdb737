"""Writes spectrum.json: tapers, Welch spectra, coherence, spectrograms, envelopes, cepstra, resampling and detrending.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_spectrum.py
"""
import json
import pathlib

import numpy as np
from scipy import ndimage, signal

rng = np.random.default_rng(11)
TAPERS = {"hann": "hann", "rectangular": "boxcar", "hamming": "hamming", "blackman": "blackman",
          "blackman_harris": "blackmanharris", "flat_top": "flattop"}

tapers = {name: {str(n): signal.get_window(w, n).tolist() for n in (8, 13)} for name, w in TAPERS.items()}

n = 300
t = np.arange(n)
x = np.sin(0.31 * t) + 0.5 * rng.standard_normal(n) + 3.0 + 0.01 * t
y = np.cos(0.31 * t) + np.convolve(rng.standard_normal(n), [1, 0.5], "same")
detrends = {"none": False, "mean": "constant", "linear": "linear"}

welch = []
for taper, detrend, scaling, average, nperseg, overlap in [
    ("hann", "mean", "density", "mean", 64, 32), ("hann", "linear", "spectrum", "mean", 63, 31),
    ("flat_top", "none", "spectrum", "median", 32, 20), ("blackman_harris", "mean", "density", "median", 50, 0),
    ("rectangular", "linear", "density", "mean", 100, 99), ("hamming", "mean", "density", "median", 300, 10),
]:
    kw = dict(fs=51.2, window=TAPERS[taper], nperseg=nperseg, noverlap=overlap, detrend=detrends[detrend], scaling=scaling)
    case = dict(taper=taper, detrend=detrend, scaling=scaling, average=average, segment=nperseg, overlap=overlap)
    case["psd"] = signal.welch(x, average=average, **kw)[1].tolist()
    c = signal.csd(x, y, average=average, **kw)[1]
    case["cross"] = [c.real.tolist(), np.imag(c).tolist()]
    case["spectrogram"] = signal.spectrogram(x, mode="psd", **kw)[2].T.ravel().tolist() if nperseg < 100 else None
    case["times"] = signal.spectrogram(x, mode="psd", **kw)[1].tolist() if nperseg < 100 else None
    if average == "mean":
        kw.pop("scaling")
        case["coherence"] = signal.coherence(x, y, **kw)[1].tolist()
    else:
        case["coherence"] = None
    welch.append(case)

analytic = []
for m in (40, 41):
    z = signal.hilbert(x[:m])
    analytic.append({"n": m, "re": z.real.tolist(), "im": z.imag.tolist()})

cepstra = []
for m in (48, 51):
    X = np.fft.rfft(y[:m])
    cepstra.append({
        "n": m,
        "real": np.fft.irfft(np.log(np.abs(X)), m).tolist(),
        "power": (np.fft.irfft(np.log(np.abs(X) ** 2), m) ** 2).tolist(),
        "white": np.fft.irfft(X / np.abs(X), m).tolist(),
    })

resampled = [{"up": u, "down": d, "y": signal.resample_poly(y, u, d).tolist()}
             for u, d in ((1, 4), (3, 2), (2, 3), (4, 1), (7, 5))]

out = {
    "tapers": tapers, "x": x.tolist(), "y": y.tolist(), "welch": welch, "analytic": analytic, "cepstra": cepstra,
    "resampled": resampled, "detrended": signal.detrend(x).tolist(),
    "median_11": ndimage.median_filter(x, 11, mode="reflect").tolist(),
}
pathlib.Path(__file__).with_name("spectrum.json").write_text(json.dumps(out) + "\n")
