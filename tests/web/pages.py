"""What tests of the page share: a project that has one, and what holds for every page."""

import base64
import hashlib
import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from hatch_romfs import build
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.web import pinned
from tests.projects import make_project
from tests.trees import tree

PROJECT = '[project]\nname = "app"\nversion = "1.2"\n[tool.romfs]\nmpy = false\npartition = 1\n'
PAGE = '[tool.romfs.page]\nmaker = "Acme"\ntext = "For the X1."\nlinks = { Support = "https://acme.example/s" }\n'
CONNECT, FLASH = "#board button >> nth=0", "#flash button >> nth=0"
"""Buttons of the page."""


class Page(HTMLParser):
    """The parts of an index that matter, as a browser sees them."""

    def __init__(self, folder):
        super().__init__()
        self.at, self.title, self.sources, self.tags = "", "", [], []
        self.text: dict[str, str] = {}
        self.policy = ""
        self.feed((folder / "index.html").read_text(encoding="utf-8"))
        self.settings = json.loads(self.text["application/json"])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))
        found = dict(attrs)
        self.at = found.get("type") or "" if tag == "script" else tag
        self.sources += filter(None, [found.get("src"), found.get("href")])
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]

    def handle_endtag(self, tag):
        self.at = ""

    def handle_data(self, data):
        if self.at == "title":
            self.title += data
        elif self.at:
            self.text[self.at] = self.text.get(self.at, "") + data

    def directive(self, name):
        return next(part.split()[1:] for part in self.policy.split("; ") if part.split()[0] == name)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sri(data):
    return f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode()}"


def make_image(path, text="x = 1\n"):
    with tempfile.TemporaryDirectory() as folder:
        return build(make_project(Path(folder) / "tree", {"main.py": text}), path, overrides={"mpy": False}).path


def image_of(files, name="other", version="0.9"):
    """Return an image with these files."""
    return b"".join(image_chunks(lay_out(tree(files), metadata=Metadata(name, version))))


def make_app(root):
    return make_project(root, {"pyproject.toml": PROJECT + PAGE, "src/app.py": "x = 1\n"})


def check_page(folder):
    """Check what holds for every page, and return it."""
    page, files = Page(folder), content(folder)
    for one in page.settings["images"]:
        data = files[unquote(one["file"])]
        assert one["integrity"] == sri(data)
        assert (one["size"], one["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    code = files[page.settings["python"]["file"]]
    assert page.settings["python"] == {
        "file": f"python-{hashlib.sha256(code).hexdigest()[:16]}.zip",
        "integrity": sri(code),
    }
    inline = base64.b64encode(hashlib.sha256(page.text["importmap"].encode()).digest()).decode()
    assert f"'sha256-{inline}'" in page.directive("script-src")
    assert {"'none'"} == set(page.directive("default-src")) == set(page.directive("form-action"))
    assert "unsafe" not in page.policy.replace("'wasm-unsafe-eval'", "")
    integrity = json.loads(page.text["importmap"])["integrity"]
    base = page.settings["pyodide"]["url"] if "://" in page.settings["pyodide"]["url"] else "./pyodide/"
    assert integrity == {f"{base}{name}": pinned.FILES[name].integrity for name in pinned.MODULES}
    assert page.settings["pyodide"]["integrity"] == {name: file.integrity for name, file in pinned.FILES.items()}
    for source in page.sources:
        assert source in files or source == "data:,"
    return page


def wait_ready(page):
    """Wait until Python is there."""
    page.locator("#loading").wait_for(state="hidden")
