"""The table ``[tool.romfs]``: every key with its kind, its default and what it means.

The parser, the JSON schema and the reference page are made from these classes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from hatch_romfs.errors import Problem
from hatch_romfs.settings.kinds import (
    ALIGNMENT,
    ARCH_FLAGS,
    ARCHS,
    DEVICE,
    FILE_PATH,
    FOLDER,
    FORMATS,
    IMAGE_NAME,
    IMAGE_PATH,
    MANIFEST,
    MAX_PARTITION,
    MAX_SIZE,
    MAX_VOLUME,
    PATTERN,
    RELEASE,
    SIZE_TEXT,
    Alignment,
    Device,
    arch_flags_problem,
    file_problem,
    filename_problem,
    parse_size,
    release_problem,
    variable_problem,
    volume_problem,
)
from hatch_romfs.settings.values import (
    Bool,
    Either,
    Int,
    ListOf,
    Made,
    Model,
    OneOf,
    Patterns,
    Table,
    Text,
    key,
    kind_of,
)

if TYPE_CHECKING:
    from hatch_romfs.settings.values import Schema


_FLAG = "|".join(ARCH_FLAGS)


class Mpy(Model):
    """How `.py` files are compiled."""

    arch: str | None = key(
        OneOf(ARCHS),
        "The board's native architecture, needed for `@native`, `@viper` and assembler functions.",
    )
    optimize: int = key(Int(0, 3), "The `-O` level: 1 drops asserts, 3 also line numbers.", 0)
    emit: str = key(
        OneOf(("bytecode", "native", "viper")),
        "What code is emitted for functions without a decorator.",
        "bytecode",
    )
    micropython: str | None = key(
        Text(
            "a MicroPython release",
            check=release_problem,
            pattern=f"^{RELEASE}$",
        ),
        "The oldest MicroPython release that has to load the code; by default what the newest `mpy-cross` emits.",
    )
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN), "Patterns, on paths inside the image, of files that stay `.py`.", []
    )
    arch_flags: str | None = key(
        Text(
            f"architecture flags, separated by commas: {', '.join(ARCH_FLAGS)}",
            check=arch_flags_problem,
            pattern=f"^({_FLAG})(,({_FLAG}))*$",
        ),
        "Extensions of the instruction set that native code may use, as `mpy-cross -march-flags` takes them; for"
        ' `arch = "rv32imc"` and firmware from 1.27 on. Only boards with all of them load the code.',
    )


_MPY = Either(Made(Bool(), lambda on: Mpy() if on else None), Table(Mpy, "a table"))


class Linux(Model):
    """What only Linux's romfs has."""

    volume: str | None = key(
        Text(f"a name of at most {MAX_VOLUME} bytes", check=volume_problem, pattern=f"^.{{1,{MAX_VOLUME}}}$"),
        "The volume's name; by default the project's, and `rom` for a plain folder.",
    )
    follow_symlinks: bool = key(
        Bool(), "Whether symbolic links are replaced by what they lead to, inside the source folder.", default=False
    )
    executable: tuple[str, ...] | None = key(
        ListOf(PATTERN),
        "Patterns, on paths inside the image, of the files that are executable; by default those that are on disk."
        " Windows knows no such files: with patterns it builds the same image.",
    )
    devices: dict[str, Device] = key(
        Patterns(DEVICE, file_problem, "paths inside the image"),
        'Devices by their paths, such as `"dev/console" = "c 5 1"`.',
        {},
    )
    fifos: tuple[str, ...] = key(ListOf(FILE_PATH), "Paths of fifos.", [])
    sockets: tuple[str, ...] = key(ListOf(FILE_PATH), "Paths of sockets.", [])


class ManifestSource(Model):
    """A manifest, and what it is evaluated with."""

    path: str = key(
        MANIFEST, "The manifest, relative to `pyproject.toml`; a folder means its `manifest.py`.", required=True
    )
    variables: dict[str, str] = key(
        Patterns(Text("a path or a text"), variable_problem, "names of variables"),
        "What `$(NAME)` means, such as `PORT_DIR` and `MPY_LIB_DIR`; paths are relative to `pyproject.toml`.",
        {},
    )
    libraries: dict[str, str] = key(
        Patterns(FOLDER, variable_problem, "names of libraries"), "Folders of further libraries for `require`.", {}
    )
    provided: tuple[str, ...] = key(
        ListOf(MANIFEST),
        "Manifests of what the firmware has frozen, which hides `/rom`: their modules are left out.",
        [],
    )


_MANIFEST_TABLE = Table(ManifestSource, "a table with `path`")


class Nested(Model):
    """How the image inside an image is made; what is not said is as in the image around it."""

    alignment: Alignment = key(ALIGNMENT, "As above, for the files inside.", 1)
    mpy: Mpy | None = key(_MPY, "As above.", default=True)
    metadata: bool = key(Bool(), "As above.", default=True)
    share: bool = key(Bool(), "As above.", default=True)


class Source(Model):
    """A folder whose content goes into the image."""

    path: str = key(FOLDER, "The folder, relative to `pyproject.toml`.", required=True)
    to: str = key(IMAGE_PATH, "Where its content goes, inside the image or below `lib-dir`.", "")
    include: tuple[str, ...] = key(ListOf(PATTERN), "If given, only files that match one of these patterns.", [])
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN), "Patterns to leave out of this folder, beside the general ones.", []
    )
    image: Nested | None = key(
        Table(Nested, "a table"),
        "Packs the folder as an image of its own, the file `to` of the image around it, mounted where it lies.",
    )


_SOURCES = ListOf(Either(Made(FOLDER, Source), Table(Source, "a table with `path`")))


class _Images:
    """A table of tables, each with keys of Settings; they are read when they are merged with those around them."""

    toml: ClassVar[type] = dict

    def read(self, raw: dict[str, object], key: str, problems: list[Problem]) -> Any:  # noqa: ANN401
        """Check names and types."""
        for name, table in raw.items():
            if not re.fullmatch(IMAGE_NAME, name):
                problems.append(Problem(f"{key}.{name}", f"must be letters, digits, '-' and '_', not {name!r}"))
            if not isinstance(table, dict):
                problems.append(Problem(f"{key}.{name}", f"must be a table, not {kind_of(table)}"))
            elif "images" in table:
                problems.append(Problem(f"{key}.{name}.images", "an image cannot have further images"))
            elif table.get("dependencies", []) != []:
                problems.append(
                    Problem(f"{key}.{name}.dependencies", "can only be [], for none: romfs.lock is one for all images")
                )
        return raw

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        known = {name: entry for name, entry in Settings.keys.items() if name != "images"}
        properties = {name: entry.value.schema() | {"description": entry.doc} for name, entry in known.items()}
        table = {"type": "object", "additionalProperties": False, "properties": properties}
        return {"type": "object", "propertyNames": {"pattern": f"^{IMAGE_NAME}$"}, "additionalProperties": table}

    def text(self) -> str:
        """Describe what is allowed."""
        return "a table of tables with keys of this table"


class BoardName(Text):
    """The name of a board that ``boards.toml`` knows, which is read when there is such a name."""

    def __init__(self) -> None:
        super().__init__("the name of a board", check=self._problem)

    @staticmethod
    def _problem(name: str) -> str | None:
        from hatch_romfs.settings.boards import name_problem  # noqa: PLC0415

        return name_problem(name)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        from hatch_romfs.settings.boards import boards  # noqa: PLC0415

        return {"type": "string", "enum": sorted(boards())}


class Settings(Model):
    """The table `[tool.romfs]`."""

    format: str = key(
        OneOf(FORMATS),
        "The image's format: MicroPython's ROMFS, or Linux's romfs.",
        "micropython",
    )
    sources: tuple[Source, ...] = key(
        _SOURCES,
        "Folders whose content becomes the root of the image; or tables `{ path, to, include, exclude }`.",
        ["src"],
    )
    lib: tuple[Source, ...] = key(_SOURCES, "The same, for `lib-dir`.", [])
    lib_dir: str = key(IMAGE_PATH, "Where libraries go inside the image; boards have `/rom/lib` on `sys.path`.", "lib")
    exclude: tuple[str, ...] = key(
        ListOf(PATTERN),
        "Gitignore patterns of what to leave out, after the built-in ones, which `!pattern` undoes.",
        [],
    )
    alignment: Alignment = key(
        ALIGNMENT,
        "The boundary in bytes on which file data begins; or a table of patterns, in which the strictest match wins.",
        1,
    )
    mpy: Mpy | None = key(
        _MPY,
        "Whether `.py` files are compiled to `.mpy`, or a table that says how; by default not for `linux`.",
        default=True,
    )
    manifest: tuple[ManifestSource, ...] = key(
        Either(
            Made(MANIFEST, lambda path: (ManifestSource(path),)),
            Made(_MANIFEST_TABLE, lambda source: (source,)),
            ListOf(Either(Made(MANIFEST, ManifestSource), _MANIFEST_TABLE)),
        ),
        "A `manifest.py`, or a list of them, whose modules and packages go to the root of the image.",
        [],
    )
    dependencies: tuple[str, ...] = key(
        ListOf(Text("a mip package")), "mip packages, which go into `lib-dir`; `romfs.lock` pins them.", []
    )
    filename: str = key(
        Text("the name of a file", check=filename_problem, pattern=r'^[^/\\:*?"<>|]+$'),
        "The artifact's name in the build's output folder; `{name}` and `{version}` are the project's, and `{image}` is"
        " that of one of several images, whose default is `{name}-{image}.romfs`.",
        "{name}.romfs",
    )
    size: int | None = key(
        Either(Int(1, MAX_SIZE), Made(SIZE_TEXT, parse_size)),
        "The partition's size, in bytes or such as `128 KiB`: an image that does not fit fails the build.",
    )
    metadata: bool = key(
        Bool(),
        "Whether the image carries the project's name, its version and its content's SHA-256; not in `linux`.",
        default=True,
    )
    share: bool = key(
        Bool(),
        "Whether files with equal bytes are stored once. In `linux` they become hard links, and by default only those"
        " are that are hard links on the disk.",
        default=True,
    )
    linux: Linux = key(Table(Linux), 'What only Linux\'s romfs has; for `format = "linux"` alone.', {})
    images: dict[str, dict[str, Any]] = key(
        _Images(),
        "Several images in the place of one, by their names; each takes the keys around it, but for those that it has"
        " itself.",
        {},
    )
    inventory: bool = key(
        Bool(),
        "Whether an inventory is written beside the image, `{filename}.json`: what it holds, from where, and hashes.",
        default=False,
    )
    embed: bool | str = key(
        Either(Bool(), Text("the path of a file in the wheel", check=file_problem, pattern=r"^[^/\\][^\\]*$")),
        "Whether the wheel carries the image too, in the package that is named as the project; or the path there.",
        default=False,
    )
    board: str | None = key(
        BoardName(),
        "The board that the image is for: sets what is known of it and not said here, of `mpy.arch`, `alignment` and"
        " `size`.",
    )
    partition: int = key(
        Int(0, MAX_PARTITION),
        "The number of the board's partition that the image is for; `romfs-flash` of the project uses it.",
        0,
    )
