"""From a folder to an image: its content, the errors, and what a failed build leaves behind."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hatch_romfs import BuildError, Progress, SettingsError, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.tree import files
from tests import judges
from tests.content import checked_build as build
from tests.projects import FILES, make_project
from tests.trees import contents

OLD = b"\xd2\xcd\x31\x00"
"""An image of nothing, which an earlier build has left."""


def setting(project: Path, *lines: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_a_real_micropython_imports_the_app_from_the_image(project):
    built = build(project)
    code = judges.LIST + (
        f'\nvfs.mount(vfs.VfsRom(load({str(built.path)!a})), "/rom")\n'
        'import sys\nsys.path[:] = ["/rom", "/rom/lib"]\nimport app, util\nprint(app.greet(), util.__file__)\n'
    )
    assert judges.micropython(code).split() == ["hello", "world", "/rom/lib/util.mpy"]


def test_what_went_in_is_what_is_there(project):
    setting(project, "mpy = false")
    with open_image(build(project).path) as image:
        found = {path: data for path, data in contents(image.root).items() if data is not None}
        assert found == {
            path.replace("src/", "", 1).replace("vendor/", "lib/"): data
            for path, data in FILES.items()
            if path != "pyproject.toml"
        }
        offsets = {path: image_content(node).offset for path, node in files(image.root)}
        assert offsets["app/table.bin"] % 32 == 0
        assert offsets["app/table.bin"] == offsets["app/copy of table.bin"]
        assert (image.name, image.version) == ("My.app", "1.2.3rc1")
        image.check()


def test_building_again_changes_nothing(project):
    first = build(project)
    assert build(project, cache=False).sha256 == first.sha256
    assert build(project, overrides={}).files == first.files == 6


def test_a_plain_folder_is_the_root_of_its_image(tmp_path):
    folder = make_project(tmp_path / "some app", {"a.py": b"x = 1\n", "b/c.txt": b"c"})
    built = build(folder)
    assert built.path == tmp_path / "some app.romfs"
    with open_image(built.path) as image:
        assert sorted(path for path, _ in files(image.root)) == ["a.mpy", "b/c.txt"]
        assert image.name is None
        assert image.content_sha256
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert build(moved).sha256 == built.sha256


def test_the_image_of_the_current_folder_is_not_written_into_its_parent(tmp_path, monkeypatch):
    folder = make_project(tmp_path / "app", {"a.txt": b"a"})
    monkeypatch.chdir(folder)
    built = build(".")
    assert built.path.resolve() == folder / "app.romfs"
    assert build(".").sha256 == built.sha256  # it does not contain itself
    assert os.listdir(tmp_path) == ["app"]


def test_third_party_code_runs_from_an_image(tmp_path):
    """microdot, from PyPI, answers a request in the real MicroPython."""
    source = tmp_path / "microdot"
    uv = judges.command("uv")
    subprocess.run([uv, "pip", "install", "-q", "--no-deps", "--target", source, "microdot==2.7.0"], check=True)
    shutil.rmtree(next(source.glob("*.dist-info")))
    for unused in ("asgi.py", "wsgi.py", "jinja.py", "utemplate.py"):
        (source / "microdot" / unused).unlink(missing_ok=True)
    built = build(source, tmp_path / "image.romfs")
    code = (
        judges.LIST
        + f"""
vfs.mount(vfs.VfsRom(load({str(built.path)!a})), "/rom")
import sys
sys.path[:] = [".frozen", "/rom"]
import asyncio, microdot
from microdot.test_client import TestClient
app = microdot.Microdot()
@app.get("/hello/<name>")
async def hello(request, name):
    return {{"hello": name}}
async def main():
    answer = await TestClient(app).get("/hello/rom")
    print(answer.status_code, answer.json, microdot.__file__)
asyncio.run(main())
"""
    )
    assert judges.micropython(code).strip() == "200 {'hello': 'rom'} /rom/microdot/__init__.mpy"


def test_an_image_over_its_size_names_the_largest_files(project):
    old = build(project).sha256
    (project / "src/big.dat").write_bytes(os.urandom(5000))
    setting(project, 'size = "4 KiB"')
    with pytest.raises(BuildError) as caught:
        build(project)
    first, *listed = caught.value.message.splitlines()
    with pytest.raises(BuildError, match="the image is"):
        build(project)
    assert " more than the 4,096 of tool.romfs.size; the largest files:" in first
    needed = int(first.split()[3].replace(",", ""))
    assert f"{needed - 4096:,} more" in first
    assert listed[0].split() == ["5,000", "big.dat"]
    assert len(listed) == 5
    setting(project, "")
    text = (project / "pyproject.toml").read_text().replace('"4 KiB"', str(needed))
    (project / "pyproject.toml").write_text(text)
    assert build(project).size == needed
    assert build(project).sha256 != old


def test_a_size_that_is_one_byte_too_small_fails(project):
    size = build(project).size
    setting(project, f"size = {size - 1}")
    with pytest.raises(BuildError, match="1 more than the"):
        build(project)


def test_the_artifact_has_the_rights_of_any_new_file(project):
    path = build(project).path
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_the_old_artifact(project, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let a test mount a disk")
    try:
        out = disk / "app.romfs"
        old = build(project, out)
        (project / "src/big.dat").write_bytes(os.urandom(100_000))
        with pytest.raises(BuildError, match=f"cannot write {out}: {os.strerror(errno.ENOSPC)}"):
            build(project, out)
        assert os.listdir(disk) == ["app.romfs"]
        with open_image(out) as image:
            assert image.sha256() == old.sha256
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_cannot_grow_leaves_the_old_artifact(project, tmp_path):
    """The same as a full disk, where no disk can be mounted: the system refuses to write on."""
    out = tmp_path / "app.romfs"
    out.write_bytes(OLD)
    (project / "src/big.dat").write_bytes(os.urandom(100_000))
    limit = (50_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    try:
        with pytest.raises(BuildError, match="cannot write"):
            build(project, out, overrides={"mpy": False})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert out.read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.romfs", "project"]


def test_a_folder_that_cannot_be_written_is_named(project, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(SettingsError, match="file is not a folder, so nothing can be written into it"):
        build(project, blocked / "app.romfs")


def test_an_interrupted_build_leaves_nothing(project, tmp_path):
    for number in range(300):
        (project / f"src/m{number}.py").write_text(f"x = {list(range(2000))}\n")
    out = tmp_path / "out" / "app.romfs"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [judges.command("romfs-image"), "build", "--no-cache", project, "-o", out]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ | {"TMPDIR": str(scratch)}
    )
    deadline = time.monotonic() + 20
    while not list(scratch.glob("*/*.py")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted\n"
    assert not list(scratch.iterdir())
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_two_builds_at_once_give_one_image(project):
    command = [judges.command("romfs-image"), "build", "--json", project]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    assert [path.name for path in (project / "dist").iterdir()] == ["My.app.romfs"]
    with open_image(project / "dist/My.app.romfs") as image:
        image.check()


def test_sources_are_never_written_to(project):
    def state() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in (project / "src").rglob("*")}

    before = state()
    build(project)
    assert state() == before


def test_a_file_that_changes_during_the_build_is_an_error(project, monkeypatch):
    grown = project / "src/data.dat"
    grown.write_bytes(b"x" * (1 << 20))
    setting(project, "mpy = false")

    def on_progress(_event: Progress) -> None:
        grown.write_bytes(b"y" * (1 << 20))

    with pytest.raises(BuildError, match="data.dat changed while the image was being built"):
        build(project, on_progress=on_progress)
    assert not list((project / "dist").iterdir())


def test_an_artifact_that_may_not_be_read_is_named(project):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    built = build(project)
    built.path.chmod(0)
    with pytest.raises(BuildError, match="cannot read .*, which is to be replaced: Permission denied"):
        build(project)


SYSTEM = "[build-system]\nrequires = []\n"
DYNAMIC = "[project]\nname = 'x'\ndynamic = ['version']\n[tool.romfs]\n"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (f"{SYSTEM}build-backend = 'missing'\n{DYNAMIC}", "cannot compute it: Backend .missing. is not available"),
        (f"{SYSTEM}build-backend = 'hatchling.build'\n{DYNAMIC}", "cannot compute it: ValueError"),
        ('[project]\nname = "../x"\nversion = "1"\n[tool.romfs]\n', "project.name: must consist of"),
        ("[tool.romfs]\n", "needs a .project. table"),
        ("[project]\nname = 'x'\n[tool.romfs]\n", "project.version: is missing: add it, or list it in `project.dyn"),
        ("[tool.romfs\n", "pyproject.toml: not valid TOML: "),
    ],
)
def test_a_project_that_cannot_be_built_is_an_error_with_a_reason(document, message, tmp_path):
    (tmp_path / "pyproject.toml").write_text(document)
    (tmp_path / "src").mkdir()
    with pytest.raises(SettingsError, match=message):
        build(tmp_path)
    assert not (tmp_path / "dist").exists()


def test_a_source_that_is_a_file_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="is not a folder"):
        build(tmp_path / "none")


def test_the_bytes_do_not_depend_on_the_locale(project, tmp_path):
    (project / "src/grün.py").write_text("x = 1\n", encoding="utf-8")
    expected = build(project, tmp_path / "expected.romfs").sha256
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [judges.command("romfs-image"), "build", "--no-cache", project, "-o", tmp_path / "plain.romfs"]
    subprocess.run(command, check=True, env=os.environ | plain)
    with open_image(tmp_path / "plain.romfs") as image:
        assert image.sha256() == expected
        assert "grün.py".encode() in image.file("grün.mpy").read()


@pytest.mark.parametrize("name", ["pyproject.toml", "src/app/greeting.py", "src/app", "."])
def test_an_output_never_replaces_anything_but_an_image(name, project):
    before = (project / name).read_bytes() if (project / name).is_file() else None
    with pytest.raises(SettingsError):
        build(project, project / name)
    assert before is None or (project / name).read_bytes() == before


def test_an_output_cannot_be_a_device(project, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="already exists and is not a file"):
        build(project, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_an_output_that_is_a_link_stays_one(project, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    built = build(project, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").stat().st_size == built.size


def test_an_output_that_the_next_build_would_pack_is_refused(tmp_path):
    folder = make_project(tmp_path / "app", {"a.txt": b"a"})
    with pytest.raises(SettingsError, match="the next build would pack it"):
        build(folder, folder / "image.bin")
    first = build(folder, folder / "image.romfs")
    assert build(folder, folder / "image.romfs").sha256 == first.sha256


def test_an_image_too_large_for_any_board_is_refused(tmp_path):
    folder = make_project(tmp_path / "app", {"a": b""})
    with (folder / "huge").open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(BuildError, match="more than the 4,294,967,295 that boards can address"):
        build(folder, overrides={"share": False})
    assert not list(tmp_path.glob("*.romfs"))


def test_options_are_added_to_what_the_table_says(project, tmp_path):
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text + 'mpy = { exclude = ["app/greeting.py"], optimize = 3 }\n')
    built = build(project, overrides={"mpy": True, "alignment": {"*.txt": 128}})
    with open_image(built.path) as image:
        offsets = {path: image_content(node).offset for path, node in files(image.root)}
    assert "app/greeting.py" in offsets
    assert offsets["app/table.bin"] % 32 == 0
    assert offsets["ünï cödé/text.txt"] % 128 == 0


@pytest.mark.parametrize("overrides", [{"nosuch": 1}, {"size": "1 XB"}, {"mpy": 3}, {"alignment": "x"}])
def test_overrides_are_checked_like_the_table(overrides, project, tmp_path):
    for source in (project, make_project(tmp_path / "plain", {"a": b""})):
        with pytest.raises(SettingsError, match=next(iter(overrides))):
            build(source, overrides=overrides)


def test_a_pattern_that_nothing_matches_is_a_warning(project):
    built = build(project, overrides={"alignment": {"*.tflit": 64}})
    assert built.warnings == ('no file in the image matches overrides.alignment."*.tflit"',)


def test_a_project_without_the_table_is_packed_with_a_warning(tmp_path):
    folder = make_project(tmp_path / "app", {"a.txt": b"a", "pyproject.toml": b"[tool.romf]\n"})
    assert "has no [tool.romfs] table: the whole folder was packed" in build(folder).warnings[0]


@pytest.mark.parametrize("version", ["x.y", "1/../../2", "", "1" * 300])
def test_a_version_is_a_version(version, tmp_path):
    make_project(tmp_path, {"src/a.py": b""})
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = {version!r}\n[tool.romfs]\n')
    with pytest.raises(SettingsError, match=r"project\.version: must be a version such as '1.0.0'"):
        build(tmp_path)


def test_a_terminated_build_leaves_nothing(project, tmp_path):
    for number in range(300):
        (project / f"src/m{number}.py").write_text(f"x = {list(range(2000))}\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [judges.command("romfs-image"), "build", "--no-cache", project]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(scratch)})
    deadline = time.monotonic() + 20
    while not list(scratch.glob("*/*.py")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert not list(scratch.iterdir())
