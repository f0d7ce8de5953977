"""The keyed draws of `pipeline/training/src/random.rs`, in Python: what is injected into the references."""

import math

import numpy as np
from blake3 import blake3

CONTEXT = "pageloom 1 keyed random draws"


def chacha8(seed: bytes, block: int) -> list[int]:
    """The sixteen words of one block of ChaCha with eight rounds."""
    mask = 0xFFFFFFFF
    key = [int.from_bytes(seed[at : at + 4], "little") for at in range(0, 32, 4)]
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *key, block & mask, block >> 32, 0, 0]
    state = list(start)

    def quarter(a, b, c, d):
        for into, added, turned, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[into] = (state[into] + state[added]) & mask
            mixed = state[turned] ^ state[into]
            state[turned] = (mixed << by | mixed >> (32 - by)) & mask

    for _ in range(4):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return [(word + first) & mask for word, first in zip(state, start)]


class Draws:
    """One stream, read from its start."""

    def __init__(self, seed: bytes):
        self.seed, self.block, self.left = seed, 0, []

    def word(self) -> int:
        if not self.left:
            self.left = chacha8(self.seed, self.block)
            self.block += 1
        return self.left.pop(0)

    def words(self, count: int) -> np.ndarray:
        return np.array([self.word() for _ in range(count)], np.uint32)

    def white(self, count: int) -> np.ndarray:
        """Uniforms in single precision, as `torch.rand` has them: multiples of 2^-24."""
        return ((self.words(count) >> 8) / np.float64(2**24)).astype(np.float32)

    def long(self) -> int:
        low = self.word()
        return low | self.word() << 32

    def uniform(self) -> float:
        return (self.long() >> 11) / 2**53

    def within(self, start: int, end: int) -> int:
        bound = end - start
        if bound <= 0:
            return start
        while True:
            product = self.long() * bound
            if product % 2**64 >= 2**64 % bound:
                return start + (product >> 64)

    def normal(self) -> float:
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())

    def shuffle(self, items: list) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.within(0, last + 1)
            items[last], items[other] = items[other], items[last]

    def choose(self, count: int, bound: int) -> list[int]:
        chosen = set()
        for last in range(bound - count, bound):
            drawn = self.within(0, last + 1)
            chosen.add(last if drawn in chosen else drawn)
        return sorted(chosen)


class Streams:
    """All streams of one seed and purpose."""

    def __init__(self, seed: int, purpose: str):
        self.prefix = seed.to_bytes(8, "little") + with_length(purpose.encode())

    def of(self, key: bytes, view: int) -> Draws:
        parts = self.prefix + with_length(key) + view.to_bytes(4, "little")
        return Draws(blake3(parts, derive_key_context=CONTEXT).digest())


def with_length(part: bytes) -> bytes:
    return len(part).to_bytes(8, "little") + part


def not32(view: int) -> int:
    return view ^ 0xFFFFFFFF
