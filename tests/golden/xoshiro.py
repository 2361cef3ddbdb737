"""First uniforms of xoshiro256+ seeded by SplitMix64, from the published definitions (https://prng.di.unimi.it).

Prints the bit patterns that src/simulate/random.rs pins.  Run: python3 tests/golden/xoshiro.py
"""
import struct

MASK = (1 << 64) - 1


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def xoshiro256plus(s):
    while True:
        yield (s[0] + s[3]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & MASK


seeds = splitmix64(7)
outputs = xoshiro256plus([next(seeds) for _ in range(4)])
for _ in range(2):
    uniform = (next(outputs) >> 11) / 2.0**53
    print(uniform, "0x%016X" % struct.unpack("<Q", struct.pack("<d", uniform))[0])
