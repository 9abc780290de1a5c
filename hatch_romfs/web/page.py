"""The files of the page: a static site that flashes images, or without images a workbench for any image.

Texts of the maker and of images are data in a JSON element, and become text only. The Content-Security-Policy of the
page names what it may load: its own files, and those of Pyodide.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from hatch_romfs.errors import SettingsError, one_line
from hatch_romfs.formats.image import ImageContent
from hatch_romfs.tree import files as files_in
from hatch_romfs.web import pinned
from hatch_romfs.web.marker import add_marker
from hatch_romfs.web.python_zip import python_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from hatch_romfs.formats.image import Image
    from hatch_romfs.settings.subtables import Page

INDEX: Final = "index.html"
IMAGES: Final = "images"
PYODIDE: Final = "pyodide"
_SINGLE_PAGES: Final = ("page.html", "start.js", "diff.js")
"""The files of ``report/page`` that only the pages of ``romfs-image map`` and ``diff`` need."""
_MARK: Final = re.compile("@(TITLE|POLICY|IMPORT_MAP|SETTINGS)@")
_HASH_LENGTH: Final = 16


class PageImage(NamedTuple):
    """An image on the page: the name of its file there, its bytes, what it says about itself, and its partition."""

    filename: str
    data: bytes
    name: str | None
    version: str | None
    partition: int

    @property
    def path(self) -> str:
        """Where it is in the folder of the page."""
        return f"{IMAGES}/{self.filename}"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the image, as 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()


def read_page_image(image: Image, filename: str, partition: int) -> PageImage:
    """Return an open image as one of the page, after checking it.

    Raises ImageError if it is damaged, and SettingsError if a board cannot use it.
    """
    image.check()
    if image.format != "micropython":
        raise SettingsError(f"{image.origin} is a Linux romfs image; a ROMFS partition takes MicroPython images")
    if next(files_in(image.root), None) is None:
        raise SettingsError(f"{image.origin}: the image contains no files", hint="Check the sources of the project.")
    data = b"".join(ImageContent(image.view, 0, image.size).chunks())
    return PageImage(filename, data, image.name, image.version, partition)


def make_page(
    images: Sequence[PageImage], settings: Page, pyodide: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the files of the page by their paths, for images whose file names differ.

    ``pyodide`` has the files of Pyodide by name; without them the page loads Pyodide from a CDN.
    """
    site, code = dict(_site_files()), python_zip()
    python = f"python-{hashlib.sha256(code).hexdigest()[:_HASH_LENGTH]}.zip"
    url = pyodide_url(is_bundled=pyodide is not None)
    template = site.pop(INDEX).decode()
    document = {
        "maker": settings.maker,
        "text": settings.text,
        "links": [{"text": text, "url": target} for text, target in settings.links.items()],
        "images": [describe_image(image) for image in images],
        "python": {"file": python, "integrity": pinned.integrity(code)},
        "pyodide": {
            "url": url,
            "version": pinned.VERSION,
            "lock": pinned.LOCK,
            "integrity": {name: file.integrity for name, file in pinned.FILES.items()},
        },
    }
    bundled = {f"{PYODIDE}/{name}": data for name, data in (pyodide or {}).items()}
    pictures = {image.path: image.data for image in images}
    content = {python: code, **site, **bundled, **pictures}
    index = _fill(template, _title(settings, images), document, None if pyodide else url)
    content[INDEX] = add_marker(index, (INDEX, *content))
    return dict(sorted(content.items()))


def pyodide_url(*, is_bundled: bool) -> str:
    """Return the URL of the folder with Pyodide, relative to the page if that contains it."""
    return f"{PYODIDE}/" if is_bundled else pinned.URL


def describe_image(image: PageImage) -> dict[str, object]:
    """Return what the page knows about an image; ``file`` is a URL."""
    return {
        "file": quote(image.path),
        "integrity": pinned.integrity(image.data),
        "name": image.name,
        "version": image.version,
        "size": len(image.data),
        "sha256": image.sha256,
        "partition": image.partition,
    }


def _site_files() -> Iterator[tuple[str, bytes]]:
    """Yield the paths and the bytes of the files that are the same in every page, and of the template."""
    yield from _walk(files("hatch_romfs.web") / "site", "")
    for entry in (files("hatch_romfs.report") / "page").iterdir():
        if entry.name not in _SINGLE_PAGES:
            yield from _walk(entry, f"report/{entry.name}")


def _walk(entry: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    if entry.is_file():
        yield path, entry.read_bytes()
        return
    for inner in entry.iterdir():
        yield from _walk(inner, f"{path}/{inner.name}".lstrip("/"))


def _title(settings: Page, images: Sequence[PageImage]) -> str:
    if not images:
        what = "ROMFS workbench"
    elif len(images) == 1:
        what = f"Flash {images[0].name or images[0].filename}"
    else:
        what = "Flash a board"
    return one_line(f"{what} ({settings.maker})" if settings.maker else what)


def _fill(template: str, title: str, document: dict[str, Any], remote: str | None) -> bytes:
    """Return the index of the page; ``remote`` is the URL of Pyodide if that is elsewhere."""
    base = remote or f"./{PYODIDE}/"
    known = {f"{base}{name}": pinned.FILES[name].integrity for name in pinned.MODULES}
    import_map = _json({"integrity": known})
    values = {
        "TITLE": html.escape(title),
        "POLICY": _policy(import_map, remote),
        "IMPORT_MAP": import_map,
        "SETTINGS": _json(document),
    }
    # In one pass: no text of the maker can be taken for another mark.
    return _MARK.sub(lambda mark: values[mark[1]], template).encode()


def _json(document: object) -> str:
    """Return JSON in ASCII for a script element, which only ``<`` could end, or turn into a comment."""
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def _policy(import_map: str, remote: str | None) -> str:
    """Return the Content-Security-Policy: of other hosts, only the very files of Pyodide.

    A policy cannot name the query of a URL, so it is the page itself that ends all connections once it is loaded.
    """
    scripts = [f"{remote}{name}" for name in pinned.MODULES] if remote else []
    data = [f"{remote}{name}" for name in pinned.FILES if name not in pinned.MODULES] if remote else []
    inline = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'wasm-unsafe-eval'", f"'sha256-{inline}'", *scripts],
        "connect-src": ["'self'", *data],
        "style-src": ["'self'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in directives.items())
