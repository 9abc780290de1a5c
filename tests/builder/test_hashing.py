"""Hashing in a thread: the same hash, and no error gets lost."""

import hashlib

import pytest

from hatch_romfs.builder.hashing import Digest


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 200])
def test_the_hash_is_that_of_all_chunks(count):
    expected = hashlib.sha256()
    with Digest() as digest:
        for number in range(count):
            chunk = bytes([number]) * 1000
            digest.update(chunk)
            expected.update(chunk)
        assert digest.hexdigest() == expected.hexdigest()


def test_an_error_in_the_thread_is_raised_and_blocks_nothing():
    class Failing:
        def update(self, chunk):
            raise MemoryError(f"no room for {len(chunk)} bytes")

    with Digest() as digest:
        for _ in range(40):
            digest.update(b"x")
        digest._digest = Failing()  # type: ignore[assignment]
        for _ in range(100):
            digest.update(b"x")
        with pytest.raises(MemoryError, match="no room for 1 bytes"):
            digest.hexdigest()
