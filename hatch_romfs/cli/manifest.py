"""``romfs-manifest``: lock, fetch, and mirror mip packages, and show what a manifest contains."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.cli.command import (
    Parser,
    add_command,
    add_common_options,
    add_program_options,
    print_json,
    print_line,
    run,
    say,
    warn,
)
from hatch_romfs.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from romfs_manifest import Lock

# What a command needs is imported when it runs: --help, and every start, would wait for the rest.
# ruff: noqa: PLC0415

INDEX_VARIABLE = "ROMFS_INDEX"
_ALL = ""
"""The value of ``--upgrade`` without a name."""
_PROJECT = "a folder whose pyproject.toml has dependencies in [tool.romfs]; by default the current one"


def main() -> None:
    """Run the command ``romfs-manifest``."""
    run(command)


def command(arguments: Sequence[str]) -> None:
    """Run ``romfs-manifest`` with ``arguments``; raises RomfsError."""
    options = parser().parse_args(arguments)
    from hatch_romfs.collect.manifest import translate_errors

    with translate_errors():
        options.run(options)


def parser() -> Parser:
    """Return the parser of ``romfs-manifest``."""
    top = Parser(prog="romfs-manifest", description="Lock and fetch mip packages, and show what a manifest contains.")
    add_program_options(top)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=top.prog)

    def add(name: str, run_it: Callable[[argparse.Namespace], None], help_: str, *, project: bool = True) -> Parser:
        added = add_command(commands, name, run_it, help_)
        if project:
            added.add_argument("project", type=Path, nargs="?", default=Path(), metavar="PROJECT", help=_PROJECT)
        add_common_options(added)
        return added

    locking = add("lock", lock, "resolve the dependencies of a project, and write its romfs.lock")
    locking.add_argument(
        "--upgrade",
        action="append",
        nargs="?",
        const=_ALL,
        default=[],
        metavar="NAME",
        help="resolve this package anew, or all packages; can be repeated",
    )
    locking.add_argument("--form", help="the form of packages: py, which is source, or the number of a .mpy format")
    add("check", check, "check that the lock matches the project's dependencies; needs no network")
    fetching = add("fetch", fetch, "fetch every locked file into the cache, and check its SHA-256")
    listing = add("outdated", outdated, "list locked packages that have a newer version in the index")
    add("tree", tree, "show which package requires which")
    mirroring = add("mirror", mirror, "write everything that the lock needs as an index in a folder", project=False)
    mirroring.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or one that 'mirror' has made")
    mirroring.add_argument("project", type=Path, nargs="?", default=Path(), metavar="PROJECT", help=_PROJECT)
    for one in (locking, fetching, mirroring):
        one.add_argument("--cache", type=Path, metavar="DIR", help="keep fetched files here; by default in the user's")
    for one in (locking, fetching, listing, mirroring):
        one.add_argument(
            "--index",
            metavar="URL",
            default=os.environ.get(INDEX_VARIABLE) or None,
            help=f"by default {INDEX_VARIABLE}, or else the one of the lock, or else MicroPython's own",
        )
    _add_show(add("show", show, "list what a manifest.py puts into an image", project=False))
    return top


def _add_show(showing: Parser) -> None:
    add = showing.add_argument
    add("file", type=Path, metavar="FILE", help="a manifest.py, or a folder that contains one")
    add("--var", action="append", default=[], metavar="K=V", help="the value of $(K); can be repeated")
    add("--library", action="append", default=[], metavar="NAME=DIR", help="a library of packages; can be repeated")


def lock(options: argparse.Namespace) -> None:
    """Resolve dependencies and write the lock."""
    from hatch_romfs.cli import locks
    from romfs_manifest import make_lock, write_lock
    from romfs_manifest.mip.lock_file import NAME
    from romfs_manifest.project import read_requests

    folders = [name for name in options.upgrade if Path(name).name != name and Path(name).is_dir() and name != _ALL]
    if folders:
        raise SettingsError(f"--upgrade names a package, not a folder: {folders[0]}", hint="Write PROJECT before it.")
    requests, path = read_requests(options.project), options.project / NAME
    warnings = _Warnings()
    previous, index, form = _read_previous(path, options, warnings)
    with _progress(quiet=options.json) as on_progress:
        made = make_lock(
            requests,
            index=index,
            form=form,
            previous=None if _ALL in options.upgrade else previous,
            upgrade=[name for name in options.upgrade if name != _ALL],
            cache=options.cache,
            on_progress=on_progress,
            root=options.project,
            on_warning=warnings.add,
        )
    if made != previous:
        write_lock(path, made)
    if options.json:
        print_json({**locks.lock_document(path, made), "changed": made != previous, "warnings": warnings.texts})
    else:
        say(locks.summarize_lock(path, made))
        for line in locks.list_changes(previous, made, everything=options.verbose):
            say(line)


def _read_previous(path: Path, options: argparse.Namespace, warnings: _Warnings) -> tuple[Lock | None, str, str]:
    """Return the lock that exists, if any, and the index and the form to use; raises ManifestError."""
    from romfs_manifest import read_lock
    from romfs_manifest.mip.lock_file import LockConflictError
    from romfs_manifest.mip.policy import check_named
    from romfs_manifest.mip.resolve import DEFAULT_INDEX

    previous, indexes, forms = None, {DEFAULT_INDEX}, {"py"}
    try:
        if path.exists():  # which a link without a target does not
            previous = read_lock(path)
            indexes, forms = {previous.index_url}, {previous.form}
    except LockConflictError as error:
        warnings.add(f"{error.message}; it is made anew")
        indexes, forms = error.indexes, error.forms
    if not options.index and len(indexes) != 1:
        raise SettingsError(f"the index of {path} is unclear", hint="Name it with --index URL.")
    if not options.form and len(forms) != 1:
        raise SettingsError(f"the form of {path} is unclear", hint="Name it with --form FORM.")
    if not options.index:
        check_named(min(indexes), None)
    return previous, options.index or min(indexes), options.form or min(forms)


def check(options: argparse.Namespace) -> None:
    """Check that the lock matches the project's dependencies."""
    from hatch_romfs.cli import locks

    path, checked = _read_checked(options)
    if options.json:
        print_json(locks.lock_document(path, checked))
    else:
        say(locks.summarize_lock(path, checked))


def fetch(options: argparse.Namespace) -> None:
    """Fetch every locked file into the cache."""
    from hatch_romfs.cli import locks

    fetched = _fetch_files(options)
    if options.json:
        document = locks.lock_document(fetched.path, fetched.lock)
        print_json({**document, "cache": str(fetched.cache), "warnings": fetched.warnings})
    else:
        say(f"{locks.summarize_lock(fetched.path, fetched.lock)}, all in {fetched.cache}")


def mirror(options: argparse.Namespace) -> None:
    """Write everything that the lock needs as an index in a folder."""
    from hatch_romfs.cli import locks
    from romfs_manifest.mip.mirror import write_mirror

    fetched = _fetch_files(options)
    write_mirror(options.folder, fetched.lock, fetched.files)
    if options.json:
        document = locks.lock_document(fetched.path, fetched.lock)
        print_json({**document, "folder": str(options.folder), "warnings": fetched.warnings})
    else:
        say(f"{locks.summarize_lock(fetched.path, fetched.lock)}, mirrored in {options.folder}")
        say(f"To use it: romfs-manifest lock --index file:{locks.relative_path(options.folder, options.project)}")


def outdated(options: argparse.Namespace) -> None:
    """List locked packages that have a newer version in the index."""
    from hatch_romfs.cli import locks
    from romfs_manifest.mip.outdated import find_outdated
    from romfs_manifest.mip.policy import check_named

    path, checked = _read_checked(options)
    check_named(checked.index_url, options.index)
    found = find_outdated(checked, root=options.project)
    if options.json:
        rows = [{"name": name, "locked": locked, "latest": latest} for name, locked, latest in found]
        print_json({**locks.lock_document(path, checked), "outdated": rows})
    else:
        for name, locked, latest in found:
            print_line(f"{name} {locked} -> {latest}")


def tree(options: argparse.Namespace) -> None:
    """Show which package requires which."""
    from hatch_romfs.cli import locks
    from romfs_manifest.mip.tree import draw_tree, required_by

    path, checked = _read_checked(options)
    if options.json:
        document = locks.lock_document(path, checked)
        rows = required_by(checked)
        for row, package in zip(document["packages"], checked.packages, strict=True):
            row |= {"requires": list(package.dependencies), "required_by": rows[package]}
        print_json(document)
    else:
        for line in draw_tree(checked):
            print_line(line)


def show(options: argparse.Namespace) -> None:
    """List what a manifest puts into an image."""
    from hatch_romfs.cli.manifest_files import show as show_files

    show_files(options)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of the manifest library, which reports a phase, and how many packages or files are done."""
    from hatch_romfs.cli.show import progress
    from hatch_romfs.events import Progress

    with progress(quiet=quiet) as report:
        yield lambda phase, done, total: report(Progress(phase, done, total, "packages"))


class _Warnings:
    """Warnings, which are printed at once, and kept for the document."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Print a warning, and keep it."""
        self.texts.append(text)
        warn(text)


class _Fetched(NamedTuple):
    """The lock of a project with the bytes of all its files."""

    path: Path
    lock: Lock
    cache: Path
    files: dict[str, bytes]
    warnings: list[str]


def _fetch_files(options: argparse.Namespace) -> _Fetched:
    from romfs_manifest import fetch as fetch_files
    from romfs_manifest import user_cache

    path, checked = _read_checked(options)
    warnings, cache = _Warnings(), options.cache or user_cache()
    with _progress(quiet=options.json) as on_progress:
        files = fetch_files(
            checked, cache, on_progress, root=options.project, index=options.index, on_warning=warnings.add
        )
    return _Fetched(path, checked, cache, files, warnings.texts)


def _read_checked(options: argparse.Namespace) -> tuple[Path, Lock]:
    """Return the path of a project's lock, and the lock; raises ManifestError if it does not match the project."""
    from romfs_manifest import check_lock, read_lock
    from romfs_manifest.mip.lock_file import NAME
    from romfs_manifest.project import read_requests

    requests, path = read_requests(options.project), options.project / NAME
    read = read_lock(path)
    check_lock(read, requests)
    return path, read
