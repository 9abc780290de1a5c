"""The command as a process: what it prints where, with what status it ends, and what it asks of the network."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hatch_romfs
import romfs_manifest
from tests.commands import finished
from tests.manifest.support import linked

CODE = "from hatch_romfs.cli.manifest import main; main()"


@pytest.fixture
def environment(tmp_path):
    packages = [str(Path(package.__file__).parent.parent) for package in (romfs_manifest, hatch_romfs)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(packages), "XDG_CACHE_HOME": str(tmp_path / "xdg")}


@pytest.fixture
def run(environment):
    def ran(*arguments, status=0):
        return finished([sys.executable, "-c", CODE, *arguments], env=environment, status=status)

    return ran


@pytest.fixture
def project(tmp_path):
    def made(*dependencies):
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        text = f"[project]\nname = 'p'\n[tool.romfs]\nmpy = true\ndependencies = {list(dependencies)!r}\n"
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        return folder

    return made


def test_from_dependencies_to_files_in_the_cache(run, project, index, tmp_path):
    index.add("a", deps=[["base", "latest"]])
    index.add("base")
    folder = project("a")
    done = run("lock", folder, "--index", index.url)
    path = folder / "romfs.lock"
    assert done.stdout.splitlines() == [f"{path}: 2 packages, 2 files, 23 bytes", "+ a 1.0", "+ base 1.0"]
    assert done.stderr == ""
    assert run("check", folder).stdout == f"{path}: 2 packages, 2 files, 23 bytes\n"
    assert run("check", folder, "-q").stdout == ""
    index.requests.clear()
    assert "all in " in run("fetch", folder).stdout
    assert index.requests == []
    fetched = json.loads(run("fetch", folder, "--json").stdout)
    assert fetched["packages"] == [
        {"name": "a", "version": "1.0", "files": 1},
        {"name": "base", "version": "1.0", "files": 1},
    ]
    if sys.platform == "linux":
        assert fetched["cache"] == str(tmp_path / "xdg/hatch-romfs/packages")


def test_an_unchanged_lock_is_not_written(run, project, index):
    index.add("a")
    folder = project("a")
    assert json.loads(run("lock", folder, "--index", index.url, "--json").stdout)["changed"] is True
    os.utime(folder / "romfs.lock", (1, 1))
    index.requests.clear()
    assert json.loads(run("lock", folder, "--index", index.url, "--json").stdout)["changed"] is False
    assert (folder / "romfs.lock").stat().st_mtime == 1
    assert index.requests == []


def test_an_upgrade(run, project, index):
    for name in ("a", "b"):
        index.add(name)
    folder = project("a", "b")
    run("lock", folder, "--index", index.url)
    for name in ("a", "b"):
        index.add(name, "2.0")
    done = run("lock", folder, "--upgrade", "b", "--index", index.url)
    assert done.stdout.splitlines()[1:] == ["- b 1.0", "+ b 2.0"]
    assert "'c'" in run("lock", folder, "--upgrade", "c", "--index", index.url, status=2).stderr


def test_an_upgrade_of_everything(run, project, index):
    for name in ("a", "b"):
        index.add(name)
    folder = project("a", "b")
    run("lock", folder, "--index", index.url)
    for name in ("a", "b"):
        index.add(name, "2.0")
    done = run("lock", folder, "--index", index.url, "--upgrade")
    assert done.stdout.splitlines()[1:] == ["- a 1.0", "+ a 2.0", "- b 1.0", "+ b 2.0"]
    # A folder after --upgrade is taken for a name, and the hint says so.
    assert "Write PROJECT before it." in run("lock", "--index", index.url, "--upgrade", folder, status=2).stderr


def test_the_form_of_packages_is_kept_until_another_is_named(run, project, index):
    index.put("/pi/v2/package/6/a/latest.json", {"v": 1, "version": "1.0", "hashes": [["a.mpy", index.file(b"M\x06")]]})
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url, "--form", "6")
    assert "a.mpy" in (folder / "romfs.lock").read_text()
    assert run("lock", folder, "--index", index.url).stdout.count("\n") == 1  # nothing has changed
    run("lock", folder, "--index", index.url, "--form", "py")
    assert "a.py" in (folder / "romfs.lock").read_text()
    assert "'x'" in run("lock", folder, "--index", index.url, "--form", "x", status=2).stderr


def test_outdated_packages_are_listed(run, project, index):
    for name in ("a", "b", "c", "odd"):
        index.add(name, "1.9")
    folder = project("a", "b@1.9", "c", "odd", f"{index.site}/x.py")
    index.put("/x.py", b"")
    run("lock", folder, "--index", index.url)
    assert run("outdated", folder, "--index", index.url).stdout == ""
    index.add("a", "1.10")
    index.add("b", "2.0")
    index.add("c", "1.8")
    index.add("odd", "nightly")
    index.requests.clear()
    done = run("outdated", folder, "--index", index.url)
    assert done.stdout.splitlines() == ["a 1.9 -> 1.10", "b 1.9 -> 2.0", "odd 1.9 -> nightly"]
    assert sorted(index.requests) == [f"/pi/v2/package/py/{name}/latest.json" for name in ("a", "b", "c", "odd")]
    document = json.loads(run("outdated", folder, "--index", index.url, "--json").stdout)
    assert document["outdated"][0] == {"name": "a", "locked": "1.9", "latest": "1.10"}
    index.requests.clear()
    assert "--index" in run("outdated", folder, status=2).stderr
    assert index.requests == []


def test_the_tree_shows_who_requires_what(run, project, index):
    index.add("app", deps=[["net", ""], ["log", "1.0"]])
    index.add("net", deps=[["base", ""], ["log", ""]])
    index.add("log", deps=[["base", "1.0"], ["app", ""]])
    index.add("base")
    folder = project("app", "base")
    run("lock", folder, "--index", index.url)
    index.requests.clear()
    assert run("tree", folder).stdout.splitlines() == [
        "app 1.0",
        "  log 1.0  (requires 1.0)",
        "    app 1.0  (see above)",
        "    base 1.0  (requires 1.0)",
        "  net 1.0",
        "    base 1.0",
        "    log 1.0  (see above)",
        "base 1.0",
    ]
    packages = {one["name"]: one for one in json.loads(run("tree", folder, "--json").stdout)["packages"]}
    assert packages["log"]["requires"] == ["app", "base@1.0"]
    assert packages["base"]["required_by"] == ["the project", "log 1.0", "net 1.0"]
    assert index.requests == []


def test_a_mirror_is_enough_to_lock_and_to_fetch(run, project, index, tmp_path):
    index.add("a", deps=[["base", ""]])
    index.add("base")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    done = run("mirror", folder / "mirror", folder)
    assert done.stdout.splitlines()[1] == "To use it: romfs-manifest lock --index file:mirror"
    index.requests.clear()
    cache = tmp_path / "empty"
    assert "+ a 1.0" in run("lock", folder, "--index", "file:mirror", "--cache", cache).stdout
    assert len(list(cache.iterdir())) == 2
    run("fetch", folder, "--cache", tmp_path / "another")
    assert len(list((tmp_path / "another").iterdir())) == 2
    assert run("lock", folder).stdout.count("\n") == 1  # the index of the lock needs not be named again
    assert index.requests == []


def test_a_cache_that_cannot_be_written_is_a_warning(run, project, index, tmp_path):
    index.add("a")
    folder = project("a")
    (tmp_path / "file").write_text("")
    done = run("lock", folder, "--index", index.url, "--cache", tmp_path / "file")
    assert done.stderr.startswith("warning: the cache ")
    done = run("fetch", folder, "--index", index.url, "--cache", tmp_path / "file", "--json")
    assert "cannot be written" in json.loads(done.stdout)["warnings"][0]
    assert run("fetch", folder, "--index", index.url, "--cache", tmp_path / "file", "-q").stderr == ""


def test_the_index_can_be_named_by_a_variable(run, project, index, environment):
    index.add("a")
    folder = project("a")
    environment["ROMFS_INDEX"] = index.url
    for name in ("lock", "fetch", "outdated"):
        run(name, folder)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_lock_with_conflict_markers_is_made_anew(newline, run, project, index):
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    path = folder / "romfs.lock"
    good = path.read_bytes()
    lines = good.decode().splitlines()
    path.write_bytes(
        newline.join(
            [lines[0], "<<<<<<< HEAD", lines[1], "=======", "checksum = 'x'", ">>>>>>> b", *lines[2:], ""]
        ).encode()
    )
    assert "contains conflict markers" in run("check", folder, status=1).stderr
    # The index is that of the lock also now, and so must be named.
    assert f"--index {index.url}" in run("lock", folder, status=2).stderr
    done = run("lock", folder, "--index", index.url)
    assert "it is made anew" in done.stderr
    assert path.read_bytes() == good
    index_line = next(line for line in lines if line.startswith("index ="))
    text = newline.join(["<<<<<<< HEAD", index_line, "=======", 'index = "https://example.org"', ">>>>>>> b", ""])
    path.write_bytes(text.encode())
    assert "romfs.lock is unclear" in run("lock", folder, status=2).stderr


def test_the_form_of_a_lock_with_conflict_markers_is_kept(run, project, index):
    page = {"v": 1, "version": "1.0", "hashes": [["a.mpy", index.file(b"M\x06")]]}
    index.put("/pi/v2/package/6/a/latest.json", page)
    folder = project("a")
    run("lock", folder, "--index", index.url, "--form", "6")
    path = folder / "romfs.lock"
    good = path.read_text()
    path.write_text(good.replace("requests", "<<<<<<< a\n=======\n>>>>>>> b\nrequests"))
    run("lock", folder, "--index", index.url)
    assert path.read_text() == good
    path.write_text(good.replace("requests", '<<<<<<< a\n=======\nform = "py"\n>>>>>>> b\nrequests'))
    assert "--form" in run("lock", folder, "--index", index.url, status=2).stderr


@linked
def test_show_allows_links_into_the_project(run, project, tmp_path):
    folder = project("a")
    (folder / "shared").mkdir()
    (folder / "shared/s.py").touch()
    (folder / "board").mkdir()
    (folder / "board/link").symlink_to("../shared")
    (folder / "board/manifest.py").write_text("freeze('.')\n")
    assert "link/s.py" in run("show", folder / "board").stdout
    (folder / "pyproject.toml").unlink()
    assert "leads out of" in run("show", folder / "board", status=1).stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_the_lock_is_an_error_for_every_command(run, project):
    folder = project("a")
    os.mkfifo(folder / "romfs.lock")
    for name in ("lock", "check", "fetch", "tree", "outdated"):
        assert "is not a regular file" in run(name, folder, status=1).stderr
    assert "is not a regular file" in run("mirror", folder / "m", folder, status=1).stderr


@linked
def test_a_dangling_link_to_a_lock_is_followed(run, project, index, tmp_path):
    index.add("a")
    folder = project("a")
    (folder / "romfs.lock").symlink_to(tmp_path / "elsewhere.lock")
    run("lock", folder, "--index", index.url)
    assert (folder / "romfs.lock").is_symlink()
    assert "a.py" in (tmp_path / "elsewhere.lock").read_text()


def test_the_version(run):
    assert run("--version").stdout.startswith("romfs-manifest ")


def test_errors_have_the_same_form_as_those_of_other_commands(run, tmp_path):
    assert run("check", tmp_path, status=2).stderr.splitlines() == [
        f"error: {tmp_path / 'pyproject.toml'} does not exist",
        "Name the folder of a project.",
    ]


def test_a_stale_lock_is_an_error_without_a_request(run, project, index):
    index.add("a")
    run("lock", project("a"), "--index", index.url)
    folder = project("a", "b@1.0")
    index.requests.clear()
    for name in ("check", "fetch"):
        done = run(name, folder, status=1)
        assert done.stderr.startswith("error: b@1.0 is a dependency, but is not in the lock\n")
        assert "romfs-manifest lock" in done.stderr
    assert json.loads(run("check", folder, "--json", status=1).stdout)["error"]["status"] == 1
    assert index.requests == []


def test_an_index_without_https_is_named_every_time(run, project, index):
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    index.requests.clear()
    done = run("lock", folder, status=2)
    assert f"--index {index.url}" in done.stderr
    assert index.requests == []


def test_a_failure_leaves_the_old_lock(run, project, index):
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    before = (folder / "romfs.lock").read_bytes()
    index.describe("b", {"v": 1, "hashes": [["../main.py", index.file(b"x")]]})
    done = run("lock", project("a", "b"), "--index", index.url, status=1)
    assert done.stderr.startswith("error: b (for the project): the target '../main.py' must not contain")
    assert (folder / "romfs.lock").read_bytes() == before
    assert sorted(entry.name for entry in folder.iterdir()) == ["pyproject.toml", "romfs.lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes to a whole console there")
def test_ctrl_c_leaves_the_old_lock_and_ends_at_once(project, index, environment, run):
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    before = (folder / "romfs.lock").read_bytes()
    index.describe("slow", lambda _: time.sleep(30))
    project("a", "slow")
    index.requests.clear()
    command = [sys.executable, "-c", CODE, "lock", str(folder), "--index", index.url]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not index.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.communicate()[1] == "interrupted\n"
    assert time.monotonic() - begun < 5
    assert process.returncode == 130
    assert (folder / "romfs.lock").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_progress_is_shown_on_a_terminal(project, index, environment):
    import pty

    index.add("a")
    folder = project("a")
    master, slave = pty.openpty()
    command = [sys.executable, "-c", CODE, "lock", folder, "--index", index.url]
    subprocess.run(command, env={**environment, "TERM": "xterm"}, stdout=subprocess.DEVNULL, stderr=slave, check=True)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # which is the end of a pseudo-terminal
        while piece := os.read(master, 4096):
            shown += piece
    os.close(master)
    assert b"fetching" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "pyproject.toml does not exist"),
        ("x", "pyproject.toml: "),
        ("[tool.romfs]\n", "no dependencies in [tool.romfs]"),
        ("tool = 1\n", "no dependencies in [tool.romfs]"),
        ("[tool.romfs]\ndependencies = 'a'\n", "must be a list of strings"),
        ("[tool.romfs]\ndependencies = [1]\n", "one is of type int"),
        ("[tool.romfs]\ndependencies = ['/a']\n", "'/a' is not the name of a package"),
    ],
)
def test_folders_that_are_not_projects(text, message, run, tmp_path):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    for name in ("lock", "check", "fetch"):
        assert message in run(name, tmp_path, status=2).stderr


def test_usage(run):
    for arguments in ((), ("nope",), ("lock", "--nope"), ("check", "--ind", "x"), ("show", ".", "--var", "x")):
        assert run(*arguments, status=2).stderr.startswith("error: ")
    for name in ("lock", "check", "fetch", "show", "mirror", "outdated", "tree"):
        assert f"romfs-manifest {name}" in run(name, "--help").stdout


def test_a_start_imports_little(environment):
    heavy = {"urllib3", "tomli_w", "hashlib", "rich", "json", "ssl", "tomllib", "romfs_manifest", "pathspec"}
    code = "import sys; before = {*sys.modules}; from hatch_romfs.cli.manifest import parser; parser();"
    code += f"print({heavy} & {{*sys.modules}} - before)"  # a measurement of coverage has imported some
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_cached_files_need_no_network(environment, project, index, run):
    index.add("a")
    folder = project("a")
    run("lock", folder, "--index", index.url)
    code = "import sys; from hatch_romfs.cli.manifest import command; command(sys.argv[1:]); "
    code += "sys.exit('urllib3' in sys.modules)"
    for name in ("check", "fetch"):
        subprocess.run([sys.executable, "-c", code, name, folder, "-q"], env=environment, check=True)


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "lib/extra").mkdir(parents=True)
    (tmp_path / "lib/extra/manifest.py").write_text("metadata(version='2.0')\nmodule('extra.py', opt=3)\n")
    (tmp_path / "lib/extra/extra.py").write_text("x = 1\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.py").write_text("import extra\n")
    text = "metadata(description='an app')\nmodule('m.py', base_path='$(LIB)')\nrequire('extra')\nfreeze('src')\n"
    (tmp_path / "manifest.py").write_text(text)
    (tmp_path / "lib/m.py").write_text("")
    return tmp_path / "manifest.py"


def test_show_lists_what_a_manifest_gives(manifest, run):
    folder = manifest.parent
    options = ("--var", f"LIB={folder / 'lib'}", "--library", f"more={folder / 'lib'}")
    document = json.loads(run("show", manifest, *options, "--json").stdout)
    assert document["metadata"]["description"] == "an app"
    assert document["warnings"] == []
    assert [(file["target"], file["kind"], file["opt"], file["line"]) for file in document["files"]] == [
        ("extra.py", "mpy", 3, 2),
        ("m.py", "mpy", None, 2),
        ("main.py", "mpy", None, 4),
    ]
    assert document["files"][2]["source"] == str(folder / "src/main.py")
    assert document["files"][2]["manifest"] == str(manifest)
    lines = run("show", manifest, *options, "-v").stdout.splitlines()
    where = folder / "lib/extra"
    assert lines[0].split() == ["extra.py", "mpy", "-O3", str(where / "extra.py"), f"({where / 'manifest.py'}:2)"]
    assert "LIB" in run("show", manifest, status=1).stderr
