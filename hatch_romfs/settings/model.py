"""The table ``[tool.romfs]``: every key with its type, its default, and what it means.

The parser, the JSON schema, and the reference page all come from these classes.
"""

from __future__ import annotations

import re
from typing import ClassVar

from hatch_romfs.errors import Problem
from hatch_romfs.settings.table import Model, Table, key
from hatch_romfs.settings.types import (
    INVALID,
    Bool,
    Converted,
    Either,
    Int,
    ListOf,
    OneOf,
    Place,
    Problems,
    Schema,
    TableOf,
    Text,
    type_name,
)
from hatch_romfs.settings.values import (
    ALIGNMENT,
    ARCH_FLAGS,
    ARCHS,
    BACKEND,
    DEVICE,
    FILE,
    FILE_PATH,
    FILENAME,
    FOLDER,
    FORMATS,
    IMAGE_NAME,
    IMAGE_PATH,
    LAYOUTS,
    MANIFEST,
    MAX_ADDRESS,
    MAX_PARTITION,
    MAX_VOLUME,
    PATTERN,
    RELEASE,
    SHORT_TEXT,
    SIZE,
    URL,
    WHEEL_PATH,
    Alignment,
    Device,
    arch_flags_problem,
    backend_problem,
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


_MPY = Either(Converted(Bool(), lambda on: Mpy() if on else None), Table(Mpy, "a table"))


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


class Nested(Model):
    """How a nested image is built; a key that is missing has the value of the image around it."""

    alignment: Alignment = key(ALIGNMENT, "The alignment of its files, relative to its own start.", default=1)
    mpy: Mpy | None = key(_MPY, "How its `.py` files are compiled.", default=True)
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


_SOURCES = ListOf(Either(Converted(FOLDER, _source_from_path), Table(Source, "a table with `path`")))


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


_SHARED = {
    "images": "an image cannot have further images",
    "backend": "belongs in [tool.romfs]: all images share one backend",
    "page": "belongs in [tool.romfs]: all images share one page",
}
"""The keys that one of several images cannot have, and why."""


class _Images:
    """A table of tables with the keys of Settings, which are read on their own: each is a layer above this table."""

    toml: ClassVar[type] = dict

    def read(self, raw: dict[str, object], place: Place, problems: Problems) -> dict[str, Settings]:
        """Read each table."""
        images = {}
        for name, table in raw.items():
            at = place.key(name)
            if not re.fullmatch(IMAGE_NAME, name):
                problems.append(Problem(str(at), f"must consist of letters, digits, '-', and '_', not {name!r}"))
            if not isinstance(table, dict):
                problems.append(Problem(str(at), f"must be a table, not {type_name(table)}"))
                images[name] = INVALID
                continue
            problems += [Problem(str(at.key(key)), why) for key, why in _SHARED.items() if key in table]
            if table.get("dependencies", []) != []:
                problems.append(
                    Problem(str(at.key("dependencies")), "can only be [], for none: all images share one romfs.lock")
                )
            own = {name: value for name, value in table.items() if name not in _SHARED}
            images[name] = Table(Settings).read(own, at, problems)
        return INVALID if INVALID in images.values() else images

    def schema(self) -> Schema:
        """Return the JSON schema."""
        known = {name: entry for name, entry in Settings.keys.items() if name not in _SHARED}
        properties = {name: entry.value.schema() | {"description": entry.doc} for name, entry in known.items()}
        table = {"type": "object", "additionalProperties": False, "properties": properties}
        return {"type": "object", "propertyNames": {"pattern": f"^{IMAGE_NAME}$"}, "additionalProperties": table}

    def text(self) -> str:
        """Describe what is allowed."""
        return "a table of tables with keys of this table"


class _BoardName(Text):
    """The name of a board in ``boards.toml``, which is read only if there is such a name."""

    def __init__(self) -> None:
        super().__init__("the name of a board", check=self._problem)

    @staticmethod
    def _problem(name: str) -> str | None:
        from hatch_romfs.settings.boards import name_problem  # noqa: PLC0415 - few tables name a board

        return name_problem(name)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        from hatch_romfs.settings.boards import boards  # noqa: PLC0415

        return {"type": "string", "enum": sorted(boards())}


class Settings(Model):
    """The table `[tool.romfs]`."""

    format: str = key(OneOf(FORMATS), "The image's format: MicroPython's ROMFS, or Linux romfs.", default="micropython")
    sources: tuple[Source, ...] = key(
        _SOURCES,
        "Folders whose content becomes the root of the image; or tables `{ path, to, include, exclude }`.",
        default=["src"],
    )
    lib: tuple[Source, ...] = key(_SOURCES, "The same, for `lib-dir`.", default=[])
    lib_dir: str = key(
        IMAGE_PATH, "Where libraries go inside the image; boards have `/rom/lib` on `sys.path`.", default="lib"
    )
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN),
        "Gitignore patterns of what to exclude, after the built-in ones; `!pattern` includes something again.",
        default=[],
    )
    alignment: Alignment = key(
        ALIGNMENT,
        "The alignment of file data in bytes; or a table of patterns, in which the largest match counts. Models,"
        " such as `*.tflite`, have at least 16 unless a pattern matches them.",
        default=1,
    )
    mpy: Mpy | None = key(
        _MPY,
        "Whether `.py` files are compiled to `.mpy`, or a table that says how; off by default for `linux`.",
        default=True,
    )
    manifest: tuple[ManifestSource, ...] = key(
        Either(
            Either(
                Converted(MANIFEST, lambda path: (ManifestSource(path),)),
                Converted(_MANIFEST_TABLE, lambda source: (source,)),
            ),
            ListOf(Either(Converted(MANIFEST, _manifest_from_path), _MANIFEST_TABLE)),
        ),
        "A `manifest.py`, or a list of them, whose modules and packages go to the root of the image.",
        default=[],
    )
    dependencies: tuple[str, ...] = key(
        ListOf(Text("a mip package")), "mip packages, which go to `lib-dir`; `romfs.lock` pins them.", default=[]
    )
    filename: str = key(
        Text("the name of a file", check=filename_problem, pattern=FILENAME),
        "The name of the image file in the build's output folder. `{name}` and `{version}` are the project's, and"
        " `{image}` is the name of the image, if there are several. These default to `{name}-{image}.romfs`.",
        default="{name}.romfs",
    )
    directory: str | None = key(
        FOLDER,
        "The folder for the image, relative to `pyproject.toml`; by default the output folder of the build.",
        default=None,
    )
    size: int | None = key(
        SIZE,
        "The size of the partition, in bytes or such as `128 KiB`. If the image is too large, the build fails.",
        default=None,
    )
    metadata: bool = key(
        Bool(),
        "Whether the image contains the project's name, its version, and the SHA-256 of its content; not in `linux`.",
        default=True,
    )
    share: bool = key(
        Bool(),
        "Whether files with equal bytes are stored once. In `linux` they become hard links, and by default only those"
        " that are hard links on disk.",
        default=True,
    )
    linux: Linux = key(Table(Linux), 'What only Linux romfs has; only for `format = "linux"`.', default={})
    images: dict[str, Settings] = key(
        _Images(),
        "Several images instead of one, by name; each has the keys around it, except for those that it sets itself.",
        default={},
    )
    inventory: bool = key(
        Bool(),
        "Whether to write an inventory beside the image, `{filename}.json`: its files, their sources, and hashes.",
        default=False,
    )
    embed: bool | str = key(
        Either(Bool(), WHEEL_PATH),
        "Whether the wheel also contains the image, in the package that has the project's name; or its path there.",
        default=False,
    )
    backend: str | None = key(
        Text("a build backend such as 'flit_core.buildapi'", check=backend_problem, pattern=BACKEND),
        "The build backend that `hatch_romfs.plugins.backend` calls, in the form of `build-system.build-backend`.",
        default=None,
    )
    board: str | None = key(
        _BoardName(),
        "The board that the image is for. It sets what is known about the board, and not given here, of `mpy.arch`,"
        " `alignment`, and `size`.",
        default=None,
    )
    partition: int = key(
        Int(0, MAX_PARTITION),
        "The number of the board's partition that the image is for; `romfs-flash` uses it for this project.",
        default=0,
    )
    layout: str = key(
        OneOf(LAYOUTS),
        "`stable` adds padding, so that an edit changes few erase blocks of the flash; not in `linux`.",
        default="compact",
    )
    base: str | None = key(
        FILE,
        "An image of the same format, relative to `pyproject.toml`, whose files stay unless a source replaces them.",
        default=None,
    )
    base_exclude: tuple[str, ...] = key(
        ListOf(PATTERN), "Patterns, matched against paths inside `base`, of what does not stay.", default=[]
    )
    sbom: bool = key(
        Bool(),
        "Whether to write a software bill of materials (CycloneDX) beside the image, `{filename}.cdx.json`; with"
        " `embed`, also into the wheel. It needs the extra `sbom`.",
        default=False,
    )
    bundle: Bundle | None = key(
        Table(Bundle, "a table with `firmware`"),
        "Firmware to put the image into: the build also writes one file with both, for factories.",
        default=None,
    )
    page: Page = key(
        Table(Page), "What the web page says that `romfs-image page` writes for users without Python.", default={}
    )
