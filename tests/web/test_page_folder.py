"""``romfs-image page``: the folder that it writes, from images, projects, texts, and names of every kind."""

import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from hatch_romfs import build
from hatch_romfs.web import pinned
from tests.commands import romfs_image
from tests.projects import make_project
from tests.web.pages import PAGE, PROJECT, check_page, content, make_app, make_image

HOSTILE = "</script><script>alert(1)</script><!--<b>\" onload='x' ]]> &amp; @SETTINGS@ @POLICY@ \u2028"


@pytest.fixture
def app(tmp_path):
    return make_app(tmp_path / "app")


def test_the_page_of_a_project(app, tmp_path):
    done = romfs_image("page", app, "-o", tmp_path / "site")
    page, files = check_page(tmp_path / "site"), content(tmp_path / "site")
    settings = page.settings
    assert page.title == "Flash app (Acme)"
    assert (settings["maker"], settings["text"]) == ("Acme", "For the X1.")
    assert settings["links"] == [{"text": "Support", "url": "https://acme.example/s"}]
    (one,) = settings["images"]
    assert (one["file"], one["name"], one["version"], one["partition"]) == ("images/app.romfs", "app", "1.2", 1)
    assert files["images/app.romfs"] == build(app, tmp_path / "app.romfs").path.read_bytes()
    size = sum(map(len, files.values()))
    assert (
        done.stdout.splitlines()[0] == f"{tmp_path / 'site'}: a page with 1 image, {len(files)} files, {size:,} bytes"
    )
    assert f"python -m http.server -d {tmp_path / 'site'}'" in done.stdout
    assert {"report/map.js", "report/treemap.js", "report/style.css", "main.js", "style.css"} <= files.keys()
    assert not {"report/start.js", "report/page.html"} & files.keys()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_an_image_it_is_a_workbench(tmp_path):
    done = romfs_image("page", "-o", tmp_path / "bench", cwd=tmp_path)
    page = check_page(tmp_path / "bench")
    assert (page.settings["images"], page.title) == ([], "ROMFS workbench")
    assert done.stdout.startswith(f"{tmp_path / 'bench'}: a workbench, ")


def test_pyodide_comes_from_the_cdn_and_nothing_else_does(app, tmp_path):
    romfs_image("page", app, "-o", tmp_path / "site")
    page = check_page(tmp_path / "site")
    url = "https://cdn.jsdelivr.net/npm/pyodide@314.0.8/"
    assert page.settings["pyodide"]["url"] == url
    known = {source for name in ("script-src", "connect-src") for source in page.directive(name) if "//" in source}
    assert known == {f"{url}{name}" for name in pinned.FILES}
    assert {source for source in page.policy.split() if "//" in source} <= {*known, *(f"{one};" for one in known)}
    assert page.settings["pyodide"]["lock"]["version"] == page.settings["pyodide"]["version"] == "314.0.8"


def test_the_same_input_gives_the_same_bytes_anywhere(app, tmp_path):
    other = make_project(
        tmp_path / "else" / "where", {path: (app / path).read_bytes() for path in ("pyproject.toml", "src/app.py")}
    )
    romfs_image("page", app, "-o", tmp_path / "a")
    environment = os.environ | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    code = "import os; os.umask(0o77); from hatch_romfs.cli.image import main; main()"
    arguments = ["page", str(other), "-o", str(tmp_path / "b")]
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True, capture_output=True)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    everything = b"".join(content(tmp_path / "a").values())
    assert os.fsencode(tmp_path) not in everything


def test_options_outrank_the_table_key_by_key(app, tmp_path):
    links = ("--link", "Write to us=mailto:a@b.example", "--link", "Shop=http://x.example/?a=b")
    romfs_image("page", app, "-o", tmp_path / "site", "--maker", "Other", *links)
    settings = check_page(tmp_path / "site").settings
    assert (settings["maker"], settings["text"]) == ("Other", "For the X1.")
    assert settings["links"] == [
        {"text": "Write to us", "url": "mailto:a@b.example"},
        {"text": "Shop", "url": "http://x.example/?a=b"},
    ]


def test_the_table_is_that_of_the_current_folder_if_no_project_is_named(app, tmp_path):
    image = make_image(tmp_path / "x.romfs")
    romfs_image("page", image, "-o", tmp_path / "site", cwd=app)
    assert check_page(tmp_path / "site").settings["maker"] == "Acme"
    romfs_image("page", image, "-o", tmp_path / "site", cwd=tmp_path)
    assert check_page(tmp_path / "site").settings["maker"] is None


def test_projects_that_say_something_else_are_refused(app, tmp_path):
    other = make_project(tmp_path / "other", {"pyproject.toml": PROJECT, "src/app.py": "x = 2\n"})
    said = romfs_image("page", app, other, "-o", tmp_path / "site", status=2).stderr
    assert said.startswith(f"error: {app} and {other} have different tables [tool.romfs.page]\nBuild the images first")
    (other / "pyproject.toml").write_text(PROJECT + PAGE)
    romfs_image("page", app, other, "-o", tmp_path / "site")
    files = [image["file"] for image in check_page(tmp_path / "site").settings["images"]]
    assert files == ["images/app.romfs", "images/app-2.romfs"]


def test_all_images_of_a_project_or_the_one_that_is_named(tmp_path):
    table = PROJECT + 'images = { main = {}, assets = { partition = 0, sources = ["assets"] } }\n'
    files = {"pyproject.toml": table, "src/app.py": "x = 1\n", "assets/a": "1"}
    project = make_project(tmp_path / "two", files)
    romfs_image("page", project, "-o", tmp_path / "site")
    found = [(one["file"], one["partition"]) for one in check_page(tmp_path / "site").settings["images"]]
    assert found == [("images/app-main.romfs", 1), ("images/app-assets.romfs", 0)]
    romfs_image("page", project, "--image", "assets", "-o", tmp_path / "site")
    assert [one["name"] for one in check_page(tmp_path / "site").settings["images"]] == ["app-assets"]


def test_the_image_in_a_wheel(app, tmp_path):
    built = build(app, tmp_path / "built.romfs").path
    wheel = tmp_path / "app-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(built, "app/inside.romfs")
    romfs_image("page", wheel, "-o", tmp_path / "site")
    check_page(tmp_path / "site")
    assert (tmp_path / "site/images/app.romfs").read_bytes() == built.read_bytes()


@pytest.mark.parametrize("name", ["grüße 1.romfs", "a#b?c%20d.romfs", "it's & <more>.romfs", "-->.romfs", "_x.bin"])
def test_any_name_of_a_file_and_of_a_folder(name, tmp_path):
    image = make_image(tmp_path / name)
    out = tmp_path / "sëite mit -->" / "& more"
    for _ in range(2):  # the second time, it replaces itself
        romfs_image("page", image, "-o", out, cwd=tmp_path)
        page = check_page(out)
        assert (out / "images" / name).read_bytes() == image.read_bytes()
        assert re.fullmatch(r"images/[\w.%~-]+", page.settings["images"][0]["file"], re.ASCII)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    image = make_image(tmp_path / "a.romfs").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.romfs"))
    said = romfs_image("page", image, "-o", tmp_path / "site", status=2).stderr
    assert r"the name '\udcfc.romfs' is not valid UTF-8" in said
    assert "Rename the file." in said


def test_equal_names_become_distinct_ones(tmp_path):
    images = [
        make_image(tmp_path / path, f"x = {number}\n")
        for number, path in enumerate(("a/x.romfs", "b/X.romfs", "c/x.romfs"))
    ]
    romfs_image("page", *images, "-o", tmp_path / "site")
    files = [one["file"] for one in check_page(tmp_path / "site").settings["images"]]
    assert files == ["images/x.romfs", "images/X-2.romfs", "images/x-3.romfs"]
    same = make_image(tmp_path / "same.romfs", "x = 0\n")
    said = romfs_image("page", *images, same, "-o", tmp_path / "site", status=2).stderr
    assert said == "error: same.romfs is the same image as x.romfs\nName each image once.\n"


def test_hostile_texts_stay_texts(tmp_path):
    image = make_image(tmp_path / "a.romfs")
    text, link = f"{HOSTILE}\n{HOSTILE}", HOSTILE.replace("=", "")
    arguments = ("--maker", HOSTILE, "--text", text, "--link", f"{link}=https://x/?</script>")
    romfs_image("page", image, "-o", tmp_path / "site", *arguments)
    page = check_page(tmp_path / "site")
    assert page.settings["maker"] == HOSTILE
    assert page.settings["text"] == text
    assert page.settings["links"] == [{"text": link, "url": "https://x/?</script>"}]
    assert page.title == f"Flash a.romfs ({HOSTILE})".replace("\u2028", r"\u2028")
    romfs_image("page", image, "-o", tmp_path / "site")
    assert page.tags == check_page(tmp_path / "site").tags


def test_the_json_document_names_what_was_written(app, tmp_path):
    done = romfs_image("page", app, "-o", tmp_path / "site", "--json")
    document = json.loads(done.stdout)
    page, files = check_page(tmp_path / "site"), content(tmp_path / "site")
    assert document == {
        "path": str(tmp_path / "site"),
        "images": page.settings["images"],
        "files": len(files),
        "bytes": sum(map(len, files.values())),
        "pyodide": {"url": pinned.URL, "version": pinned.VERSION},
    }


# Mistakes


def test_images_that_a_board_cannot_use_are_refused(app, tmp_path):
    linux = build(app, tmp_path / "linux.romfs", overrides={"format": "linux", "partition": 0}).path
    damaged = tmp_path / "damaged.romfs"
    damaged.write_bytes(build(app, tmp_path / "a.romfs").path.read_bytes().replace(b"x = 1", b"x = 2"))
    empty = tmp_path / "empty.romfs"
    empty.write_bytes(b"\xd2\xcd\x31\x00")
    for path, status, message in (
        (linux, 2, f"{linux} is a Linux romfs image; a ROMFS partition takes MicroPython images"),
        (damaged, 3, f"{damaged}: the content does not match the SHA-256 in the image"),
        (empty, 2, f"{empty}: the image contains no files"),
        (tmp_path / "nowhere", 2, f"cannot read {tmp_path / 'nowhere'}: No such file"),
        (app / "pyproject.toml", 3, f"{app / 'pyproject.toml'}: not a MicroPython ROMFS image"),
    ):
        done = romfs_image("page", path, "-o", tmp_path / "site", status=status)
        assert done.stderr.startswith(f"error: {message}")
        assert not (tmp_path / "site").exists()
