"""Settings to a tree: the folders, manifests, and packages that they name, merged into the content of the image."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.collect.base import read_base
from hatch_romfs.collect.builtin import shadowing_warnings
from hatch_romfs.collect.folder import Folder, Keep
from hatch_romfs.collect.manifest import manifest_files, package_files
from hatch_romfs.collect.merge import add_node, merge_below, merge_directory
from hatch_romfs.collect.repeated import repeated_modules
from hatch_romfs.errors import BuildError, Problem, SettingsError
from hatch_romfs.paths import MAX_DEPTH, MAX_PATH, encode_name, join, show_name
from hatch_romfs.settings.patterns import PROJECT_FILES, compile_built_in, compile_exclude, compile_patterns
from hatch_romfs.tree import Directory, File, NestedImage, files, nested_images, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Source
    from hatch_romfs.tree import Layer

_EMPTY = "the image is empty: no file in the sources was included"
NOT_STARTED = "at the root of an image does not run at boot: boards look for it in their writable filesystem"
"""The end of a warning about files that MicroPython would start in a filesystem."""


class CollectResult(NamedTuple):
    """The content of the image, warnings about it, and the paths that built-in patterns excluded."""

    tree: Directory
    warnings: tuple[str, ...]
    excluded: tuple[str, ...] = ()


class SourceTree(NamedTuple):
    """The content of one source: where in the image it goes, and what was read from its folder.

    ``excluded`` are the paths that built-in patterns excluded; ``layer`` is that of the files.
    """

    path: str
    source: Source
    tree: Directory
    excluded: Sequence[str]
    layer: Layer


def collect(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> CollectResult:
    """Read every source of the project in ``root``; the build will write ``outputs``.

    Raises SettingsError for folders that do not exist, all at once, and BuildError for content that an image cannot
    contain or that two sources provide.
    """
    tree = Directory()
    excluded: list[str] = []
    for path, source, content, left_out, layer in read_sources(settings, root, outputs):
        excluded += left_out
        if source.image:
            add_node(tree, path, NestedImage(content, source.image, source.path, _below(source.path), layer))
        elif content.entries:
            merge_directory(tree, path, content)
    # Modules of manifests and packages may extend built-in ones: that is what they are published for.
    warnings = _shadowing(settings, tree)
    frozen: set[str] = set()
    for path, file in manifest_files(settings, root, warnings, frozen):
        add_node(tree, path, file)
    for path, file in package_files(settings, root, warnings):
        add_node(tree, join(settings.lib_dir, path), file)
    base = read_base(settings, root, outputs)
    merge_below(tree, base.tree)
    warnings += [*base.warnings, *repeated_modules((path for path, _ in files(tree)), settings.lib_dir, frozen)]
    for path, _ in walk(tree):  # `to` and `lib-dir` may have made paths longer
        _check_path(path)
    warnings += [
        f"{path} is an empty image: no file in {nested.origin} was included"
        for path, nested in nested_images(tree).items()
        if not nested.tree.entries
    ]
    return _finish(settings, tree, warnings, excluded)


def collect_folder(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> CollectResult:
    """Read a plain folder, whose content becomes the root of an image."""
    if problem := _folder_problem(root):
        raise SettingsError(problem)
    is_project = (root / "pyproject.toml").is_file()
    patterns = [*(PROJECT_FILES if is_project else ()), *settings.exclude]
    folder = Folder(
        root,
        str(root),
        compile_exclude(patterns),
        None,
        _keep(settings),
        below="",
        built_in=compile_built_in(is_project=is_project),
        excluded=[],
    )
    _check_outputs(folder, outputs)
    tree = folder.read()
    warnings = _shadowing(settings, tree)
    base = read_base(settings, root, outputs)
    merge_below(tree, base.tree)
    return _finish(settings, tree, [*warnings, *base.warnings], folder.excluded or ())


def _shadowing(settings: Settings, tree: Directory) -> list[str]:
    if settings.format == "linux":
        return []
    return shadowing_warnings((path for path, _ in files(tree)), settings.lib_dir)


def read_sources(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> list[SourceTree]:
    """Read the folder of every source. Raises SettingsError and BuildError, as ``collect`` does."""
    trees: list[SourceTree] = []
    problems: list[Problem] = []
    keep = _keep(settings)
    lists: tuple[tuple[str, Sequence[Source], str, Layer], ...] = (
        ("sources", settings.sources, "", "source"),
        ("lib", settings.lib, settings.lib_dir, "library"),
    )
    for key, sources, below, layer in lists:
        for index, source in enumerate(sources):
            folder = root / source.path
            if problem := _folder_problem(folder):
                problems.append(Problem(f"tool.romfs.{key}[{index}]", problem))
                continue
            contents = _source_folder(settings, source, root, None if source.image else keep, layer)
            _check_outputs(contents, outputs)
            path = join(below, source.to).strip("/")
            trees.append(SourceTree(path, source, contents.read(), contents.excluded or (), layer))
    if problems:
        raise SettingsError(
            problems, hint="`sources` (by default src) and `lib` name folders relative to pyproject.toml."
        )
    return trees


def _finish(settings: Settings, tree: Directory, warnings: list[str], excluded: Sequence[str]) -> CollectResult:
    """Add what the settings ask for by path, and warnings about the tree as a whole."""
    if settings.format != "linux":
        return CollectResult(tree, (*warnings, *_warnings(tree)), tuple(excluded))
    from hatch_romfs.collect.linux import set_executable, special_files  # noqa: PLC0415 - few images are Linux romfs

    if settings.linux.executable is not None:
        tree = set_executable(tree, settings.linux.executable)
    for path, node in special_files(settings.linux):
        _check_path(path)
        add_node(tree, path, node)
    return CollectResult(tree, tuple(warnings) if tree.entries else (*warnings, _EMPTY), tuple(excluded))


def _keep(settings: Settings) -> Keep | None:
    """Return what the format of the image keeps besides names and data, or None for nothing."""
    if settings.format != "linux":
        return None
    return Keep(symlinks=not settings.linux.follow_symlinks, modes=settings.linux.executable is None, inodes={})


def _check_outputs(folder: Folder, outputs: Sequence[Path]) -> None:
    """Refuse an output that the next build would pack."""
    root = folder.root.resolve()
    for out in (output.resolve() for output in outputs):
        if out.is_relative_to(root) and not folder.is_excluded(out.relative_to(root).as_posix()):
            raise SettingsError(
                f"{out} is inside {folder.shown}, which goes into the image: the next build would pack it",
                hint="Choose an output elsewhere, or one that is excluded, such as *.romfs.",
            )


def _folder_problem(folder: Path) -> str | None:
    """Return why a path is not a folder that can be read, or None."""
    try:
        if folder.is_dir():
            return None
        exists = folder.exists()
    except OSError as error:  # the name is too long, or a parent folder cannot be entered
        return f"cannot read {folder}: {error.strerror}"
    if exists:
        return f"{folder} is not a folder; name its parent folder, and select the file with `include`"
    return f"{folder} does not exist"


def _source_folder(settings: Settings, source: Source, root: Path, keep: Keep | None, layer: Layer) -> Folder:
    folder = root / source.path
    is_project = folder.resolve() == root.resolve()
    exclude = compile_exclude([*(PROJECT_FILES if is_project else ()), *settings.exclude, *source.exclude])
    include = compile_patterns(source.include) if source.include else None
    shown = Path(source.path).as_posix()
    built_in = compile_built_in(is_project=is_project)
    return Folder(folder, shown, exclude, include, keep, _below(source.path), built_in, [], layer)


def _below(path: str) -> str | None:
    """Return the path of a folder relative to the project, or None if it depends on the machine."""
    if Path(path).is_absolute():
        return None
    normal = normpath(Path(path).as_posix())
    return "" if normal == "." else normal


def _check_path(path: str) -> None:
    """Refuse a path that is deeper or longer than images allow."""
    if path.count("/") > MAX_DEPTH or len(encode_name(path)) > MAX_PATH:
        shown = show_name(path[:60])
        raise BuildError(
            f"{shown}…: folders are nested more than {MAX_DEPTH} deep, or the path exceeds {MAX_PATH} bytes"
        )


def _warnings(tree: Directory) -> Iterator[str]:
    """Yield warnings about a tree that a MicroPython board will mount."""
    if not tree.entries:
        yield _EMPTY
    for name in ("boot.py", "main.py", "boot.mpy", "main.mpy"):
        file = tree.entries.get(name)
        if isinstance(file, File) and file.layer != "base":
            yield f"{name} {NOT_STARTED}"
    for path, node in [("", tree), *walk(tree)]:
        if isinstance(node, Directory):
            yield from _case_warnings(path, node)


def _case_warnings(path: str, directory: Directory) -> Iterator[str]:
    """Yield a warning for names that are one to some computers. To a board all of them are different."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    for name, _ in directory.sorted():
        same[_normalize(name).casefold()].append(name)
    for names in same.values():
        if len(names) > 1:
            differs = len({_normalize(name) for name in names}) == len(names)
            what = "case" if differs else "Unicode normalization"
            shown = [join(path, name) for name in names]
            if not differs:  # such names look the same
                shown = [ascii(one)[1:-1] for one in shown]
            paths = " and ".join(shown)
            yield f"{paths} differ only in {what}: some computers cannot store both"


def _normalize(name: str) -> str:
    if name.isascii():
        return name
    from unicodedata import normalize  # noqa: PLC0415 - most names are ASCII

    return normalize("NFC", name)
