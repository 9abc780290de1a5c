"""Settings come in layers: what is known about a board, a table, the table of one image, options of a command.

Each layer is read once, into a model that knows which keys were given, and where. Layers are merged by one rule: key
by key, the upper one wins, and the tables ``mpy``, ``linux``, and ``alignment`` are merged key by key themselves.
Only one of several images replaces what it shares with the others as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hatch_romfs.errors import Problem
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Linux, Mpy, Nested
from hatch_romfs.settings.table import Model, Table
from hatch_romfs.settings.types import Place, read
from hatch_romfs.settings.values import FLAGS_ARCH, FLAGS_SINCE, Alignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_romfs.settings.subtables import Source
    from hatch_romfs.settings.types import Problems

M = TypeVar("M", bound=Model)

_LINUX = Settings.create({"mpy": None, "share": False}, {"mpy": "", "share": ""}, {}, "")
"""The defaults of Linux romfs that differ."""
_SEVERAL = Settings.create({"filename": "{name}-{image}.romfs"}, {"filename": ""}, {}, "")
"""The defaults of one of several images that differ."""


class Options(NamedTuple):
    """Keys of ``[tool.romfs]`` that outrank the table, in TOML's terms; ``names`` says what messages call each."""

    table: Mapping[str, Any]
    names: Mapping[str, str] = {}


def read_options(options: Options, problems: Problems) -> Settings:
    """Read the layer of a command's options; the result is only valid if no problem was reported."""
    return read(Table(Settings), dict(options.table), Place(root="overrides", names=options.names), problems)


def read_images(table: object, options: Options, problems: Problems) -> dict[str, Settings]:
    """Read ``[tool.romfs]`` and return the settings of each image by name; that of a single image is ``""``.

    A mistake in the keys that images share is reported once.
    """
    shared = read(Table(Settings), table, Place(root="tool.romfs"), problems)
    over = read_options(options, problems)
    if problems:
        return {}
    if not shared.images:
        return {"": resolve(merge(shared, over), problems)}
    base = merge(_SEVERAL, shared)
    images = {}
    found: list[Problem] = []
    for name, own in shared.images.items():
        image = merge(base, own, replace=True).replace(images={})
        images[name] = resolve(merge(image, over), found)
    problems += {str(problem): problem for problem in found}.values()
    return images


def merge(lower: M, upper: M, *, replace: bool = False) -> M:
    """Return the values of two layers. With ``replace``, tables are not merged: the upper one is all there is."""
    values = {name: getattr(lower, name) for name in lower.given}
    items = dict(lower.items)
    for name in upper.given:
        below, above = values.get(name), getattr(upper, name)
        entries = upper.items.get(name)
        if not replace and isinstance(below, Model) and isinstance(above, Model):
            above = merge(below, above)
        elif not replace and isinstance(below, Alignment) and entries is not None:
            above = _merge_alignments(below, above, entries)
            entries = {**lower.items.get(name, {}), **entries}
        values[name] = above
        items[name] = entries or {}
    return upper.create(values, {**lower.given, **upper.given}, items, lower.place or upper.place)


def _merge_alignments(below: Alignment, above: Alignment, entries: Iterable[str]) -> Alignment:
    """Add the patterns of a table to an alignment; a table without ``default`` keeps the default below."""
    default = above.default if "default" in entries else below.default
    return Alignment(default, tuple({**dict(below.patterns), **dict(above.patterns)}.items()))


def resolve(settings: Settings, problems: Problems) -> Settings:
    """Add the layers that the merged ones ask for: of the format, of the board, and around nested images.

    Reports keys that contradict each other.
    """
    if settings.format == "linux":
        settings = merge(_LINUX, settings)
    if settings.board:
        settings = _add_board(settings, settings.board)
    if any(source.image for source in (*settings.sources, *settings.lib)):
        around = _as_nested(settings)
        settings = settings.replace(
            sources=tuple(_with_outer(source, around) for source in settings.sources),
            lib=tuple(_with_outer(source, around) for source in settings.lib),
        )
    problems += _contradictions(settings)
    return settings


def _add_board(settings: Settings, board: str) -> Settings:
    """Add what is known about a board, below the other layers.

    Its alignments are for models that are used in place, so a default for all files does not replace them: it only
    hides those that are not larger.
    """
    facts, own = _board_layer(board, settings.partition), settings.alignment
    known = {pattern: size for pattern, size in facts.alignment.patterns if size > own.default}
    alignment = Alignment(own.default, tuple({**known, **dict(own.patterns)}.items()))
    entries = {**dict.fromkeys(known, board_source(board)), **settings.items.get("alignment", {})}
    merged = merge(facts, settings)
    values = {name: getattr(merged, name) for name in merged.given} | {"alignment": alignment}
    given = {"alignment": board_source(board), **merged.given}
    return merged.create(values, given, {**merged.items, "alignment": entries}, merged.place)


def _board_layer(name: str, partition: int) -> Settings:
    """Return what is known about a board and one of its partitions, as settings."""
    from hatch_romfs.settings.boards import boards  # noqa: PLC0415 - few tables name a board

    facts, source = boards()[name], board_source(name)
    values: dict[str, object] = {"alignment": Alignment.from_table(facts.alignment)}
    if facts.arch:
        values["mpy"] = Mpy.create({"arch": facts.arch}, {"arch": source}, {}, "")
    if partition < len(facts.sizes) and facts.sizes[partition]:
        values["size"] = facts.sizes[partition]
    return Settings.create(values, dict.fromkeys(values, source), {}, "")


def board_source(name: str) -> str:
    """Return what messages call the source of a board's facts."""
    return f"board {name}"


def is_board_source(source: str) -> bool:
    """Return whether a value is a fact about a board, not something that the user wrote."""
    return source.startswith("board ")


def is_micropython(settings: Settings | Nested) -> bool:
    """Return whether the image is for MicroPython, as nested ones always are."""
    return not isinstance(settings, Settings) or settings.format != "linux"


def _as_nested(settings: Settings) -> Nested:
    """Return what a nested image inherits from the image around it."""
    names = [name for name in Nested().values() if name in settings.given]
    return Nested.create(
        {name: getattr(settings, name) for name in names},
        {name: settings.given[name] for name in names},
        {name: settings.items[name] for name in names if name in settings.items},
        "",
    )


def _with_outer(source: Source, around: Nested) -> Source:
    return source if source.image is None else source.replace(image=merge(around, source.image))


def _contradictions(settings: Settings) -> list[Problem]:
    """Return what is wrong with keys that are valid on their own."""
    problems = []
    mpy = settings.mpy
    if mpy and mpy.emit != "bytecode" and mpy.arch is None:
        problems.append(Problem(mpy.where("emit"), f'"{mpy.emit}" needs tool.romfs.mpy.arch, the board\'s'))
    problems += _arch_flags_problems(mpy, mpy.where("arch_flags") if mpy else "")
    for source in (*settings.sources, *settings.lib):
        if source.image is not None and source.image.mpy != mpy:
            problems += _arch_flags_problems(source.image.mpy, f"{source.where('image')}.mpy.arch-flags")
    problems += [
        Problem(source.where("to"), "must name the file that the image becomes")
        for source in (*settings.sources, *settings.lib)
        if source.image is not None and not source.to
    ]
    if settings.format == "linux" and settings.layout != "compact":
        problems.append(Problem(settings.where("layout"), '"stable" is only for format = "micropython"'))
    if settings.format != "linux" and settings.linux != Linux():
        problems.append(Problem(settings.where("linux"), 'is only for format = "linux"'))
    problems += _bundle_problems(settings)
    if settings.board:
        from hatch_romfs.settings.boards import partition_problem  # noqa: PLC0415 - few tables name a board

        if problem := partition_problem(settings.board, settings.partition):
            problems.append(Problem(settings.where("partition"), problem))
        if settings.format == "linux":
            problems.append(Problem(settings.where("board"), 'is only for format = "micropython"'))
    return problems


def _bundle_problems(settings: Settings) -> list[Problem]:
    """Return what a bundle needs from other keys, and does not get."""
    bundle = settings.bundle
    if bundle is None:
        return []
    problems = []
    if settings.format == "linux":
        problems.append(Problem(settings.where("bundle"), 'is only for format = "micropython"'))
    if bundle.address is not None and settings.size is None:
        problems.append(Problem(bundle.where("address"), "needs tool.romfs.size, the size of the partition"))
    return problems


def _arch_flags_problems(mpy: Mpy | None, key: str) -> list[Problem]:
    """Return why the architecture or the MicroPython release cannot have architecture flags, if there are any."""
    if mpy is None or mpy.arch_flags is None:
        return []
    problems = []
    if mpy.arch != FLAGS_ARCH:
        found = "it is not set" if mpy.arch is None else f"{mpy.arch} has no flags"
        problems.append(Problem(key, f'needs arch = "{FLAGS_ARCH}"; {found}'))
    if mpy.micropython and tuple(map(int, mpy.micropython.split(".")[:2])) < FLAGS_SINCE:
        problems.append(Problem(key, f"needs MicroPython 1.27 or newer; micropython is {mpy.micropython}"))
    return problems
