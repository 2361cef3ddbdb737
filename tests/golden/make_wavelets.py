"""Writes wavelets.json: wavelet packets and Morlet transforms of a noise with a chirp.

By NumPy 2.4, SciPy 1.17 and PyWavelets 1.8; run by hand: python make_wavelets.py
"""
import json
import pathlib

import numpy as np
import pywt

rng = np.random.default_rng(17)
n, rate = 320, 1000.0
t = np.arange(n)
x = np.sin(2e-3 * t**2) + 0.3 * rng.standard_normal(n) + 0.5

packets = []
for name in [f"db{i}" for i in range(1, 11)] + ["sym8"]:
    level = 4 if name in ("db4", "db10", "sym8") else 2
    tree = pywt.WaveletPacket(x, name, "periodization", maxlevel=level)
    nodes = [node.data for node in tree.get_level(level, order="freq")]
    packets.append({
        "wavelet": name, "level": level, "energies": [float(np.sum(d**2)) for d in nodes],
        "coefficients": np.concatenate(nodes).tolist() if name in ("db1", "db4", "db10") else None,
    })

# The definition over a two-sided transform.
omega_0, frequencies = 6.0, [30.0, 62.5, 150.0, 333.0, 500.0]
nu = np.fft.fftfreq(n, 1 / rate)
X = np.fft.fft(x)
rows = []
for f in frequencies:
    c = np.where(nu > 0, 2.0, 0.0)
    c[n // 2] = 1.0
    rows.append(np.abs(np.fft.ifft(c * X * np.exp(-0.5 * (omega_0 * (np.abs(nu) / f - 1)) ** 2))).tolist())

# And by sums over the sampled wavelet, which know nothing of the other end.
k = np.arange(-n // 2, n // 2)
sums = []
for f in frequencies[1:3]:
    s = omega_0 / (2 * np.pi) * rate / f
    psi = 2 / (s * np.sqrt(2 * np.pi)) * np.exp(-0.5 * (k / s) ** 2 + 1j * omega_0 * k / s)
    sums.append(np.abs(np.convolve(x, psi))[n // 2: n // 2 + n].tolist())

# And PyWavelets, whose wavelet has unit energy and is taken from a table by nearest values.
scales = omega_0 / (2 * np.pi) * rate / np.array(frequencies[1:3])
w, _ = pywt.cwt(x, scales, f"cmor2.0-{omega_0 / (2 * np.pi)!r}", precision=14)
sampled = (np.abs(w) * 2 / np.sqrt(scales)[:, None]).tolist()

pathlib.Path(__file__).with_name("wavelets.json").write_text(json.dumps({
    "x": x.tolist(), "packets": packets, "omega_0": omega_0, "frequencies": frequencies, "rows": rows,
    "sums": sums, "sampled": sampled}) + "\n")
