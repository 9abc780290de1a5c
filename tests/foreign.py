"""MicroPython images as other tools write them and our writer does not, built by hand; boards mount them."""

from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.records import MAGIC, varuint

DATA = {"main.py": b"said = 'hello'\n", "lib/model.tflite": bytes(range(256)) * 3, "empty": b""}


def record(kind: int, payload: bytes, *, padding: int = 0) -> bytes:
    """Return a record whose length has ``padding`` more bytes than it needs, each 0x80."""
    return varuint(kind) + b"\x80" * padding + varuint(len(payload)) + payload


def named(kind: int, name: str, payload: bytes, *, padding: int = 0) -> bytes:
    return record(kind, varuint(len(name)) + name.encode() + payload, padding=padding)


def image(payload: bytes, header: int = 0) -> bytes:
    """Return an image of any size whose header is at least ``header`` bytes: OpenMV's builder pads it to 16."""
    return MAGIC + varuint(len(payload), header - len(MAGIC)) + payload


def payload(*, odd: bool, metadata: bool = False, padding: int = 0) -> bytes:
    """Return the records of DATA, of which there are an odd or an even number of bytes."""
    comment = record(1, Metadata("app", "1.0").signed("0" * 64).encode(), padding=padding) if metadata else b""
    model = named(5, "model.tflite", record(2, DATA["lib/model.tflite"], padding=padding), padding=padding)
    records = (
        comment
        + named(5, "main.py", record(2, DATA["main.py"]))
        + named(4, "lib", model, padding=padding)
        + named(5, "empty", record(2, b""))
    )
    return records + (record(9, b"x") if len(records) % 2 != odd else b"")


IMAGES = {
    "padded header": image(payload(odd=False), header=16),
    "padded header, odd": image(payload(odd=True), header=16),
    "long header, odd": image(payload(odd=False), header=33),
    "odd": image(payload(odd=False)),  # its header is 5 bytes
    "padded records, odd": image(payload(odd=True, padding=5), header=16),
    "empty, padded header": image(b"", header=16),
    "empty, odd": image(b"", header=17),
}
"""Images by what is unusual about them."""
TAILS = {
    "nothing": b"",
    "one zero": b"\0",
    "zeros": bytes(3000),
    "erased flash": b"\xff" * 3000,
    "zeros, then erased flash": bytes(2777) + b"\xff" * 3000,
    "erased flash, then zeros": b"\xff" * 2777 + bytes(3000),
}
"""What may follow an image in its file or partition."""
