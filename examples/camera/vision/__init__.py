"""A stand-in for a detector."""

from vision.boxes import overlap


def find(frame):
    """Return the boxes of what is in a frame."""
    assert frame, "compiled with opt=3, this is not there"
    return [box for box in ((0, 0, 4, 4), (2, 2, 4, 4)) if overlap(box, (1, 1, 2, 2))]
