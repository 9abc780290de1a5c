"""OpenMV's ``romfs_config.json`` to a table ``[tool.romfs]``, with warnings about what it cannot express.

The file has a table for each partition: its size in hexadecimal digits, and entries with a type, a path, and options of
the type. OpenMV's ``tools/mkromfs.py`` puts every file into the root of the image, by its name, aligned to 4 bytes if
the entry says nothing else. A model gets the text file beside it that has the same name, if there is one.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatch_romfs.errors import Problem, SettingsError, one_line
from hatch_romfs.settings.boards import boards, partition_problem
from hatch_romfs.settings.types import type_name
from hatch_romfs.settings.values import MAX_ALIGNMENT, MAX_PARTITION, MAX_SIZE, MODEL_ALIGNMENT, is_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES: Final = 1 << 20
"""Bytes of a file, at most: those of OpenMV have 3,000."""
_DEFAULT_ALIGNMENT = 4
_TOP = "{TOP}/"
_OPTIONS = {"tflite": ("optimize", "profile"), "haar": ("stages",)}
"""Options that have a meaning for a type only."""
_COMMON = ("type", "path", "alignment", "enabled")
_UNITS = ((1 << 20, "MiB"), (1 << 10, "KiB"))
_HEAD = """\
# From a romfs_config.json of OpenMV. Folders are relative to the top of its repository, {TOP}: put this table into a
# pyproject.toml there, or change the paths.
"""


class ImportedTable(NamedTuple):
    """A table in TOML, with comments, and warnings about what it lacks."""

    toml: str
    warnings: tuple[str, ...]


class _Entry(NamedTuple):
    type: str
    folder: str
    name: str
    alignment: int
    enabled: bool
    is_compiled: bool


class _Partition(NamedTuple):
    number: int
    size: int
    entries: tuple[_Entry, ...]


def import_config(data: bytes, source: str, board: str) -> ImportedTable:
    """Return the table for a configuration; ``source`` is its name in messages.

    ``board`` is the folder that the file is in, which has the name of the board in OpenMV's repository. Raises
    SettingsError with every mistake.
    """
    problems: list[Problem] = []
    ignored: list[str] = []
    partitions = _read(_load(data, source), problems, ignored)
    if problems:
        raise SettingsError(problems, hint=f"Is {source} a romfs_config.json of OpenMV?")
    known = board if board in boards() and not any(partition_problem(board, one.number) for one in partitions) else None
    warnings = [*ignored]
    lines = [_HEAD + "[tool.romfs]", *([f"board = {_quoted(known)}"] if known else [])]
    for partition in partitions:
        if len(partitions) > 1:
            lines += ["", f"[tool.romfs.images.romfs{partition.number}]"]
        if partition.number:
            lines.append(f"partition = {partition.number}")
        lines += _table(partition, warnings)
    return ImportedTable("\n".join(lines) + "\n", tuple(dict.fromkeys(warnings)))


# Reading


def _load(data: bytes, source: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"the key {name!r:.100} appears twice in one object")
            found[name] = value
        return found

    try:
        return json.loads(data.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source}: {error}", hint="It must be JSON in UTF-8.") from error


def _read(document: object, problems: list[Problem], ignored: list[str]) -> list[_Partition]:
    if not isinstance(document, dict) or not document:
        problems.append(Problem("the file", "must be an object with a table for each partition"))
        return []
    partitions = []
    for key, table in document.items():
        if not re.fullmatch("0|[1-9][0-9]{0,2}", key) or int(key) > MAX_PARTITION:
            problems.append(Problem(_quoted(key), f"must be the number of a partition, from 0 to {MAX_PARTITION}"))
        elif not isinstance(table, dict):
            problems.append(Problem(_quoted(key), f"must be a table, not {type_name(table)}"))
        else:
            found = _partition(int(key), table, problems, ignored)
            partitions += [found] if found else []
    return sorted(partitions)


def _partition(number: int, table: dict[str, Any], problems: list[Problem], ignored: list[str]) -> _Partition | None:
    place = f'"{number}"'
    size, entries = table.get("size"), table.get("entries")
    ignored += [f"{place}.{key} is unknown and was ignored" for key in table if key not in ("size", "entries")]
    before = len(problems)
    if not isinstance(size, str) or not re.fullmatch("(0[xX])?[0-9A-Fa-f]{1,8}", size) or not int(size, 16):
        problems.append(Problem(f"{place}.size", 'must be a size in hexadecimal digits, such as "0x400000"'))
    if not isinstance(entries, list):
        problems.append(Problem(f"{place}.entries", "must be a list"))
        entries = []
    read = [_entry(entry, f"{place}.entries[{index}]", problems, ignored) for index, entry in enumerate(entries)]
    if len(problems) > before:
        return None
    return _Partition(number, min(int(str(size), 16), MAX_SIZE), tuple(entry for entry in read if entry))


def _entry(entry: object, place: str, problems: list[Problem], ignored: list[str]) -> _Entry | None:
    if not isinstance(entry, dict):
        problems.append(Problem(place, f"must be a table, not {type_name(entry)}"))
        return None
    before = len(problems)
    kind, path = entry.get("type"), entry.get("path")
    alignment, enabled = entry.get("alignment", _DEFAULT_ALIGNMENT), entry.get("enabled", True)
    if not isinstance(kind, str) or not kind:
        problems.append(Problem(f"{place}.type", "must be a text, such as tflite"))
    if problem := _path_problem(path):
        problems.append(Problem(f"{place}.path", problem))
    is_number = isinstance(alignment, int) and not isinstance(alignment, bool)
    if not is_number or not 0 < alignment <= MAX_ALIGNMENT or alignment & alignment - 1:
        problems.append(Problem(f"{place}.alignment", f"must be a power of two, at most {MAX_ALIGNMENT}"))
    if not isinstance(enabled, bool):
        problems.append(Problem(f"{place}.enabled", "must be true or false"))
    if len(problems) > before:
        return None
    known = (*_COMMON, *_OPTIONS.get(str(kind), ()))
    ignored += [f"{place}.{key} is unknown and was ignored" for key in entry if key not in known]
    folder, _, name = str(path).removeprefix(_TOP).rpartition("/")
    is_compiled = kind == "tflite" and bool({"optimize", "profile"} & entry.keys())
    return _Entry(str(kind), folder or ".", name, alignment, enabled, is_compiled)


def _path_problem(path: object) -> str | None:
    if not isinstance(path, str) or not path.rpartition("/")[2]:
        return "must be the path of a file"
    rest = path.removeprefix(_TOP)
    if "{" in rest or "}" in rest:
        return f"can begin with {{TOP}}, the top of OpenMV's repository, and have no other variable: {path!r:.100}"
    if not rest.isprintable() or "\\" in rest:
        return f"contains characters that are not supported: {path!r:.100}"
    return None


# Writing


def _table(partition: _Partition, warnings: list[str]) -> Iterator[str]:
    """Yield the lines of an image's table; add to ``warnings``."""
    usable: list[_Entry] = []
    left_out: list[str] = []
    for entry in partition.entries:
        shown = f"{entry.folder}/{entry.name}"
        if not entry.enabled:
            left_out.append(f"{shown} is not enabled")
        elif entry.type == "haar":
            left_out.append(
                f"{shown} is left out: OpenMV's tools/haar2c.py converts it; add the .cascade that it writes"
            )
        else:
            usable.append(entry)
    warnings += [text for text in left_out if not text.endswith("not enabled")]
    yield f"size = {_size(partition.size)}"
    yield f"alignment = {_alignment(usable)}"
    if any(entry.name.endswith(".py") for entry in usable):
        yield "mpy = false # OpenMV copies modules as they are"
    if any(entry.is_compiled for entry in usable):
        text = "models are not compiled for a neural processor; OpenMV does that with Vela or ST Edge AI"
        warnings.append(f"partition {partition.number}: {text}")
        yield f"# The {text}."
    yield from _sources(usable, warnings)
    yield from (f"# {one_line(text)}" for text in left_out)


def _sources(entries: Sequence[_Entry], warnings: list[str]) -> Iterator[str]:
    folders: defaultdict[str, list[str]] = defaultdict(list)
    owners: dict[str, str] = {}
    for entry in entries:
        names = [entry.name]
        if entry.type == "tflite":
            names.append(f"{entry.name.rpartition('.')[0] or entry.name}.txt")
        warnings += [
            f"{owners[name]}/{name} and {entry.folder}/{name} have the same name in the image"
            for name in names
            if owners.setdefault(name, entry.folder) != entry.folder
        ]
        folders[entry.folder] += names
    if not folders:
        yield "sources = []"
        return
    yield "sources = ["
    for folder, names in folders.items():
        patterns = ", ".join(_quoted(_pattern(name)) for name in dict.fromkeys(names))
        yield f"  {{ path = {_quoted(folder)}, include = [{patterns}] }},"
    yield "]"


def _alignment(entries: Sequence[_Entry]) -> str:
    """Return the alignments: one for all models if they agree, else one for each file that needs a larger one."""
    patterns: dict[str, int] = {}
    models = {entry.alignment for entry in entries if is_model(entry.name)}
    if len(models) == 1 and max(models) > _DEFAULT_ALIGNMENT:
        patterns["*.tflite"] = max(models)
    for entry in entries:
        is_tflite = entry.name.endswith(".tflite")
        least = MODEL_ALIGNMENT if is_model(entry.name) else _DEFAULT_ALIGNMENT
        if entry.alignment > max(least, patterns.get("*.tflite", 1) if is_tflite else 1):
            patterns[_pattern(entry.name)] = entry.alignment
    listed = "".join(f", {_quoted(pattern)} = {size}" for pattern, size in patterns.items())
    return f"{{ default = {_DEFAULT_ALIGNMENT}{listed} }}"


def _pattern(name: str) -> str:
    """Return the pattern that matches only a file of this name in the top folder."""
    return "/" + re.sub(r"([*?\[\]]| $)", r"\\\1", name)


def _size(size: int) -> str:
    for unit, suffix in _UNITS:
        if size % unit == 0:
            return _quoted(f"{size // unit} {suffix}")
    return str(size)


def _quoted(text: str) -> str:
    """Return a text as a string in TOML; all of its characters are printable, except for those that JSON escapes."""
    return json.dumps(text, ensure_ascii=False)
