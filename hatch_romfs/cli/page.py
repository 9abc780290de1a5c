"""``romfs-image page``: a web page that flashes images, for users without Python."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, say
from hatch_romfs.cli.source import open_report_source
from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import is_image
from hatch_romfs.paths import name_problem
from hatch_romfs.settings.layers import merge
from hatch_romfs.settings.project import has_table, load, read_project
from hatch_romfs.settings.subtables import Page
from hatch_romfs.settings.table import Table
from hatch_romfs.settings.types import Place, read
from hatch_romfs.web import pinned
from hatch_romfs.web.folder import check_page_folder, replace_page
from hatch_romfs.web.marker import normalize
from hatch_romfs.web.page import PageImage, describe_image, make_page, pyodide_url, read_page_image

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from hatch_romfs.errors import Problem
    from hatch_romfs.settings.project import Project

_MAX_STEM = 80
"""The characters of an image's name that become the name of its file on the page, at most."""


def run_page(options: argparse.Namespace) -> None:
    """Write the page."""
    check_page_folder(options.output)
    projects = {source: _project(source) for source in options.images if source.is_dir()}
    _check_place(options.output, [source for source, project in projects.items() if project is None])
    settings = merge(_table([project for project in projects.values() if project]), _read_options(options))
    pyodide = None if options.bundle is None else pinned.read_pyodide(options.bundle)
    images = _distinct([image for source in options.images for image in _read(source, projects.get(source), options)])
    content = make_page(images, settings, pyodide)
    replace_page(options.output, content)
    _show(options, images, content, is_bundled=pyodide is not None)


def _show(options: argparse.Namespace, images: list[PageImage], content: dict[str, bytes], *, is_bundled: bool) -> None:
    """Print what was written, and how to look at it."""
    out, size = str(options.output), sum(map(len, content.values()))
    if options.json:
        document = {
            "path": out,
            "images": [describe_image(image) for image in images],
            "files": len(content),
            "bytes": size,
            "pyodide": {"url": pyodide_url(is_bundled=is_bundled), "version": pinned.VERSION},
        }
        print_json(document)
        return
    what = f"a page with {len(images)} image{'s' if len(images) > 1 else ''}" if images else "a workbench"
    say(f"{out}: {what}, {len(content)} files, {size:,} bytes")
    shown = f'"{out}"' if " " in out else out
    say(f"  to look at it, run 'python -m http.server -d {shown}' and open http://localhost:8000")
    say("  on any other host, browsers let a page use serial ports only over https")


def _project(root: Path) -> Project | None:
    """Return the project in a folder, or None if it has no [tool.romfs]. Raises SettingsError."""
    document = load(root)
    return read_project(root, document) if document is not None and has_table(document) else None


def _check_place(out: Path, folders: list[Path]) -> None:
    """Refuse to write the page into a folder that is packed: the next image would contain it. Raises SettingsError."""
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise SettingsError(
                f"{out} is inside {folder}, so the next image would contain the page", hint="Choose another output."
            )


def _table(projects: list[Project]) -> Page:
    """Return the table of the projects that are named, or of the current folder. Raises SettingsError."""
    if not projects:
        here = _project(Path())
        projects = [] if here is None else [here]
    pages = [next(iter(project.images.values())).page for project in projects]
    for project, page in zip(projects, pages, strict=True):
        if page != pages[0]:
            raise SettingsError(
                f"{projects[0].root} and {project.root} have different tables [tool.romfs.page]",
                hint="Build the images first, and name the image files.",
            )
    return pages[0] if pages else Page()


def _read_options(options: argparse.Namespace) -> Page:
    """Return the layer of the options, which are checked like the keys of the table. Raises SettingsError."""
    table: dict[str, object] = {
        name: value for name in ("maker", "text") if (value := getattr(options, name)) is not None
    }
    names = {"maker": "--maker", "text": "--text"}
    links = {}
    for link in options.link:
        text, equals, url = link.partition("=")
        if not equals:
            raise SettingsError(
                f"--link: {link!r} has no URL", hint="Write it as in --link 'Support=https://example.com'."
            )
        links[text] = url
        names[f'links."{text}"'] = f"--link {text}".rstrip()
    if links:
        table["links"] = links
    problems: list[Problem] = []
    page = read(Table(Page), table, Place(root="overrides", names=names), problems)
    if problems:
        raise SettingsError(problems)
    return page


def _read(source: Path, project: Project | None, options: argparse.Namespace) -> Iterator[PageImage]:
    """Yield the image of a file or of a plain folder, and the images of a project: all, or the one that is named."""
    names = [options.image] if project is None or options.image else [name or None for name in project.images]
    for name in names:
        with open_report_source(source, name, progress=not options.json) as opened:
            filename = source.name if is_image(source) else _filename(opened.image.name, source)
            if problem := name_problem(filename):
                raise SettingsError(f"{source}: {problem}", hint="Rename the file.")
            yield read_page_image(opened.image, filename, opened.partition)


def _filename(name: str | None, source: Path) -> str:
    """Return a name for the file of an image that was built, or that is inside another file."""
    named = source if source.name not in ("", "..") else source.resolve()
    stem = name or (named.name if source.is_dir() else PurePath(named.name).stem)
    safe = re.sub(r"[^\w.-]+", "-", stem)[:_MAX_STEM].strip(".-_")
    return f"{safe or 'image'}.romfs"


def _distinct(images: list[PageImage]) -> list[PageImage]:
    """Return the images with file names that differ on every system. Raises SettingsError for equal images."""
    taken: set[str] = set()
    seen: dict[bytes, str] = {}
    distinct = []
    for image in images:
        if image.data in seen:
            raise SettingsError(
                f"{image.filename} is the same image as {seen[image.data]}", hint="Name each image once."
            )
        seen[image.data] = image.filename
        path, number, filename = PurePath(image.filename), 1, image.filename
        while (key := normalize(filename).casefold()) in taken:
            number += 1
            filename = f"{path.stem}-{number}{path.suffix}"
        taken.add(key)
        distinct.append(image._replace(filename=filename))
    return distinct
