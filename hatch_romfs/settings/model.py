"""The table ``[tool.romfs]``: every key with its type, its default, and what it means.

The parser, the JSON schema, and the reference page all come from these classes. ``subtables.py`` has the tables inside.
"""

from __future__ import annotations

import re
from typing import ClassVar

from hatch_romfs.errors import Problem
from hatch_romfs.settings.subtables import MANIFESTS, MPY, SOURCES, Bundle, Linux, ManifestSource, Mpy, Page, Source
from hatch_romfs.settings.table import Model, Table, key
from hatch_romfs.settings.types import (
    INVALID,
    Bool,
    Either,
    Int,
    ListOf,
    OneOf,
    Place,
    Problems,
    Schema,
    Text,
    type_name,
)
from hatch_romfs.settings.values import (
    ALIGNMENT,
    BACKEND,
    FILE,
    FILENAME,
    FOLDER,
    FORMATS,
    IMAGE_NAME,
    IMAGE_PATH,
    LAYOUTS,
    MAX_PARTITION,
    PATTERN,
    SIZE,
    WHEEL_PATH,
    Alignment,
    backend_problem,
    filename_problem,
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
        SOURCES,
        "Folders whose content becomes the root of the image; or tables `{ path, to, include, exclude }`.",
        default=["src"],
    )
    lib: tuple[Source, ...] = key(SOURCES, "The same, for `lib-dir`.", default=[])
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
        MPY,
        "Whether `.py` files are compiled to `.mpy`, or a table that says how; off by default for `linux`.",
        default=True,
    )
    manifest: tuple[ManifestSource, ...] = key(
        MANIFESTS,
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
