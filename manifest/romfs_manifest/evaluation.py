"""Evaluate a manifest: its calls, and those of the manifests that it includes, to the files that they name."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.disk import Disk, Found, checked, file_in, inside, is_folder, native, read
from romfs_manifest.entries import MAX_ENTRIES, Entries, Entry, Manifest, check_mpy
from romfs_manifest.errors import ManifestError
from romfs_manifest.language import bind
from romfs_manifest.library import OFFICIAL, Libraries
from romfs_manifest.parse import MAX_MANIFEST, parse
from romfs_manifest.version import lacks_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from romfs_manifest.errors import Place

MAX_INCLUDED = 50
"""How deep manifests include and require one another, at most."""

_VARIABLE = re.compile(r"\$\(([^)]*)\)")
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_PY = {".py": "mpy"}
_STR = {".py": "str"}
_MPY = {".mpy": "copy"}
_ANY = _PY | _MPY


def evaluate(
    path: Path,
    *,
    variables: Mapping[str, str | Path] = _NOTHING,
    libraries: Mapping[str, Path] = _NOTHING,
    options: Mapping[str, object] = _NOTHING,
) -> Manifest:
    """Return what the manifest ``path``, or the one in the folder ``path``, puts into an image.

    ``variables`` are what ``$(NAME)`` stands for; one that is a path of something that is there counts from the
    current folder, any other is text. ``libraries`` are searched after the official ones, in their order, and
    ``options`` are as those of an include. Raises ManifestError.
    """
    evaluation = _Evaluation(variables)
    evaluation.add_libraries(libraries)
    metadata = evaluation.run(_manifest(_absolute(path)), dict(options), None, 0)
    return Manifest(
        metadata, evaluation.entries.sorted(), tuple(evaluation.warnings), tuple(sorted(evaluation.included))
    )


class _Frame(NamedTuple):
    """What holds for a call: its place, its options, its package's version, and how deep its manifest is included."""

    place: Place
    options: dict[str, object]
    version: str | None
    depth: int


class _Evaluation:
    """What has been found so far; the methods that take a frame first are the functions of a manifest."""

    def __init__(self, variables: Mapping[str, str | Path]) -> None:
        self.entries = Entries()
        self.warnings: list[str] = []
        self.included: dict[Path, dict[str, object]] = {}
        """The options of each manifest that was read."""
        self._disk = Disk()
        self._libraries = Libraries(self._disk)
        self._variables = {name: _variable(value) for name, value in variables.items()}

    def add_libraries(self, libraries: Mapping[str, Path]) -> None:
        """Add the official libraries, as far as they are there, and then ``libraries``."""
        official = self._variables.get("MPY_LIB_DIR")
        for name in OFFICIAL if official else ():
            folder = _absolute(f"{official}/{name}")
            if is_folder(folder):
                self._libraries.add(name, folder)
        for name, path in libraries.items():
            self._libraries.add(name, _absolute(path))

    def run(self, path: Path, options: dict[str, object], version: str | None, depth: int) -> dict[str, object]:
        """Carry out the calls of a manifest, and return its metadata; ``version`` is that of the package it is in."""
        if depth > MAX_INCLUDED:
            raise ManifestError(f"manifests include one another more than {MAX_INCLUDED} deep", hint="Include fewer.")
        self.included[path] = options
        metadata: dict[str, object] = {}
        for index, call in enumerate(parse(read(path, MAX_MANIFEST), path)):
            with _placed(call.place):
                arguments, extra = bind(call)
                if call.function != "metadata":
                    _FUNCTIONS[call.function](self, _Frame(call.place, dict(extra), version, depth), **arguments)
                elif index:
                    raise ManifestError("metadata must be the first call, and the only one", hint="Move it up.")
                else:
                    metadata, version = dict(call.keywords), arguments["version"]
        return metadata

    def include(self, frame: _Frame, manifest_path: str | tuple[str, ...]) -> None:
        for text in [manifest_path] if isinstance(manifest_path, str) else manifest_path:
            self._include(frame, self._path(frame, text), frame.version)

    def require(self, frame: _Frame, name: str, version: object, pypi: object, library: str | None) -> None:  # noqa: ARG002 - for other tools
        self._include(frame, self._libraries.find(name, library), None)

    def add_library(self, frame: _Frame, library: str, library_path: str, *, prepend: bool) -> None:
        self._libraries.add(library, self._path(frame, library_path), prepend=prepend)

    def package(
        self, frame: _Frame, package_path: str, files: tuple[str, ...] | None, base_path: str, opt: int | None
    ) -> None:
        root, below = self._path(frame, base_path), _folder(package_path)
        if files is None:
            self._add(frame, self._below(frame, root, below, _PY), _PY, opt)
        else:
            targets = (f"{below}/{checked(file)}" if below else file for file in files)
            self._add(frame, [Found(target, file_in(root, target)) for target in targets], _ANY, opt)

    def module(self, frame: _Frame, module_path: str, base_path: str, opt: int | None) -> None:
        source = file_in(self._path(frame, base_path), module_path)
        self._add(frame, [Found(module_path, source)], _PY, opt)

    def freeze(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _ANY, opt)

    def freeze_as_mpy(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _PY, opt)

    def freeze_mpy(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _MPY, opt)

    def freeze_as_str(self, frame: _Frame, path: str) -> None:
        self._freeze(frame, path, None, _STR, None)

    def c_module(self, frame: _Frame, module_path: str) -> None:
        self._warn(frame, f"{self._path(frame, module_path)} is compiled into firmware, and adds nothing to an image")

    def _include(self, frame: _Frame, path: Path, version: str | None) -> None:
        path = _manifest(path)
        before = self.included.get(path)
        if before is None:
            self.run(path, frame.options, version, frame.depth + 1)
        elif before != frame.options:
            self._warn(frame, f"{path} was included before with other options: those hold, and this adds nothing")

    def _freeze(
        self,
        frame: _Frame,
        path: str,
        script: str | tuple[str, ...] | None,
        kinds: dict[str, str],
        opt: int | None,
    ) -> None:
        root = self._path(frame, path)
        found: list[Found] = []
        for name in map(_folder, ("",) if script is None else (script,) if isinstance(script, str) else script):
            if not name or is_folder(inside(root, name)):
                found += self._below(frame, root, name, kinds)
            else:
                found.append(Found(name, file_in(root, name)))
        self._add(frame, found, kinds, opt)

    def _below(self, frame: _Frame, root: Path, below: str, kinds: dict[str, str]) -> list[Found]:
        found = list(islice(self._disk.files(root, below, tuple(kinds)), MAX_ENTRIES + 1))
        if not found:
            self._warn(frame, f"there is no {' or '.join(kinds)} in {root / below}")
        return found

    def _add(self, frame: _Frame, found: list[Found], kinds: dict[str, str], opt: int | None) -> None:
        for target, source in found:
            kind = kinds.get(os.path.splitext(target)[1].lower())  # noqa: PTH122 - no path of this system
            if kind is None:
                raise ManifestError(f"{target!r} is no {' or '.join(kinds)} file", hint="Leave it out.")
            if kind == "copy":
                check_mpy(source)
            version = frame.version if kind == "mpy" and lacks_version(target, source, frame.version) else None
            place = frame.place
            entry = Entry(target, source, kind, opt if kind == "mpy" else None, place.path, place.line, version)
            if problem := self.entries.add(entry):
                self._warn(frame, problem)

    def _path(self, frame: _Frame, text: str) -> Path:
        """Return the path that a manifest writes as ``text``, absolute."""

        def value(match: re.Match[str]) -> str:
            if match[1] not in self._variables:
                known = f"; there are {', '.join(self._variables)}" if self._variables else ""
                raise ManifestError(f"the variable {match[1]!r} is not set", hint=f"Give it a value{known}.")
            return self._variables[match[1]]

        return _absolute(frame.place.path.parent / native(_VARIABLE.sub(value, text)))

    def _warn(self, frame: _Frame, text: str) -> None:
        self.warnings.append(f"{frame.place}: {text}")


_FUNCTIONS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        _Evaluation.include,
        _Evaluation.require,
        _Evaluation.add_library,
        _Evaluation.package,
        _Evaluation.module,
        _Evaluation.freeze,
        _Evaluation.freeze_as_mpy,
        _Evaluation.freeze_mpy,
        _Evaluation.freeze_as_str,
        _Evaluation.c_module,
    )
}


@contextmanager
def _placed(place: Place) -> Iterator[None]:
    """Have errors say that they come from ``place``, or led from there to where they come from."""
    try:
        yield
    except ManifestError as error:
        if error.place is None:
            error.place = place
        else:
            error.chain += (place,)
        raise


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which are looked at elsewhere


def _variable(value: str | Path) -> str:
    text = str(value)
    return str(_absolute(text)) if os.path.exists(text) else text  # noqa: PTH110 - Path("") is there, "" is not


def _manifest(path: Path) -> Path:
    """Return the manifest that ``path`` is or has in it, under the one name by which it is known."""
    if is_folder(path):
        path /= "manifest.py"
    # A link to a manifest is one of its own: what it names is beside the link.
    return Path(os.path.realpath(path.parent), path.name)


def _folder(name: str) -> str:
    """Return a folder's name without what means nothing."""
    return "" if name in (".", "./") else name.removesuffix("/")
