"""Settings to a tree: the folders that they name, merged into what the image will hold."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.collect.folder import Folder, Keep
from hatch_romfs.collect.linux import make_executable, special_files
from hatch_romfs.collect.manifest import LOCK, manifest_files, manifest_sources, package_files
from hatch_romfs.collect.repeated import repeated_modules
from hatch_romfs.errors import BuildError, Problem, SettingsError
from hatch_romfs.settings.patterns import compiled, excluded
from hatch_romfs.tree import MAX_DEPTH, MAX_PATH, Directory, File, Held, files, join, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_romfs.settings.model import Nested, Settings, Source
    from hatch_romfs.tree import Node

__all__ = ["LOCK", "Collected", "Inner", "collect", "collect_folder", "manifest_sources", "read_sources", "replace"]

_OUTPUTS = ("/dist", "/build", "/PKG-INFO", "/setup.cfg")
"""Where build tools put what they make, the last two in sdists; left out where the project's own folder is a source."""

_EMPTY = "the image is empty: the sources hold nothing that is not left out"


class Collected(NamedTuple):
    """What goes into the image, and what its maker should hear."""

    tree: Directory
    warnings: tuple[str, ...]
    nested: tuple[Inner, ...] = ()


class Inner(NamedTuple):
    """A folder that becomes an image of its own, the file ``path`` of the image around it."""

    path: str
    tree: Directory
    settings: Nested
    origin: str


def collect(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> Collected:
    """Read every source of the project in ``root``, whose build writes ``outputs``.

    Raises SettingsError for a folder that is not there, all at once, and BuildError for content that an image
    cannot hold or that two sources claim.
    """
    tree = Directory()
    nested: list[Inner] = []
    for below, source, found in read_sources(settings, root, outputs):
        path = join(below, source.to).strip("/")
        if source.image:
            nested.append(Inner(path, found, source.image, source.path))
            add(tree, path, File(Held(b""), source.path))  # until it is made
        elif found.entries:
            _merge(_at(tree, below, source.to), found, path)
    warnings: list[str] = []
    frozen: set[str] = set()
    for path, file in manifest_files(settings, root, warnings, frozen):
        add(tree, path, file)
    for path, file in package_files(settings, root, warnings):
        add(tree, join(settings.lib_dir, path), file)
    warnings += repeated_modules((path for path, _ in files(tree)), settings.lib_dir, frozen)
    for path, _ in walk(tree):  # which `to` and `lib-dir` may have moved
        _check_bound(path)
    warnings += [
        f"{inner.path} is an empty image: {inner.origin} holds nothing" for inner in nested if not inner.tree.entries
    ]
    return _collected(settings, tree, warnings)._replace(nested=tuple(nested))


def read_sources(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> list[tuple[str, Source, Directory]]:
    """Return, for every source, below which folder of the image its `to` counts, the source, and what is taken of it.

    Raises SettingsError and BuildError, as ``collect`` does.
    """
    read: list[tuple[str, Source, Directory]] = []
    problems: list[Problem] = []
    keep = _keep(settings)
    for key, sources, below in (("sources", settings.sources, ""), ("lib", settings.lib, settings.lib_dir)):
        for index, source in enumerate(sources):
            folder = root / source.path
            if problem := _folder_problem(folder):
                problems.append(Problem(f"tool.romfs.{key}[{index}]", problem))
                continue
            contents = _folder(settings, source, folder, root, None if source.image else keep)
            _check_outputs(contents, outputs)
            read.append((below, source, contents.read()))
    if problems:
        raise SettingsError(problems, hint="sources, by default src, and lib name folders relative to pyproject.toml.")
    return read


def collect_folder(settings: Settings, root: Path, outputs: Sequence[Path] = ()) -> Collected:
    """Read a plain folder, whose content becomes the root of an image."""
    if problem := _folder_problem(root):
        raise SettingsError(problem)
    exclude = excluded(settings.exclude)
    folder = Folder(root, str(root), exclude, None, _keep(settings), below="")
    _check_outputs(folder, outputs)
    return _collected(settings, folder.read(), [])


def _collected(settings: Settings, tree: Directory, warnings: list[str]) -> Collected:
    if settings.format != "linux":
        return Collected(tree, (*warnings, *_warnings(tree)))
    if settings.linux.executable is not None:
        make_executable(tree, settings.linux.executable)
    for path, node in special_files(settings.linux):
        _check_bound(path)
        add(tree, path, node)
    return Collected(tree, tuple(warnings) if tree.entries else (*warnings, _EMPTY))


def replace(tree: Directory, path: str, node: Node) -> None:
    """Put a node in the place of the one at a path."""
    above, _, name = path.rpartition("/")
    _at(tree, above).entries[name] = node


def add(tree: Directory, path: str, node: Node) -> None:
    """Put a node at its path; what is there already is an error that names both."""
    above, _, name = path.rpartition("/")
    _merge(_at(tree, above), Directory({name: node}), above)


def _keep(settings: Settings) -> Keep | None:
    """Return what the image's format can hold beside names and bytes, if anything."""
    if settings.format != "linux":
        return None
    return Keep(symlinks=not settings.linux.follow_symlinks, modes=settings.linux.executable is None, inodes={})


def _check_outputs(folder: Folder, outputs: Sequence[Path]) -> None:
    """Refuse an output that the next build would pack."""
    root = folder.root.resolve()
    for out in (output.resolve() for output in outputs):
        if out.is_relative_to(root) and not folder.leaves_out(out.relative_to(root).as_posix()):
            raise SettingsError(
                f"{out} lies in the folder {folder.shown}, which goes into the image: the next build would pack it",
                hint="Name an output elsewhere, or one that is excluded, such as *.romfs.",
            )


def _folder_problem(folder: Path) -> str | None:
    try:
        if folder.is_dir():
            return None
        there = folder.exists()
    except OSError as error:  # a name that is too long, or a folder above it that may not be entered
        return f"cannot read {folder}: {error.strerror}"
    if there:
        return f"{folder} is not a folder; name the folder that it is in, and what of it with `include`"
    return f"there is no folder {folder}"


def _folder(settings: Settings, source: Source, folder: Path, root: Path, keep: Keep | None) -> Folder:
    outputs = _OUTPUTS if folder.resolve() == root.resolve() else ()
    exclude = excluded([*outputs, *settings.exclude, *source.exclude])
    include = compiled(source.include) if source.include else None
    shown = Path(source.path).as_posix()
    below = normpath(shown) if normpath(shown) != "." else ""
    return Folder(folder, shown, exclude, include, keep, None if Path(source.path).is_absolute() else below)


def _at(tree: Directory, *paths: str) -> Directory:
    """Return the directory at the joined ``paths``, made where it is missing."""
    here = ""
    for name in filter(None, "/".join(paths).split("/")):
        here = join(here, name)
        found = tree.entries.setdefault(name, Directory())
        if not isinstance(found, Directory):
            raise _clash(here, found.origin, "a folder that the settings ask for")
        tree = found
    return tree


def _merge(into: Directory, found: Directory, path: str) -> None:
    """Add what was found to a directory; two sources for one file are an error that names both."""
    for name, node in found.entries.items():
        here = join(path, name)
        there = into.entries.setdefault(name, node)
        if there is node:
            continue
        if isinstance(there, Directory) and isinstance(node, Directory):
            _merge(there, node, here)
        else:
            raise _clash(here, _origin(there), _origin(node))


def _origin(node: Node) -> str:
    if not isinstance(node, Directory):
        return node.origin
    return next((f"the folder of {file.origin}" for _, file in files(node)), "an empty folder")


def _clash(path: str, first: str, second: str) -> BuildError:
    return BuildError(
        f"two sources for {path!r} in the image: {first} and {second}", hint="Exclude or rename one of them."
    )


def _check_bound(path: str) -> None:
    """Refuse a path that is deeper or longer than images may have."""
    if path.count("/") > MAX_DEPTH or len(path.encode()) > MAX_PATH:
        raise BuildError(
            f"{path[:60]}…: folders are nested more than {MAX_DEPTH} deep, or the path exceeds {MAX_PATH} bytes"
        )


def _warnings(tree: Directory) -> Iterator[str]:
    if not tree.entries:
        yield _EMPTY
    for name in ("boot.py", "main.py", "boot.mpy", "main.mpy"):
        if isinstance(tree.entries.get(name), File):
            yield f"{name} at the root of an image is not run at boot: boards look for it in their writable filesystem"
    for path, node in [("", tree), *walk(tree)]:
        if isinstance(node, Directory):
            alike: defaultdict[str, list[str]] = defaultdict(list)
            for name, _ in node.sorted():
                alike[name.casefold()].append(join(path, name))
            for paths in alike.values():
                if len(paths) > 1:
                    yield f"{' and '.join(paths)} differ only by case: some computers cannot hold both"
