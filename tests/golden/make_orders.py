"""Writes orders.json: pulses of a tachometer, angles, resampling to equal angles, synchronous averages, gear indicators.

By NumPy 2.4 and SciPy 1.17; run by hand: python make_orders.py
"""
import json
import pathlib

import numpy as np
from scipy import interpolate, stats

rng = np.random.default_rng(5)

# A speed profile, its integral, and the times of some angles by a fine root search.
t = np.array([0.0, 0.4, 0.9, 1.0, 1.7, 2.0])
rpm = np.array([900.0, 1100.0, 1000.0, 1300.0, 700.0, 750.0])
speed = interpolate.make_interp_spline(t, rpm / 60, k=1)
angle = speed.antiderivative()
at = rng.uniform(0, 2, 20)
turns = angle(at)
profile = {"t": t.tolist(), "rpm": rpm.tolist(), "at": at.tolist(), "turns": turns.tolist()}

# A waveform at 2,000 Hz, low in frequency, at equal angles: by a spline of fifth degree through ten times as many samples.
rate, steps = 2000, 24
def wave(time):
    r = angle(time)
    return (np.sin(2 * np.pi * 1.0 * r) + 0.5 * np.cos(2 * np.pi * 3.5 * r + 1) + 0.3 * np.sin(2 * np.pi * 40 * time)
            + 0.2 * np.sin(2 * np.pi * 21 * time + 0.4) + 0.7)
fine = np.linspace(0, 2, 200_001)
inverse = interpolate.make_interp_spline(angle(fine), fine, k=3)
n_turns = int(angle(2.0))
places = np.arange(n_turns * steps) / steps
dense = np.arange(0, 2 * rate * 10 + 1) / (rate * 10)
turned = interpolate.make_interp_spline(dense, wave(dense), k=5)(inverse(places))
x = wave(np.arange(2 * rate + 1) / rate)
spectrum = np.abs(np.fft.rfft(turned[: 20 * steps])) * 2 / (20 * steps)
spectrum[[0, -1]] /= 2
resampled = {"rate": rate, "steps": steps, "x": x.tolist(), "turned": turned.tolist(), "amplitude": spectrum.tolist()}

# A synchronous average over two revolutions of 96, and its parts for meshes of 12 and 17.5 teeth.
records = rng.standard_normal((5, 192)) + 3 * np.sin(2 * np.pi * 12 * np.arange(192) / 96)
tsa = records.mean(axis=0)
noise = np.sqrt(np.mean(records.var(axis=0, ddof=1) / 5))
X = np.fft.rfft(tsa)
regular_bins, side_bins = {0, 2, 4}, set()
for mesh in (24, 35):
    for harmonic in range(mesh, 97, mesh):
        regular_bins.add(harmonic)
        for side in (2, 4):
            for b in (harmonic - side, harmonic + side):
                side_bins.add(b if b <= 96 else 192 - b)
side_bins -= regular_bins
def part(bins):
    keep = np.zeros(97)
    keep[list(bins)] = 1
    return np.fft.irfft(X * keep, 192)
regular, sides = part(regular_bins), part(side_bins)
residual = tsa - regular
difference = residual - sides
z = (difference - difference.mean()) / difference.std()
amplitude = 2 * np.abs(X) / 192
history = [residual * s for s in (0.8, 1.1, 1.0)]
average = {
    "records": records.ravel().tolist(), "tsa": tsa.tolist(), "noise": float(noise), "regular": regular.tolist(),
    "residual": residual.tolist(), "difference": difference.tolist(),
    "fm0": float(np.ptp(tsa) / amplitude[[24, 48, 72]].sum()),
    "fm4": float(stats.kurtosis(difference, fisher=False)), "m6a": float(np.mean(z**6)), "m8a": float(np.mean(z**8)),
    "energy_ratio": float(difference.std() / (tsa - difference).std()),
    "na4": [float(stats.moment(r, 4) / np.mean([h.var() for h in history[: i + 1]]) ** 2) for i, r in enumerate(history)],
}

pathlib.Path(__file__).with_name("orders.json").write_text(
    json.dumps({"profile": profile, "resampled": resampled, "average": average}) + "\n")
