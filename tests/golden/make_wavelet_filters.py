"""Writes wavelet_filters.json: the low-pass filters of db1 to db10 and sym8, to the last bit.

By mpmath 1.4 with 60 digits, by spectral factorisation and so by another way than the equations in `src/spectrum/wavelet.rs`;
run by hand: python make_wavelet_filters.py
"""
import itertools
import json
import pathlib

from mpmath import arg, binomial, expjpi, mp, mpc, mpf, polyroots, sqrt

mp.dps = 60


def pairs(moments):
    """Of each root y of sum binomial(n - 1 + k, k) y^k the root z inside the unit circle of y = (2 - z - 1/z) / 4."""
    if moments == 1:
        return []
    coefficients = [binomial(moments - 1 + k, k) for k in reversed(range(moments))]
    inside = []
    for y in polyroots(coefficients, maxsteps=500, extraprec=400):
        b = 1 - 2 * y
        z = b + sqrt(b * b - 1)
        inside.append(z if abs(z) < 1 else 1 / z)
    return inside


def filter_of(moments, zeros):
    """(1 + x)^n times the zeros, normed to a sum of sqrt(2)."""
    h = [mpc(1)]
    for z in [mpf(-1)] * moments + zeros:
        h = [a - z * b for a, b in zip(h + [0], [0] + h)]
    total = sum(h)
    h = [v * sqrt(2) / total for v in h]
    assert max(abs(v.imag) for v in h) < mpf(10) ** -40
    return [v.real for v in h]


def bend(h):
    """How far the phase is from a straight line through its ends."""
    n, last, phase = 64, mpf(0), []
    for i in range(n):
        a = arg(sum(v * expjpi(-mpf(k * i) / n) for k, v in enumerate(h)))
        last += (a - last + mp.pi) % (2 * mp.pi) - mp.pi
        phase.append(last)
    return sum((p - phase[-1] * i / (n - 1)) ** 2 for i, p in enumerate(phase))


def symlet(moments):
    """Each group of conjugates inside or outside: that with the straightest phase, turned as analysis has it."""
    inside = pairs(moments)
    groups = [[z] if abs(z.imag) < mpf(10) ** -40 else [z, z.conjugate()] for z in inside if z.imag > -mpf(10) ** -40]
    choices = itertools.product(*[(g, [1 / z for z in g]) for g in groups])
    h = min((filter_of(moments, sum(c, [])) for c in choices), key=bend)
    return h if abs(h[0]) > abs(h[-1]) else h[::-1]


filters = {}
for moments in range(1, 11):
    # Zeros inside the circle: minimum phase. Analysis takes it turned round.
    filters[f"db{moments}"] = filter_of(moments, pairs(moments))[::-1]
filters["sym8"] = symlet(8)
# As text, which any reader of numbers takes to the last bit.
out = {name: [repr(float(v)) for v in h] for name, h in filters.items()}
pathlib.Path(__file__).with_name("wavelet_filters.json").write_text(json.dumps(out) + "\n")
