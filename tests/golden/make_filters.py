"""Writes filters.json: Butterworth and notch filters, what they make of a signal, integration and interpolation.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_filters.py
"""
import json
import pathlib

import numpy as np
from scipy import signal

RATE = 1000.0
rng = np.random.default_rng(17)
n = 240
t = np.arange(n) / RATE
x = np.sin(2 * np.pi * 31 * t) + 0.3 * rng.standard_normal(n) + 2.0 + 4.0 * t
frequencies = np.linspace(0.0, 0.5 * RATE, 41)


def filtered(sos):
    h = signal.sosfreqz(sos, worN=frequencies, fs=RATE)[1]
    steady, _ = signal.sosfilt(sos, x, zi=signal.sosfilt_zi(sos) * x[0])
    return {
        "response": [np.real(h).tolist(), np.imag(h).tolist()],
        "zero": signal.sosfilt(sos, x).tolist(),
        "steady": steady.tolist(),
        "zero_phase": signal.sosfiltfilt(sos, x).tolist(),
    }


butterworth = []
for order, kind, edges in [
    (1, "low", [40]), (2, "low", [100]), (5, "low", [60]), (12, "low", [200]),
    (1, "high", [40]), (4, "high", [10]), (7, "high", [300]),
    (1, "band", [50, 120]), (1, "band", [5, 480]), (2, "band", [20, 300]), (3, "band", [5, 480]), (6, "band", [90, 110]),
    (1, "stop", [45, 55]), (3, "stop", [100, 300]), (3, "stop", [5, 480]), (8, "stop", [60, 200]),
]:
    btype = {"low": "lowpass", "high": "highpass", "band": "bandpass", "stop": "bandstop"}[kind]
    sos = signal.butter(order, edges if len(edges) > 1 else edges[0], btype, fs=RATE, output="sos")
    name = {"low": "low_pass", "high": "high_pass", "band": "band_pass", "stop": "band_stop"}[kind]
    band = {name: [float(e) for e in edges] if len(edges) > 1 else float(edges[0])}
    butterworth.append({"settings": {"order": order, "band": band}} | filtered(sos))

notches = []
for f, q in [(50.0, 30.0), (120.0, 2.0), (400.0, 5.0)]:
    b, a = signal.iirnotch(f, q, fs=RATE)
    notches.append({"settings": {"frequency_hz": f, "quality": q}} | filtered(np.concatenate([b, a])[None, :]))

integrals = []
for m, stop, high in [(240, 0.0, 1.0), (240, 20.0, 40.0), (227, 8.0, 8.0)]:
    f = np.fft.rfftfreq(m, 1 / RATE)
    share = np.clip((f - stop) / (high - stop), 0, 1) if high > stop else (f >= high).astype(float)
    h = 0.5 - 0.5 * np.cos(np.pi * share)
    w = 2 * np.pi * np.where(f > 0, f, 1)
    X = np.fft.rfft(signal.detrend(x[:m])) * np.where(f > 0, h, 0)
    integrals.append({
        "n": m, "high_pass_hz": [stop, high],
        "velocity": np.fft.irfft(X / (1j * w), m).tolist(), "displacement": np.fft.irfft(-X / w**2, m).tolist(),
    })

# Uneven instants in nanoseconds, and a grid of 7 Hz from the first to the last of them.
nanos = np.cumsum(rng.integers(20_000_000, 400_000_000, 60)) + 1_700_000_000_000_000_000
values = rng.standard_normal(60)
since = (nanos - nanos[0]) * 1e-9
grid = np.arange(int(np.floor(since[-1] * 7)) + 1) / 7
nearest = np.abs(since[None, :] - grid[:, None]).argmin(axis=1)
uneven = {
    "rate": 7.0, "nanos": nanos.tolist(), "values": values.tolist(), "linear": np.interp(grid, since, values).tolist(),
    "previous": values[np.searchsorted(since, grid, side="right") - 1].tolist(), "nearest": values[nearest].tolist(),
}

out = {
    "x": x.tolist(), "frequencies": frequencies.tolist(), "butterworth": butterworth, "notches": notches,
    "integrals": integrals,
}


def shortened(v):
    """Fifteen digits are as exact as these results are, and keep the file small."""
    if isinstance(v, float):
        return float(f"{v:.15g}")
    if isinstance(v, list):
        return [shortened(e) for e in v]
    return {k: shortened(e) for k, e in v.items()} if isinstance(v, dict) else v


out = shortened(out) | {"x": out["x"], "uneven": uneven}
pathlib.Path(__file__).with_name("filters.json").write_text(json.dumps(out) + "\n")
