"""The content of an image, just before it is packed: what a board would reject, and what may not be intended.

Every way to build an image passes here, wherever a file comes from: a folder, a manifest, or a package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatch_romfs.compile.precompiled import precompiled_warnings
from hatch_romfs.errors import BuildError
from hatch_romfs.settings.layers import is_micropython
from hatch_romfs.settings.values import is_model
from hatch_romfs.tree import files, nested_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.settings.model import Settings
    from hatch_romfs.settings.subtables import Nested
    from hatch_romfs.tree import Directory, File

_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_SIZES: Final = range(100, 1025)
"""The bytes that a Git LFS pointer can have, with its hash and by its specification."""
_TEXT = (".py", ".txt", ".json", ".csv", ".html", ".htm", ".css", ".js", ".xml", ".svg", ".toml", ".ini", ".cfg", ".md")
"""Files that Git may check out with other line breaks on Windows."""
_MAX_LISTED = 3


def check_content(tree: Directory, settings: Settings | Nested) -> list[str]:
    """Return warnings about the files of a compiled tree, nested images included.

    Raises BuildError that lists every file that cannot be what was meant.
    """
    problems = list(_problems(tree, settings))
    if problems:
        raise BuildError([text for text, _ in problems], hint=" ".join(dict.fromkeys(hint for _, hint in problems)))
    windows = list(_windows_texts(tree, settings))
    return [*precompiled_warnings(tree, settings), *([_line_break_warning(windows)] if windows else [])]


def _problems(tree: Directory, settings: Settings | Nested) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each file, and what to do about it."""
    for path, file in files(tree):
        if _is_pointer(path, file):
            yield f"{file.origin} is a Git LFS pointer, not the file itself", "Run `git lfs pull`."
        elif file.size == 0 and is_model(path) and is_micropython(settings):
            yield f"{file.origin} is empty, but should be a model", "Restore the file, or exclude it."
    for image in nested_images(tree).values():
        yield from _problems(image.tree, image.settings)


def _is_pointer(path: str, file: File) -> bool:
    # A module that is a pointer does not compile; leaving them out saves opening each one twice.
    return file.size in _POINTER_SIZES and not path.endswith((".py", ".mpy")) and file.read().startswith(_POINTER)


def _windows_texts(tree: Directory, settings: Settings | Nested) -> Iterator[str]:
    """Yield the origin of each text with the line breaks of Windows.

    Compiled modules do not matter: their code is the same with any line breaks.
    """
    if is_micropython(settings):
        for path, file in files(tree):
            if (
                path.endswith(_TEXT)
                and file.layer != "base"
                and b"\r\n" in bytes(next(iter(file.content.chunks()), b""))
            ):
                yield file.origin
    for image in nested_images(tree).values():
        yield from _windows_texts(image.tree, image.settings)


def _line_break_warning(origins: list[str]) -> str:
    listed = ", ".join(origins[:_MAX_LISTED])
    more = f" and {len(origins) - _MAX_LISTED} more files" if len(origins) > _MAX_LISTED else ""
    return (
        f"line breaks of Windows (CRLF) in {listed}{more}: the image differs where Git checks out LF;"
        " put `* text=auto eol=lf` into .gitattributes"
    )
