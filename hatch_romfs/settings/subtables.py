"""The tables inside ``[tool.romfs]``, such as ``mpy`` and each of ``sources``, with their keys."""

from __future__ import annotations

from hatch_romfs.settings.table import Model, Table, key
from hatch_romfs.settings.types import (
    Bool,
    Converted,
    Either,
    Int,
    ListOf,
    OneOf,
    TableOf,
    Text,
)
from hatch_romfs.settings.values import (
    ALIGNMENT,
    ARCH_FLAGS,
    ARCHS,
    DEVICE,
    FILE,
    FILE_PATH,
    FILENAME,
    FOLDER,
    IMAGE_PATH,
    LAYOUTS,
    MANIFEST,
    MAX_ADDRESS,
    MAX_VOLUME,
    PATTERN,
    RELEASE,
    SHORT_TEXT,
    SIZE,
    URL,
    Alignment,
    Device,
    arch_flags_problem,
    encoding_problem,
    file_problem,
    filename_problem,
    maker_problem,
    release_problem,
    variable_problem,
    volume_problem,
)

_FLAG = "|".join(ARCH_FLAGS)
_ADDRESS = Int(0, MAX_ADDRESS)


class Mpy(Model):
    """How `.py` files are compiled."""

    arch: str | None = key(
        OneOf(ARCHS),
        "The board's native architecture, needed for `@native`, `@viper`, and assembler functions.",
        default=None,
    )
    optimize: int = key(Int(0, 3), "The `-O` level: 1 removes asserts, 3 also line numbers.", default=0)
    emit: str = key(
        OneOf(("bytecode", "native", "viper")),
        "The code that is emitted for functions without a decorator.",
        default="bytecode",
    )
    micropython: str | None = key(
        Text('a MicroPython release such as "1.27"', check=release_problem, pattern=f"^{RELEASE}$"),
        "The oldest MicroPython release that must be able to load the code; by default the code is what the newest"
        " `mpy-cross` emits.",
        default=None,
    )
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN), "Patterns, matched against paths inside the image, of files that stay `.py`.", default=[]
    )
    arch_flags: str | None = key(
        Text(
            f"architecture flags, separated by commas: {', '.join(ARCH_FLAGS)}",
            check=arch_flags_problem,
            pattern=f"^({_FLAG})(,({_FLAG}))*$",
        ),
        "Extensions of the instruction set that native code may use, as `mpy-cross -march-flags` takes them; for"
        ' `arch = "rv32imc"` and firmware from 1.27 on. Only boards with all of them load the code.',
        default=None,
    )


MPY = Either(Converted(Bool(), lambda on: Mpy() if on else None), Table(Mpy, "a table"))
"""True, false, or a table."""


class Linux(Model):
    """What only Linux romfs has."""

    volume: str | None = key(
        Text(f"a name of at most {MAX_VOLUME} bytes", check=volume_problem, pattern=f"^.{{1,{MAX_VOLUME}}}$"),
        "The name of the volume; by default the project's, or `rom` for a plain folder.",
        default=None,
    )
    follow_symlinks: bool = key(
        Bool(),
        "Whether symbolic links are replaced by their targets, which must be inside the source folder.",
        default=False,
    )
    executable: tuple[str, ...] | None = key(
        ListOf(PATTERN),
        "Patterns, matched against paths inside the image, of the files that are executable; by default those that are"
        " executable on disk. Windows has no executable bits: with patterns it builds the same image.",
        default=None,
    )
    devices: dict[str, Device] = key(
        TableOf(DEVICE, file_problem, "paths inside the image"),
        'Devices by path, such as `"dev/console" = "c 5 1"`.',
        default={},
    )
    fifos: tuple[str, ...] = key(ListOf(FILE_PATH), "Paths of fifos.", default=[])
    sockets: tuple[str, ...] = key(ListOf(FILE_PATH), "Paths of sockets.", default=[])


class ManifestSource(Model):
    """A manifest, and what it needs to be evaluated."""

    path: str = key(MANIFEST, "The manifest, relative to `pyproject.toml`; a folder means its `manifest.py`.")
    variables: dict[str, str] = key(
        TableOf(Text("a path or a text"), variable_problem, "names of variables"),
        "The values of `$(NAME)`, such as `PORT_DIR` and `MPY_LIB_DIR`; paths are relative to `pyproject.toml`.",
        default={},
    )
    libraries: dict[str, str] = key(
        TableOf(FOLDER, variable_problem, "names of libraries"), "Folders of other libraries for `require`.", default={}
    )
    provided: tuple[str, ...] = key(
        ListOf(MANIFEST),
        "Manifests of what the firmware has frozen, which hides `/rom`: their modules are excluded.",
        default=[],
    )


_MANIFEST_TABLE = Table(ManifestSource, "a table with `path`")


def _manifest_from_path(path: str) -> ManifestSource:
    return ManifestSource(path)


MANIFESTS = Either(
    Either(
        Converted(MANIFEST, lambda path: (ManifestSource(path),)),
        Converted(_MANIFEST_TABLE, lambda source: (source,)),
    ),
    ListOf(Either(Converted(MANIFEST, _manifest_from_path), _MANIFEST_TABLE)),
)
"""One manifest or several, each as a path or a table."""


class Nested(Model):
    """How a nested image is built; a key that is missing has the value of the image around it."""

    alignment: Alignment = key(ALIGNMENT, "The alignment of its files, relative to its own start.", default=1)
    mpy: Mpy | None = key(MPY, "How its `.py` files are compiled.", default=True)
    metadata: bool = key(Bool(), "Whether it contains name, version, and hash, like the image around it.", default=True)
    share: bool = key(Bool(), "Whether files with equal bytes are stored once.", default=True)
    layout: str = key(OneOf(LAYOUTS), "Its layout, as for the image around it.", default="compact")


class Source(Model):
    """A folder whose content goes into the image."""

    path: str = key(FOLDER, "The folder, relative to `pyproject.toml`.")
    to: str = key(IMAGE_PATH, "Where its content goes, inside the image or below `lib-dir`.", default="")
    include: tuple[str, ...] = key(
        ListOf(PATTERN), "If given, only files that match one of these patterns.", default=[]
    )
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN), "Patterns to exclude from this folder, in addition to the general ones.", default=[]
    )
    image: Nested | None = key(
        Table(Nested, "a table"),
        "Packs the folder as an image of its own, the file `to` of the image around it, which can be mounted in place.",
        default=None,
    )


def _source_from_path(path: str) -> Source:
    return Source(path)


SOURCES = ListOf(Either(Converted(FOLDER, _source_from_path), Table(Source, "a table with `path`")))
"""Folders, each as a path or a table."""


class Bundle(Model):
    """Firmware that the build puts the image into."""

    firmware: str = key(
        FILE,
        "The firmware, relative to `pyproject.toml`: a UF2, Intel HEX, S-record, DfuSe, or ESP32 file, or a plain"
        " binary.",
    )
    filename: str | None = key(
        Text("the name of a file", check=filename_problem, pattern=FILENAME),
        "The name of the bundle, beside the image and with the same placeholders; by default that of the image, with"
        " the suffix of the firmware.",
        default=None,
    )
    address: int | None = key(
        _ADDRESS,
        "The address of the ROMFS partition, if the firmware does not say it; its size is then `size` of the image.",
        default=None,
    )
    base_address: int | None = key(
        _ADDRESS, "The address of the first byte of firmware that is a plain binary.", default=None
    )
    partition_table: str | None = key(
        FILE, "The partition table of firmware that is an application for the ESP32 without one.", default=None
    )
    add_partition: int | None = key(
        SIZE, "The size of a ROMFS partition to add to the partition table of an ESP32.", default=None
    )
    erase_fs: bool = key(
        Bool(),
        "Whether the bundle also erases the start of the writable filesystem, so that it starts empty.",
        default=False,
    )


class Page(Model):
    """What the web page says that `romfs-image page` writes."""

    maker: str | None = key(
        Text("one line", check=maker_problem, pattern=f"^{SHORT_TEXT}$"),
        "Who makes the app, such as the name of a company.",
        default=None,
    )
    text: str | None = key(
        Text("a text", check=encoding_problem),
        "What to say about the app, such as which board it is for.",
        default=None,
    )
    links: dict[str, str] = key(
        TableOf(URL, maker_problem, "texts"),
        'Links by their texts, such as `Support = "https://example.com/support"`.',
        default={},
    )
