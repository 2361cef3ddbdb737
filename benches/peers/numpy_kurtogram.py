"""The kurtogram of `spectrum::Kurtogram` in NumPy: an orientation, for no library has one."""
import numpy as np
import scipy.fft

LEVELS, OVERLAP = 7, 0.125


def smooth_length(n):
    """The least length of at least n whose prime factors are 2, 3 and 5."""
    def is_smooth(m):
        for p in (2, 3, 5):
            while m % p == 0:
                m //= p
        return m == 1
    return next(m for m in range(n, 2 * n + 1) if is_smooth(m))


def plan(x):
    n = len(x)
    bands = []  # bins, weights and length of each
    counts = [c for level in range(LEVELS + 1) for c in [1 << level] + ([3 << level - 1] if 1 <= level < LEVELS else [])]
    for count in counts:
        width = 0.5 * n / count
        reach = 0.0 if count == 1 else OVERLAP * width
        length = smooth_length(int(np.ceil(width + 2 * reach)) + 2)
        for i in range(count):
            lo, hi = i * width, (i + 1) * width
            start, end = lo - reach * (i > 0), hi + reach * (i + 1 < count)
            f = np.arange(int(np.ceil(start)), min(int(np.floor(end)), n // 2) + 1)
            weight = np.ones(len(f))
            for is_inner, distance in [(i > 0, f - lo), (i + 1 < count, hi - f)]:
                if is_inner:
                    weight *= np.sin(0.5 * np.pi * np.clip(0.5 + 0.5 * distance / reach, 0, 1))
            bands.append((slice(f[0], f[-1] + 1), weight, length))

    def call():
        spectrum = scipy.fft.rfft(x - x.mean())
        out = []
        for bins, weight, length in bands:
            envelope = scipy.fft.ifft(spectrum[bins] * weight, length)
            power = envelope.real**2 + envelope.imag**2
            out.append(len(power) * (power @ power) / power.sum() ** 2 - 2)
        return np.array(out)
    return call
