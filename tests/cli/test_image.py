"""The command as a process: what it prints where, and its exit status."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_romfs.cli.image import command
from hatch_romfs.errors import RomfsError
from tests import judges
from tests.commands import on_a_terminal, romfs_image, unmeasured
from tests.content import checked_build as build
from tests.projects import make_project
from tests.trees import tree, write_tree


def test_build_prints_what_it_built(project):
    done = romfs_image("build", project)
    path, size, unit, *_, sha256 = done.stdout.split()
    assert Path(path) == project / "dist/My.app.romfs"
    assert (int(size), unit) == (Path(path).stat().st_size, "bytes,")
    assert ", 6 files, sha256 " in done.stdout
    assert json.loads(romfs_image("build", project, "--json").stdout) == {
        "path": path,
        "size": int(size),
        "sha256": sha256,
        "files": 6,
        "warnings": [],
        "inventory": None,
        "excluded": [],
        "layout_cost": 0,
        "sbom": None,
    }
    assert romfs_image("build", project, "-q").stdout == ""
    assert "app/greeting.mpy" in romfs_image("build", project, "-v").stdout


def test_build_warns_on_standard_error(tmp_path):
    folder = make_project(tmp_path / "x", {"main.py": b""})
    done = romfs_image("build", folder, "-o", tmp_path / "o")
    assert done.stderr.startswith("warning: main.py at the root of an image does not run at boot: boards look for it")
    assert "1 file," in done.stdout
    documented = json.loads(romfs_image("build", folder, "-o", tmp_path / "o", "--json").stdout)
    assert documented["warnings"][0].startswith("main.py at the root")


def test_options_outrank_the_table(project, tmp_path):
    plain = romfs_image("build", project, "-o", tmp_path / "a", "--no-mpy", "--json")
    assert json.loads(plain.stdout)["path"] == str(tmp_path / "a")
    listed = json.loads(romfs_image("tree", tmp_path / "a", "--json").stdout)["entries"]
    assert "app/greeting.py" in [entry["path"] for entry in listed]
    romfs_image("build", project, "-o", tmp_path / "b", "--align", "8", "--align", "*.mpy=64", "--mpy")
    for entry in json.loads(romfs_image("tree", tmp_path / "b", "--json").stdout)["entries"]:
        if entry["type"] == "file":
            asked = 64 if entry["path"].endswith(".mpy") else 8
            assert entry["offset"] % asked == 0
            assert entry["alignment"] >= asked


def test_a_compact_image_is_that_of_mpremote(tmp_path):
    root = tree({"a.py": b"x = 1\n", "lib/b": bytes(20000), "lib/empty": None, "z/y/x/w": b"w" * 130, "none": b""})
    folder = write_tree(root, tmp_path / "tree")
    table = 'sources = ["tree"]\nmpy = false\nmetadata = false\nshare = false\n'
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "1"\n[tool.romfs]\n{table}')
    romfs_image("build", tmp_path, "-o", tmp_path / "ours")
    mpremote = [judges.command("mpremote"), "romfs", "--no-mpy", "-o", tmp_path / "theirs", "build", folder]
    subprocess.run(mpremote, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_info(image):
    lines = dict(line.split(": ", 1) for line in romfs_image("info", image).stdout.splitlines())
    assert lines["name"].strip() == "My.app"
    assert lines["version"].strip() == "1.2.3rc1"
    assert lines["files"].strip() == "6"
    document = json.loads(romfs_image("info", image, "--json").stdout)
    assert document["format"] == "micropython"
    assert document["size"] == image.stat().st_size
    assert set(document) >= {"sha256", "content_sha256", "directories", "bytes"}


def test_tree_in_a_pipe_is_a_line_for_each_file(image):
    head, *lines = romfs_image("tree", image).stdout.splitlines()
    assert head.split() == ["offset", "size", "aligned", "path"]
    assert len(lines) == 6
    document = json.loads(romfs_image("tree", image, "--json").stdout)
    by_path = {entry["path"]: entry for entry in document["entries"]}
    for line in lines:
        offset, size, aligned, path = line.split(maxsplit=3)
        assert [by_path[path][key] for key in ("offset", "size", "alignment")] == [int(offset), int(size), int(aligned)]
    assert by_path["app"] == {"path": "app", "type": "directory"}


def test_tree_on_a_terminal_is_a_tree(image):
    shown = on_a_terminal("tree", image)
    assert "├── " in shown
    assert "greeting.mpy" in shown


def test_build_on_a_terminal_shows_its_progress(project):
    shown = on_a_terminal("build", project, "--no-cache")
    assert "compiling" in shown
    assert "writing" in shown
    assert "sha256" in shown


def test_names_cannot_write_to_the_terminal(tmp_path):
    folder = make_project(tmp_path / "x", {"\x1b[2Jclear\r": b""})
    path = build(folder).path
    for arguments in (["tree"], ["tree", "--json"]):
        assert "\x1b" not in romfs_image(*arguments, path).stdout
    assert "\x1b[2J" not in on_a_terminal("tree", path)
    assert "\\x1b[2Jclear\\r" in on_a_terminal("tree", path)


def test_cat(image):
    done = subprocess.run(
        [judges.command("romfs-image"), "cat", image, "app/table.bin"], capture_output=True, check=True
    )
    assert done.stdout == bytes(range(256))
    document = json.loads(romfs_image("cat", image, "app/table.bin", "--json").stdout)
    assert base64.b64decode(document["base64"]) == bytes(range(256))
    for path, message in (("nope", "contains no 'nope'"), ("app", "is a directory"), ("../x", "contains no '../x'")):
        assert message in romfs_image("cat", image, path, status=2).stderr


def test_a_closed_pipe_is_not_an_error(tmp_path):
    path = build(make_project(tmp_path / "x", {f"{n}.txt": b"x" for n in range(9000)})).path
    shell = f"{judges.command('romfs-image')} tree {path} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_verify(image):
    assert "valid" in romfs_image("verify", image).stdout
    assert json.loads(romfs_image("verify", image, "--json").stdout)["content_checked"] is True
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    assert "does not match the SHA-256 in the image (at offset" in romfs_image("verify", image, status=3).stderr
    image.write_bytes(data[:-2])
    error = json.loads(romfs_image("verify", image, "--json", status=3).stdout)["error"]
    assert error["offset"] == len(data) - 2
    assert error["status"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["biuld"], "invalid choice: 'biuld'"),
        (["build", "--alignn", "4"], "unrecognized arguments: --alignn"),
        (["build", "--align", "x"], "--align: 'x' is not a number of bytes"),
        (["build", "--align", "3"], "--align 3: must be a power of two from 1 to 1048576, not 3"),
        (["build", "--align", "*.bin=0"], "--align *.bin=0: must be a power of two"),
        (["build", "--format", "ext4"], "invalid choice: 'ext4'"),
        (["build", "nowhere"], "nowhere is not a folder"),
        (["run", "x", "-m", "a", "-c", "b"], "not allowed with argument"),
        (["info", "nowhere"], "cannot read nowhere: No such file or directory"),
    ],
)
def test_mistakes_end_with_status_2_and_what_to_do(arguments, message, tmp_path):
    done = romfs_image(*arguments, cwd=tmp_path, status=2)
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_failures_as_json(tmp_path):
    done = romfs_image("build", "nowhere", "--json", cwd=tmp_path, status=2)
    assert json.loads(done.stdout) == {
        "error": {
            "message": "nowhere is not a folder",
            "hint": "Name the folder of a project, or any folder to pack.",
            "status": 2,
        }
    }


def test_verbose_failures_come_with_their_traceback(tmp_path):
    done = subprocess.run(
        [judges.command("romfs-image"), "info", "nowhere", "-v"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_help_and_version():
    assert "extract" in romfs_image("--help").stdout
    assert "--no-cache" in romfs_image("build", "--help").stdout
    assert romfs_image("--version").stdout == "romfs-image 0.1.0\n"


def test_every_command_has_the_common_options(capsys):
    for name in ("build", "info", "tree", "cat", "extract", "verify", "run", "settings"):
        with pytest.raises(SystemExit) as caught:
            command([name, "--help"])
        assert caught.value.code == 0
        assert {"--json", "--quiet", "--verbose"} <= set(capsys.readouterr().out.replace(",", " ").split())


def test_the_command_in_this_process(image, capsys):
    command(["verify", str(image)])
    assert "valid" in capsys.readouterr().out
    with pytest.raises(RomfsError):
        command(["verify", "nowhere"])


def test_the_package_imports_little_at_first():
    heavy = "[name for name in ('rich', 'hatchling', 'pathspec', 'tomllib') if name in sys.modules]"
    code = f"import sys, hatch_romfs.cli.image; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unmeasured())
    assert done.stdout == "[]\n"


def test_an_output_that_cannot_be_written_is_one_line(image):
    done = subprocess.run(
        ["bash", "-c", f"{judges.command('romfs-image')} cat {image} app/table.bin > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: No space left on device\n"


def test_names_that_settings_could_not_have_are_found(tmp_path):
    path = build(make_project(tmp_path / "x", {"a\\b.txt": b"1", "c:x": b"2"})).path
    assert romfs_image("cat", path, "a\\b.txt").stdout == "1"
    assert romfs_image("cat", path, "c:x").stdout == "2"
