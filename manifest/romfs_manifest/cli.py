"""``romfs-manifest``: mip packages to a lock and a cache, and a look into a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from romfs_manifest.errors import UsageError
from romfs_manifest.terminal import Parser, print_json, progress, run, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from romfs_manifest.lock import Lock

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415


def main() -> None:
    """Run the command ``romfs-manifest``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-manifest`` with ``arguments``; raises ManifestError."""
    options = parser().parse_args(arguments)
    options.run(options)


def parser() -> Parser:
    """Return the parser of ``romfs-manifest``."""
    top = Parser(prog="romfs-manifest", description="Lock and fetch mip packages, and look into manifest.py files.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=top.prog)

    def add(name: str, run_it: Callable[[argparse.Namespace], None], help_: str, *, project: bool = True) -> Parser:
        added: Parser = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        added.set_defaults(run=run_it)
        if project:
            added.add_argument("project", type=Path, nargs="?", default=Path(), metavar="PROJECT", help=_PROJECT)
        added.add_argument("--json", action="store_true", help="print one JSON document")
        added.add_argument("-q", "--quiet", action="store_true", help="say nothing but failures")
        added.add_argument("-v", "--verbose", action="store_true", help="say more, and failures with their traceback")
        return added

    locking = add("lock", lock, "resolve the dependencies of a project, and write its romfs.lock")
    locking.add_argument(
        "--upgrade", action="append", default=[], metavar="NAME", help="resolve this package anew; may be repeated"
    )
    locking.add_argument("--index", metavar="URL", help="by default the one of the lock, or MicroPython's own")
    add("check", check, "say whether the lock is one for the project's dependencies; takes no network")
    add("fetch", fetch, "bring every locked file into the cache, and hold it against its SHA-256")
    showing = add("show", show, "list what a manifest.py puts into an image", project=False)
    showing.add_argument("file", type=Path, metavar="FILE", help="a manifest.py, or the folder of one")
    showing.add_argument("--var", action="append", default=[], metavar="K=V", help="what $(K) is; may be repeated")
    showing.add_argument(
        "--library", action="append", default=[], metavar="NAME=DIR", help="where to look for packages; may be repeated"
    )
    return top


_PROJECT = "a folder whose pyproject.toml has dependencies in [tool.romfs]; by default this one"


def lock(options: argparse.Namespace) -> None:
    """Resolve dependencies and write the lock."""
    from romfs_manifest.lockfile import NAME, read_lock, write_lock
    from romfs_manifest.project import read_requests
    from romfs_manifest.resolve import DEFAULT_INDEX, make_lock

    requests, path = read_requests(options.project), options.project / NAME
    previous = read_lock(path) if path.exists() else None
    index = options.index or (previous.index_url if previous else DEFAULT_INDEX)
    if not options.index and index.startswith("http:"):
        raise UsageError(f"{path} was made from {index}, which is not https", hint=f"Name it again: --index {index}")
    with progress(quiet=options.quiet or options.json) as on_progress:
        made = make_lock(requests, index=index, previous=previous, upgrade=options.upgrade, on_progress=on_progress)
    if made != previous:
        write_lock(path, made)
    if options.json:
        print_json({**_document(path, made), "changed": made != previous})
    elif not options.quiet:
        say(_summary(path, made))
        for line in _changes(previous, made, everything=options.verbose):
            say(line)


def check(options: argparse.Namespace) -> None:
    """Say whether the lock is one for the project's dependencies."""
    path, checked = _checked(options)
    if options.json:
        print_json(_document(path, checked))
    elif not options.quiet:
        say(_summary(path, checked))


def fetch(options: argparse.Namespace) -> None:
    """Bring every locked file into the cache."""
    from romfs_manifest.download import fetch as fetch_files
    from romfs_manifest.store import user_cache

    path, checked = _checked(options)
    with progress(quiet=options.quiet or options.json) as on_progress:
        fetch_files(checked, cache := user_cache(), on_progress)
    if options.json:
        print_json({**_document(path, checked), "cache": str(cache)})
    elif not options.quiet:
        say(f"{_summary(path, checked)}, all in {cache}")


def show(options: argparse.Namespace) -> None:
    """List what a manifest puts into an image."""
    variables = _assigned("--var", options.var)
    libraries = {name: Path(folder) for name, folder in _assigned("--library", options.library).items()}
    from romfs_manifest import evaluate

    manifest = evaluate(options.file, variables=variables, libraries=libraries)
    files = [
        {
            "target": entry.target,
            "source": str(entry.source),
            "kind": entry.kind,
            "opt": entry.opt,
            "manifest": str(entry.manifest),
            "line": entry.line,
        }
        for entry in manifest.entries
    ]
    if options.json:
        print_json({"metadata": dict(manifest.metadata), "files": files, "warnings": list(manifest.warnings)})
        return
    for warning in manifest.warnings:
        tell(f"warning: {warning}")
    width = max((len(entry.target) for entry in manifest.entries), default=0)
    for entry in () if options.quiet else manifest.entries:
        level = "" if entry.opt is None else f"-O{entry.opt}"
        origin = f"  ({entry.manifest}:{entry.line})" if options.verbose else ""
        say(f"{entry.target:{width}}  {entry.kind:4}  {level:3}  {entry.source}{origin}")


def _assigned(option: str, texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise UsageError(f"{option}: {wrong[0]!r} has no value", hint=f"{option} NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _checked(options: argparse.Namespace) -> tuple[Path, Lock]:
    """Return a project's lock and where it is; raises ManifestError where it is not one for its dependencies."""
    from romfs_manifest.lock import check_lock
    from romfs_manifest.lockfile import NAME, read_lock
    from romfs_manifest.project import read_requests

    requests, path = read_requests(options.project), options.project / NAME
    check_lock(read := read_lock(path), requests)
    return path, read


def _summary(path: Path, lock: Lock) -> str:
    files = [file for package in lock.packages for file in package.files]
    size = sum(file.size for file in files)
    return f"{path}: {_count(len(lock.packages), 'package')}, {_count(len(files), 'file')}, {size:,} bytes"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _changes(before: Lock | None, after: Lock, *, everything: bool) -> list[str]:
    old, new = set(before.packages if before else ()), set(after.packages)
    marks = [(package, "-") for package in old - new] + [(package, "+") for package in new - old]
    marks += [(package, " ") for package in old & new if everything]
    return [f"{mark} {package}" for package, mark in sorted(marks)]


def _document(path: Path, lock: Lock) -> dict[str, object]:
    packages = [
        {"name": package.name, "version": package.version, "files": len(package.files)} for package in lock.packages
    ]
    return {"path": str(path), "index": lock.index_url, "packages": packages}
