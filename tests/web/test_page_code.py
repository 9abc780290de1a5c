"""What the page runs: the ZIP file with the code of this package, and the files of Pyodide."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_romfs import build
from hatch_romfs.cli import command, image
from hatch_romfs.web import pinned
from hatch_romfs.web.python_zip import python_zip
from tests import judges
from tests.commands import unmeasured
from tests.projects import make_project
from tests.web.pages import check_page, content, make_app

ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from hatch_romfs.web.app import Page
class Data(bytes):
    def to_bytes(self):
        return bytes(self)
page = Page(sys.argv[2], wait_for=None)
print(page.call("pack", [("main.py", Data(b"x = 1")), ("lib/a.txt", Data(b"y"))], "app.romfs"))
print(page.call("map", 0))
print(page.call("extract", 0)[:2])
print(page.call("open_file", Data(open(sys.argv[3], "rb").read()), "a.whl"))
import hatch_romfs.board.flash, hatch_romfs.board.listing, hatch_romfs.board.reading
found = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(found))
"""


@pytest.fixture
def app(tmp_path):
    return make_app(tmp_path / "app")


def test_the_code_of_the_page_needs_nothing_else(app, tmp_path):
    (tmp_path / "code.zip").write_bytes(python_zip())
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(build(app, tmp_path / "a.romfs").path, "app/a.romfs")
    words = [sys.executable, "-I", "-S", "-c", ALONE, tmp_path / "code.zip", tmp_path / "memory", wheel]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=unmeasured())
    assert done.returncode == 0, done.stderr
    packed, shown, extracted, opened, found = done.stdout.splitlines()
    assert [file["path"] for file in json.loads(packed)["files"]] == ["lib/a.txt", "main.py"]
    assert json.loads(shown)["page"] == "map"
    assert extracted == "b'PK'"
    assert json.loads(opened)["name"] == "app"
    assert found == "__main__ hatch_romfs romfs_manifest"


def test_the_code_of_the_page_is_only_what_it_needs():
    with zipfile.ZipFile(io.BytesIO(python_zip())) as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names == sorted(names)
    assert {Path(name).suffix for name in names} == {".py", ".toml"}
    left_out = ("cli", "plugins", "fleet", "sim", "firmware")
    assert not [name for name in names if name.split("/")[1] in left_out or name.startswith("romfs_manifest/mip")]
    assert "hatch_romfs/board/micropython/agent.py" in names


FAKE = {"pyodide.mjs": b"one", "pyodide.asm.mjs": b"two", "pyodide.asm.wasm": b"\0asm", "python_stdlib.zip": b"PK"}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder with small files in place of those of Pyodide, and their hashes pinned."""
    pins = {name: pinned.PinnedFile(len(data), pinned.integrity(data)) for name, data in FAKE.items()}
    monkeypatch.setattr(pinned, "FILES", pins)
    package = json.dumps({"name": "pyodide", "version": pinned.VERSION})
    return make_project(tmp_path / "node_modules/pyodide", {**FAKE, "package.json": package, "README.md": "1"})


def page_of(*words):
    return command._status(image.command, ["page", *map(str, words)])


def test_a_bundle_contains_pyodide_and_names_no_other_host(fake, tmp_path):
    assert page_of("-o", tmp_path / "site", "--bundle", fake) == 0
    page, files = check_page(tmp_path / "site"), content(tmp_path / "site")
    assert {path: data for path, data in files.items() if path.startswith("pyodide/")} == {
        f"pyodide/{name}": data for name, data in FAKE.items()
    }
    assert page.settings["pyodide"]["url"] == "pyodide/"
    assert "//" not in page.policy


HINT = "Run 'npm pack pyodide@314.0.8', unpack what it downloads, and name the folder 'package' in it.\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "pyodide.asm.wasm").unlink(), "{} has no pyodide.asm.wasm, a file of Pyodide"),
        (lambda folder: (folder / "pyodide.mjs").write_bytes(b"two"), "{}/pyodide.mjs is not that of Pyodide 314.0.8"),
        (lambda folder: (folder / "pyodide.mjs").write_bytes(b"x" * 99), "{}/pyodide.mjs is not that of Pyodide 314"),
        (lambda folder: (folder / "pyodide.mjs").write_bytes(b""), "{}/pyodide.mjs is not that of Pyodide 314.0.8"),
        (lambda folder: folder.rename(folder.with_name("x")), "{} is not a folder"),
    ],
)
def test_a_bundle_of_something_else_is_refused(change, message, fake, tmp_path, capsys):
    change(fake)
    assert page_of("-o", tmp_path / "site", "--bundle", fake) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --bundle: {message.format(fake)}")
    assert said.endswith(f"\n{HINT}")
    assert not (tmp_path / "site").exists()


def test_a_bundle_of_another_release_says_which(fake, tmp_path, capsys):
    (fake / "pyodide.asm.mjs").write_bytes(b"old")
    (fake / "package.json").write_text('{"version": "0.29.0"}')
    assert page_of("-o", tmp_path / "site", "--bundle", fake) == 2
    assert capsys.readouterr().err == f"error: --bundle: {fake} is Pyodide 0.29.0; the page needs 314.0.8\n{HINT}"


def test_the_pinned_facts_are_those_of_the_npm_package():
    folder = Path(sys.prefix) / "web" / "node_modules" / "pyodide"
    if not folder.is_dir():
        judges.missing("npm's pyodide")
    found = pinned.read_pyodide(folder)
    assert {name: len(data) for name, data in found.items()} == {name: one.size for name, one in pinned.FILES.items()}
    info = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    assert {**info, "version": json.loads((folder / "package.json").read_bytes())["version"]} == pinned.LOCK
