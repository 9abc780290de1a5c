"""Evaluate a manifest and the manifests that it includes to the files that they name."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.errors import LimitError, ManifestError, ManifestErrors, MissingFileError
from romfs_manifest.files import read_file
from romfs_manifest.manifest.entries import MAX_ENTRIES, Entries, Entry, Manifest, Package, check_mpy
from romfs_manifest.manifest.folders import (
    FolderReader,
    SourceFile,
    absolute_path,
    check_path,
    folder_name,
    is_folder,
    manifest_path,
    native_path,
    variable_value,
)
from romfs_manifest.manifest.functions import bind
from romfs_manifest.manifest.interpreter import Interpreter
from romfs_manifest.manifest.libraries import OFFICIAL, Libraries
from romfs_manifest.manifest.syntax import MAX_MANIFEST, Source
from romfs_manifest.manifest.values import ITEM_STEPS, Budget, Value, from_python, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from romfs_manifest.errors import Place
    from romfs_manifest.manifest.functions import Call

MAX_INCLUDED = 50
"""Maximum depth of manifests that include and require one another."""
MAX_PATH = 4096
"""Maximum length of a path in a manifest, in characters."""
MAX_MESSAGE = 1000
"""Maximum length of an error or a warning, in characters: it can contain names from a manifest."""
MAX_PROBLEMS = 50
"""Number of errors after which an evaluation ends."""

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
    folders: Collection[Path] = (),
) -> Manifest:
    """Return what the manifest ``path``, or ``manifest.py`` in the folder ``path``, puts into an image.

    ``variables`` are the values of ``$(NAME)``: the path of something that exists is relative to the current folder;
    any other value is text. ``libraries`` are searched after the official ones, in their order. ``options`` are those
    of an include. Links may lead into ``folders``, libraries, and folders that are values of variables. Raises
    ManifestError; for several errors at once that is ManifestErrors.
    """
    values = {name: variable_value(value) for name, value in variables.items()}
    named = [*map(absolute_path, (*folders, *libraries.values())), *map(Path, values.values())]
    evaluation = _Evaluation(values, FolderReader(folder for folder in named if folder.is_absolute()))
    package = Package()
    try:
        evaluation.add_libraries(libraries)
        included = {name: from_python(value, evaluation.budget) for name, value in options.items()}
        evaluation.run(manifest_path(absolute_path(path)), included, package)
    except ManifestError as error:  # which ended the evaluation; others may have been found before
        evaluation.problems.append(error)
    except RecursionError:
        hint = "Use fewer blocks in blocks, and fewer manifests in manifests."
        evaluation.problems.append(LimitError(f"{path}: manifests and blocks are nested too deeply", hint=hint))
    return evaluation.result(package)


class _Frame(NamedTuple):
    """What applies to a call: its place, the options of its manifest, and the package that it belongs to."""

    place: Place
    options: dict[str, Value]
    package: Package


class _Evaluation:
    """The state of an evaluation; the methods that take a frame first are the functions of a manifest."""

    def __init__(self, variables: dict[str, str], reader: FolderReader) -> None:
        self.budget = Budget()
        self.is_guarded = False
        """Whether a missing file ends a ``try``, in the current manifest or in one that includes it."""
        self.calls: list[Place] = []
        """The calls that led to the current manifest."""
        self.problems: list[ManifestError] = []
        self.warnings: dict[str, None] = {}
        self._entries = Entries()
        self._included: dict[Path, dict[str, Value]] = {}
        """The options of each manifest that was read."""
        self._reader = reader
        self._libraries = Libraries(reader)
        self._variables = variables

    def add_libraries(self, libraries: Mapping[str, Path]) -> None:
        """Add the official libraries that exist, and then ``libraries``."""
        official = self._variables.get("MPY_LIB_DIR")
        for name in OFFICIAL if official else ():
            folder = absolute_path(f"{official}/{name}")
            if is_folder(folder):
                self._libraries.add(name, folder)
        for name, path in libraries.items():
            self._libraries.add(name, absolute_path(path))

    def run(self, path: Path, options: dict[str, Value], package: Package) -> None:
        """Evaluate one manifest, as a part of ``package``; raises ManifestError if nothing can be evaluated."""
        if len(self.calls) > MAX_INCLUDED:
            raise ManifestError(f"manifests include one another more than {MAX_INCLUDED} deep", hint="Include fewer.")
        self._included[path] = options
        source = Source(path, read_file(path, MAX_MANIFEST))
        body = source.parse().body
        Interpreter(source, options, self.budget, _Calls(self, package)).run(body)

    def result(self, package: Package) -> Manifest:
        """Return the result; raises ManifestError if there were errors."""
        problems = list({str(problem): problem for problem in self.problems}.values())
        if problems:
            raise problems[0] if len(problems) == 1 else ManifestErrors(problems)
        entries, manifests = self._entries.result(), tuple(sorted(self._included))
        return Manifest(package.metadata or {}, entries, tuple(self.warnings), manifests)

    def metadata(self, frame: _Frame, **metadata: object) -> None:
        if frame.package.metadata is not None:
            raise ManifestError(
                "metadata() was called before for this package",
                hint="Call it once in a manifest and all manifests that it includes.",
            )
        frame.package.metadata = metadata

    def include(self, frame: _Frame, manifest_path: str | tuple[str, ...]) -> None:
        for text in [manifest_path] if isinstance(manifest_path, str) else manifest_path:
            self.budget.step(ITEM_STEPS)
            self._include(frame, self._path(frame, text))

    def require(self, frame: _Frame, name: str, version: object, pypi: object, library: str | None) -> None:  # noqa: ARG002 - for other tools
        path = self._libraries.find(name, library)
        self._include(frame._replace(package=Package()), path)

    def add_library(self, frame: _Frame, library: str, library_path: str, *, prepend: bool) -> None:
        self._libraries.add(library, self._path(frame, library_path), prepend=prepend)

    def package(
        self, frame: _Frame, package_path: str, files: tuple[str, ...] | None, base_path: str, opt: int | None
    ) -> None:
        root, below = self._path(frame, base_path), folder_name(package_path)
        if files is not None:
            for file in files:
                self.budget.step(ITEM_STEPS)
                target = f"{below}/{check_path(file)}" if below else file
                self._add(frame, [SourceFile(target, self._reader.file(root, target))], _ANY, opt)
        elif self.is_guarded and is_folder(root) and below and not is_folder(self._reader.inside(root, below)):
            # MicroPython's own tool takes such a package for an empty one, so that the rest of a ``try`` counts.
            self._warn(frame, f"skipped because of 'try': the folder {root / below} does not exist")
        else:
            self._add(frame, self._below(frame, root, below, _PY), _PY, opt)

    def module(self, frame: _Frame, module_path: str, base_path: str, opt: int | None) -> None:
        source = self._reader.file(self._path(frame, base_path), module_path)
        self._add(frame, [SourceFile(module_path, source)], _PY, opt)

    def freeze(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _ANY, opt)

    def freeze_as_mpy(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _PY, opt)

    def freeze_mpy(self, frame: _Frame, path: str, script: str | tuple[str, ...] | None, opt: int | None) -> None:
        self._freeze(frame, path, script, _MPY, opt)

    def freeze_as_str(self, frame: _Frame, path: str) -> None:
        self._freeze(frame, path, None, _STR, None)

    def c_module(self, frame: _Frame, module_path: str) -> None:
        path = self._path(frame, module_path)
        self._warn(frame, f"{path} is a C module, which is compiled into firmware; it adds nothing to the image")

    def _include(self, frame: _Frame, path: Path) -> None:
        path = manifest_path(path)
        before = self._included.get(path)
        if before is None:
            self.calls.append(frame.place)
            try:
                self.run(path, frame.options, frame.package)
            finally:
                self.calls.pop()
        elif before != frame.options:
            self._warn(frame, f"{path} was included before with other options, which apply; this call adds nothing")

    def _freeze(
        self,
        frame: _Frame,
        path: str,
        script: str | tuple[str, ...] | None,
        kinds: dict[str, str],
        opt: int | None,
    ) -> None:
        root = self._path(frame, path)
        # One by one: those before a missing file stay, should a ``try`` skip it.
        for name in map(folder_name, ("",) if script is None else (script,) if isinstance(script, str) else script):
            self.budget.step(ITEM_STEPS)
            if not name or is_folder(self._reader.inside(root, name)):
                self._add(frame, self._below(frame, root, name, kinds), kinds, opt)
            else:
                self._add(frame, [SourceFile(name, self._reader.file(root, name))], kinds, opt)

    def _below(self, frame: _Frame, root: Path, below: str, kinds: dict[str, str]) -> list[SourceFile]:
        found = list(islice(self._reader.files(root, below, tuple(kinds)), MAX_ENTRIES + 1))
        if not found:
            self._warn(frame, f"no {' or '.join(kinds)} file in {root / below}")
        return found

    def _add(self, frame: _Frame, found: Iterable[SourceFile], kinds: dict[str, str], opt: int | None) -> None:
        for target, source in found:
            kind = kinds.get(os.path.splitext(target)[1].lower())  # noqa: PTH122 - not a path of this system
            if kind is None:
                raise ManifestError(f"{target!r} is not a {' or '.join(kinds)} file", hint="Remove it.")
            if kind == "copy":
                check_mpy(source)
            place = frame.place
            entry = Entry(target, source, kind, opt if kind == "mpy" else None, place.path, place.line, None)
            if warning := self._entries.add(entry, frame.package):
                self._warn(frame, warning)

    def _path(self, frame: _Frame, text: str) -> Path:
        """Return the absolute path that a manifest writes as ``text``."""

        def value(match: re.Match[str]) -> str:
            if match[1] not in self._variables:
                known = f"; known are {', '.join(self._variables)}" if self._variables else ""
                missing = MissingFileError(f"the variable {match[1]!r} is not set", hint=f"Give it a value{known}.")
                missing.is_os_error = True  # to MicroPython's own tool it is a name in a path that does not exist
                raise missing
            return self._variables[match[1]]

        if len(text) > MAX_PATH:
            raise ManifestError(f"the path {text[:50]!r}… is longer than {MAX_PATH} characters", hint="Shorten it.")
        return absolute_path(frame.place.path.parent / native_path(_VARIABLE.sub(value, text)))

    def _warn(self, frame: _Frame, text: str) -> None:
        self.warnings[f"{frame.place}: {_shorten(text)}"] = None


class _Calls:
    """Carries out the calls of one manifest, and records its errors and warnings."""

    def __init__(self, evaluation: _Evaluation, package: Package) -> None:
        self._evaluation = evaluation
        self._package = package

    @property
    def is_guarded(self) -> bool:
        return self._evaluation.is_guarded

    @is_guarded.setter
    def is_guarded(self, value: bool) -> None:
        self._evaluation.is_guarded = value

    def call(self, call: Call) -> None:
        """Carry out one call; raises ManifestError with its place."""
        try:
            arguments, options = bind(call)
            if call.function == "metadata":
                arguments = {name: to_plain(value) for name, value in call.keywords.items()}
                if not arguments:
                    return
            _FUNCTIONS[call.function](self._evaluation, _Frame(call.place, options, self._package), **arguments)
        except ManifestError as error:
            if error.place is None:
                error.place = call.place
            else:
                error.chain += (call.place,)
            raise

    def report(self, error: ManifestError, place: Place) -> None:
        """Record an error; raises LimitError after many."""
        error.message = _shorten(error.message)
        error.place = error.place or place
        error.chain += tuple(reversed(self._evaluation.calls))
        self._evaluation.problems.append(error)
        if len(self._evaluation.problems) >= MAX_PROBLEMS:
            raise LimitError(f"more than {MAX_PROBLEMS} errors", hint="Fix the errors above first.", place=place)

    def warn(self, place: Place, text: str) -> None:
        """Record a warning."""
        self._evaluation.warnings[f"{place}: {_shorten(text)}"] = None


_FUNCTIONS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        _Evaluation.metadata,
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


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"
