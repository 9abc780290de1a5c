"""The last values of a series, in memory that is allocated once."""

from array import array


class RingBuffer:
    """Keeps the last ``size`` integers of 32 bits, oldest first."""

    def __init__(self, size):
        if size < 1:
            raise ValueError("size must be positive")
        self._values = array("i", [0] * size)
        self._next = 0
        self._count = 0

    def append(self, value):
        """Add a value; if the buffer is full, it replaces the oldest."""
        self._values[self._next] = value
        self._next = (self._next + 1) % len(self._values)
        self._count = min(self._count + 1, len(self._values))

    def latest(self):
        """Return the value that was added last; raises IndexError if there is none."""
        if not self._count:
            raise IndexError("the buffer is empty")
        return self._values[self._next - 1]

    def __len__(self):
        return self._count

    def __iter__(self):
        first = self._next - self._count  # negative once the buffer has wrapped around
        for at in range(first, self._next):
            yield self._values[at % len(self._values)]
