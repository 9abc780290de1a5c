"""The values that ``[tool.romfs]`` has keys for: sizes, alignments, devices, paths, and what is wrong with others."""

from __future__ import annotations

import re
from typing import NamedTuple

from hatch_romfs.paths import path_problem
from hatch_romfs.settings.patterns import pattern_problem
from hatch_romfs.settings.types import Converted, Either, Int, TableOf, Text

FORMATS = ("micropython", "linux")
LAYOUTS = ("compact", "stable")
ARCHS = (
    "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)  # fmt: skip
"""The values of ``mpy-cross -march``, in the order of their numbers in .mpy files, which start at 1."""
ARCH_FLAGS = ("zba", "zcmp")
"""The values of ``mpy-cross -march-flags``, in the order of their bits in .mpy files; only FLAGS_ARCH has any."""
FLAGS_ARCH = "rv32imc"
FLAGS_SINCE = (1, 27)
"""The first MicroPython release that loads ``.mpy`` files with architecture flags, and whose mpy-cross writes them."""
MAX_ALIGNMENT = 1 << 20
MODELS = (".tflite", ".lite", ".circle", ".ort", ".pte", ".kmodel", ".espdl")
"""The suffixes of models that are used where they lie in flash: FlatBuffers and similar formats."""
MODEL_ALIGNMENT = 16
"""The alignment of models in bytes, if nothing else is known: readers of FlatBuffers need it."""
MAX_SIZE = 0xFFFF_FFFF
MAX_PARTITION = 255
MAX_ADDRESS = 0xFFFF_FFFF
MAX_VOLUME = 127
_MAX_MAJOR = 4095
_MAX_DEVICE = 0xFFFF

RELEASE = r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?"
BACKEND = r"^(?!hatch_romfs\.)[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)?$"
IMAGE_NAME = "[A-Za-z0-9_-]{1,50}"
_DEVICE = "[bc] [0-9]{1,5} [0-9]{1,5}"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_SHORT_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20}
_SIZE = "([1-9][0-9]{0,9}) ?(B|KiB|MiB)"
MAX_SHORT_TEXT = 100
SHORT_TEXT = rf"[^\x00-\x1f\x7f]{{1,{MAX_SHORT_TEXT}}}"
LINK = r"(https?://[^\x00-\x20\x7f/?#]|mailto:[^\x00-\x20\x7f])[^\x00-\x20\x7f]*"
FILENAME = r'^[^/\\:*?"<>|]+$'
_PLACEHOLDER = r"\{([^{}]*)\}"


def _size_problem(text: str) -> str | None:
    if not re.fullmatch(_SIZE, text):
        return f'must be a size such as "128 KiB" or "24 MiB", not {text!r}'
    return None if parse_size(text) <= MAX_SIZE else f"must be less than 4 GiB, not {text!r}"


def parse_size(text: str) -> int:
    """Return the bytes of a valid size, such as ``128 KiB``."""
    count = text.rstrip("BKMi ")
    return int(count) * _UNITS[text[len(count) :].strip()]


def read_size(text: str) -> int | None:
    """Return the bytes of a size on a command line, such as ``128 KiB`` or ``128K``; None if it is not a size."""
    match = re.fullmatch(r"([0-9]{1,12}) ?([a-z]*)", text.lower())
    return int(match[1]) * _SHORT_UNITS[match[2]] if match and match[2] in _SHORT_UNITS else None


def release_problem(text: str) -> str | None:
    """Return why a text is not a MicroPython release, or None."""
    return None if re.fullmatch(RELEASE, text) else f'must be a MicroPython release such as "1.27", not {text!r}'


def arch_flags_problem(text: str) -> str | None:
    """Return why a text cannot be a list of architecture flags, or None."""
    if all(name in ARCH_FLAGS for name in text.split(",")):
        return None
    return f'must be one or more of {", ".join(ARCH_FLAGS)}, separated by commas, such as "zba,zcmp", not {text!r:.60}'


def backend_problem(text: str) -> str | None:
    """Return why a text cannot name the build backend that does the work, or None."""
    if text.startswith("hatch_romfs."):
        return f"must be the backend that builds the wheel, not {text!r:.60}"
    if re.fullmatch(BACKEND, text) and "\n" not in text:
        return None
    return f"must be a build backend such as 'flit_core.buildapi', not {text!r:.60}"


def maker_problem(text: str) -> str | None:
    """Return why a text cannot be the name of a maker, or of a link, or None."""
    if not re.fullmatch(SHORT_TEXT, text):
        return f"must be one line of at most {MAX_SHORT_TEXT} characters"
    return encoding_problem(text)


def encoding_problem(text: str) -> str | None:
    """Return why a text cannot be part of a page, or None; bytes of a command line need not be UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must be valid UTF-8"
    return None if text else "must not be empty"


def _link_problem(url: str) -> str | None:
    if re.fullmatch(LINK, url):
        return encoding_problem(url)
    return f"must be a link such as 'https://example.com' or 'mailto:me@example.com', not {url!r:.60}"


def filename_problem(text: str) -> str | None:
    """Return why a text cannot be the name of an image file, or None."""
    unknown = [name for name in re.findall(_PLACEHOLDER, text) if name not in ("name", "version", "image")]
    if unknown:
        return f"can contain {{name}}, {{version}}, and {{image}}, not {{{unknown[0]}}}"
    plain = re.sub(_PLACEHOLDER, "x", text)
    if not plain or plain in (".", "..") or re.search(r'[/\\:*?"<>|{}\0]', plain):
        return f"must be the name of a file, without folders, not {text!r}"
    return None


def _folder_problem(text: str) -> str | None:
    return "must be the path of a folder" if not text or "\0" in text else None


def _file_problem(text: str) -> str | None:
    return "must be the path of a file" if not text or "\0" in text else None


def volume_problem(text: str) -> str | None:
    """Return why a text cannot be the name of a volume, or None."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "must be valid UTF-8"
    return None if 0 < size <= MAX_VOLUME and "\0" not in text else f"must be 1 to {MAX_VOLUME} bytes, without a NUL"


def file_problem(path: str) -> str | None:
    """Return why a path cannot be that of a file in an image, or None."""
    return path_problem(path) if path else "must not be empty"


def is_model(path: str) -> bool:
    """Return whether a file has the name of a model."""
    return path.lower().endswith(MODELS)


def variable_problem(name: str) -> str | None:
    """Return why a text cannot be the name of a manifest's variable, or None."""
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", name):
        return None
    return f"must consist of letters, digits, and '_', not {name!r}"


def _device_problem(text: str) -> str | None:
    if re.fullmatch(_DEVICE, text) and max(map(int, text.split()[1:])) <= _MAX_DEVICE:
        major = int(text.split()[1])
        if major <= _MAX_MAJOR:
            return None
        return f"has the major number {major}, of which Linux keeps only 12 bits: it must be at most {_MAX_MAJOR}"
    return f'must be a type (b or c) and two numbers below 65536, such as "c 5 1", not {text!r:.60}'


class Alignment(NamedTuple):
    """How file data is aligned, in bytes: for each file the largest of the patterns that match, else the default."""

    default: int = 1
    patterns: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_table(cls, table: dict[str, int]) -> Alignment:
        """Return the alignment of a table of patterns and ``default``."""
        return cls(table.get("default", 1), tuple((name, size) for name, size in table.items() if name != "default"))


class Device(NamedTuple):
    """A device, in the terms of ``mknod``."""

    kind: str
    major: int
    minor: int

    @classmethod
    def from_text(cls, text: str) -> Device:
        """Return the device of a valid text, such as ``c 5 1``."""
        letter, major, minor = text.split()
        return cls({"b": "block device"}.get(letter, "character device"), int(major), int(minor))


PATTERN = Text("a gitignore pattern", check=pattern_problem, pattern=r"\S")
IMAGE_PATH = Converted(
    Text(
        "a path inside the image",
        check=lambda path: path_problem(path.removesuffix("/") or path),
        pattern=r"^[^/\\][^\\]*$|^$",
    ),
    lambda path: path.removesuffix("/"),
)
FOLDER = Text("a folder", check=_folder_problem)
FILE = Text("a file", check=_file_problem)
SIZE = Either(
    Int(1, MAX_SIZE),
    Converted(Text('a size such as "128 KiB"', check=_size_problem, pattern=f"^{_SIZE}$"), parse_size),
)
_ALIGNMENT = Int(1, MAX_ALIGNMENT, power=True)
ALIGNMENT = Either(
    Converted(_ALIGNMENT, Alignment),
    Converted(TableOf(_ALIGNMENT, pattern_problem, '"default" and patterns'), Alignment.from_table),
)
MANIFEST = Text("the path of a manifest.py")
DEVICE = Converted(
    Text('a type (b or c) and two numbers below 65536, such as "c 5 1"', check=_device_problem, pattern=f"^{_DEVICE}$"),
    Device.from_text,
)
FILE_PATH = Text("a path inside the image", check=file_problem, pattern=r"^[^/\\][^\\]*$")
WHEEL_PATH = Text("the path of a file in the wheel", check=file_problem, pattern=r"^[^/\\][^\\]*$")
URL = Text("a link (https, http, or mailto)", check=_link_problem, pattern=f"^{LINK}$")
