"""What the page does not replace, and what a failure leaves: the old page, and nothing else."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.web import folder
from hatch_romfs.web.folder import check_page_folder, replace_page
from hatch_romfs.web.marker import add_marker
from tests import judges
from tests.commands import romfs_image, unmeasured
from tests.projects import make_project
from tests.web.pages import check_page, content, make_app, make_image

posix = pytest.mark.skipif(os.name != "posix", reason="signals and modes")


@pytest.fixture
def app(tmp_path):
    return make_app(tmp_path / "app")


def test_a_page_is_replaced_as_a_whole(app, tmp_path):
    out = tmp_path / "site"
    out.mkdir()  # an empty folder may be there
    romfs_image("page", app, "-o", out)
    before = content(out)
    (out / ".DS_Store").touch()  # what a system puts there does not matter
    romfs_image("page", make_image(tmp_path / "new.romfs"), "-o", out)
    assert {path for path in before if path.startswith("images/")} == {"images/app.romfs"}
    assert {path for path in content(out) if path.startswith("images/")} == {"images/new.romfs"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "new.romfs", "site"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("CNAME", "contains CNAME, which is not part of the page"),
        ("images/precious.romfs", "contains images/precious.romfs, which is not part of the page"),
        (".git/HEAD", "contains .git/HEAD, which is not part of the page"),
    ],
)
def test_what_somebody_added_to_a_page_is_not_lost(path, message, app, tmp_path):
    out = tmp_path / "site"
    romfs_image("page", app, "-o", out)
    make_project(out, {path: "precious"})
    before = content(out)
    assert romfs_image("page", app, "-o", out, status=2).stderr == (
        f"error: {out} {message}\nMove it, or choose another output.\n"
    )
    assert content(out) == before


@pytest.mark.parametrize(
    "files",
    [
        {"index.html": "<!DOCTYPE html>\n<p>mine"},
        {"index.html": "<!DOCTYPE html>\n<!-- hatch-romfs page: [1"},
        {"index.html": "<!DOCTYPE html>\n<!-- hatch-romfs page: [[]] -->\n"},
        {"a": "1"},
        {"a/b": "1"},
        {"index.html/a": "1"},
    ],
    ids=repr,
)
def test_no_other_folder_is_replaced(files, app, tmp_path):
    out = make_project(tmp_path / "site", files)
    before = content(out)
    said = romfs_image("page", app, "-o", out, status=2).stderr
    assert said == f"error: {out} already exists and is not a page of this command\nChoose another folder.\n"
    assert content(out) == before


def test_a_link_to_a_page_stays_a_link(app, tmp_path):
    romfs_image("page", "-o", tmp_path / "real", cwd=tmp_path)
    (tmp_path / "link").symlink_to("real")
    romfs_image("page", app, "-o", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/images/app.romfs").exists()
    (tmp_path / "real/images/extra").symlink_to(app)
    said = romfs_image("page", app, "-o", tmp_path / "link", status=2).stderr
    assert "contains images/extra, which is not part of the page" in said
    assert (app / "src/app.py").exists()


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path):
    out = tmp_path / "site"

    class Late(dict[str, bytes]):
        def items(self):
            yield from super().items()
            make_project(out, {"precious": "1"})

    check_page_folder(out)
    with pytest.raises(SettingsError, match="site already exists and is not a page of this command"):
        replace_page(out, Late({"index.html": add_marker(b"", ["index.html"])}))
    assert content(tmp_path) == {"site/precious": b"1"}


def test_a_folder_whose_place_is_taken_meanwhile_is_kept_beside_it(tmp_path, monkeypatch):
    """Another program makes a folder in the instant in which ours has moved one away, and finds that it is no page."""
    out = tmp_path / "site"
    make_project(out, {"precious": "1"})
    check = folder._check_content

    def late(moved, shown):
        make_project(out, {"of somebody": "2"})
        check(moved, shown)

    monkeypatch.setattr(folder, "_check_content", late)
    with pytest.raises(SettingsError, match="site already exists and is not a page of this command"):
        replace_page(out, {"index.html": add_marker(b"", ["index.html"])})
    assert content(tmp_path) == {"site/of somebody": b"2", "site.1/precious": b"1"}


def test_a_page_inside_a_folder_that_is_packed_is_refused(tmp_path):
    folder = make_project(tmp_path / "assets", {"main.py": "x = 1\n"})
    said = romfs_image("page", folder, "-o", folder / "site", status=2).stderr
    assert said.startswith(f"error: {folder / 'site'} is inside {folder}, so the next image would contain the page\n")
    assert romfs_image("page", folder, "-o", tmp_path / "site").stdout


def test_the_current_folder_is_not_replaced(app, tmp_path):
    inner = tmp_path / "site"
    inner.mkdir()
    for out, cwd in ((".", inner), (inner, inner), (inner, inner / "images")):
        cwd.mkdir(exist_ok=True)
        said = romfs_image("page", app, "-o", out, cwd=cwd, status=2).stderr
        assert said.startswith(f"error: {out} contains the current folder, which cannot be replaced\n")


# What a failure leaves


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_leaves_what_was_there(existing, app, tmp_path):
    """The limit of a file's size fails in a write as a full disk does, after some of it was written."""
    folder = tmp_path / "out"
    folder.mkdir()
    if existing:
        romfs_image("page", "-o", folder / "site", cwd=tmp_path)
    before = content(folder)
    code = (
        "import resource; from hatch_romfs.cli import image\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "image.main()"
    )
    image = make_image(tmp_path / "a.romfs")
    words = [sys.executable, "-B", "-c", code, "page", str(image), "-o", str(folder / "site")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=unmeasured())
    message = f"error: cannot write {folder / 'site'}: File too large\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert content(folder) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["write", "move away", "move in"])
def test_the_old_page_stays_whenever_it_fails(error, step, tmp_path, monkeypatch):
    page = {"index.html": add_marker(b"old", ["index.html", "a.js"]), "a.js": b"old"}
    replace_page(tmp_path / "site", page)
    before = content(tmp_path)
    rename, calls = Path.rename, []

    def failing(path, target):
        calls.append(path.name)
        if len(calls) == {"move away": 1, "move in": 2}.get(step):
            raise error
        return rename(path, target)

    class Failing(dict[str, bytes]):
        def items(self):
            yield from super().items()
            if step == "write":
                raise error

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((KeyboardInterrupt, BuildError)):
        replace_page(tmp_path / "site", Failing({"index.html": add_marker(b"new", ["index.html"])}))
    monkeypatch.undo()
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@posix
def test_an_interrupt_leaves_nothing(app, tmp_path):
    """It comes when everything is written, and nothing is in its place yet."""
    (tmp_path / "out").mkdir()
    code = (
        "import os, pathlib, time\nfrom hatch_romfs.cli import image\nfrom hatch_romfs.web import folder\n"
        "write = folder._write\n"
        "def hang(path, content):\n    write(path, content)\n    pathlib.Path('ready').touch()\n    time.sleep(600)\n"
        "folder._write = hang\nimage.main()"
    )
    words = [sys.executable, "-c", code, "page", str(app), "-o", "out/site"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=unmeasured())
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list((tmp_path / "out").iterdir())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []


@posix
def test_what_a_kill_leaves_is_gone_after_the_next_run(app, tmp_path):
    (tmp_path / "out").mkdir()
    code = (
        "import os\nfrom hatch_romfs.cli import image\nfrom hatch_romfs.web import folder\n"
        "folder._swap = lambda *_: os.kill(os.getpid(), 9)\nimage.main()"
    )
    words = [sys.executable, "-c", code, "page", str(app), "-o", "out/site"]
    assert subprocess.run(words, cwd=tmp_path, env=unmeasured(), check=False).returncode == -signal.SIGKILL
    assert [path.name.startswith(".site.") for path in (tmp_path / "out").iterdir()] == [True]
    romfs_image("page", app, "-o", tmp_path / "out/site")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["site"]


def test_several_runs_at_once_give_one_page(app, tmp_path):
    words = [judges.command("romfs-image"), "page", app, "-o", tmp_path / "out" / "site", "-q"]
    for _ in range(4):
        processes = [subprocess.Popen(words) for _ in range(4)]
        assert [process.wait(60) for process in processes] == [0] * 4
        check_page(tmp_path / "out" / "site")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["site"]


@posix
@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").is_dir(), reason="root may write everywhere but there")
def test_a_folder_that_cannot_be_written_is_named(app):
    assert romfs_image("page", app, "-o", "/proc/site", status=1).stderr.startswith("error: cannot write /proc/site: ")
