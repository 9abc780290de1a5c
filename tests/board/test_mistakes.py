"""Mistakes on the command line do not cost a board its app, and what is read from a board is written whole or not."""

import json
import resource
import subprocess
import sys

import pytest

from hatch_romfs import RomfsError
from hatch_romfs.builder.output import write_output
from hatch_romfs.cli import command
from hatch_romfs.cli import flash as cli
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import SIZE, make_image, options
from tests.commands import unmeasured

ERASED = b"\xff"
EMPTY = b"\xd2\xcd\x31\x00"


@pytest.fixture
def flash_file(tmp_path):
    """Return the file of a partition with an app, which no mistake may change."""
    file = tmp_path / "rom.bin"
    file.write_bytes(make_image(tmp_path / "old", 9000).read_bytes().ljust(SIZE, ERASED))
    return file


# What is no image


def test_the_folder_of_an_image_is_not_the_image(flash_file, tmp_path, romfs_flash):
    before = flash_file.read_bytes()
    dist = tmp_path / "dist"
    dist.mkdir()
    for arguments in ([dist], ["--verify", dist]):
        ran = romfs_flash(*arguments, "--port", f"sim:{flash_file}?size=64K")
        assert ran == (
            2,
            "",
            (
                f"error: {dist} is not a project: it has no pyproject.toml\n"
                "To write everything in the folder, use --folder.\n"
            ),
        )
    (dist / "app.romfs").write_bytes(b"")
    hint = romfs_flash(dist, "--port", "sim:").err.splitlines()[1]
    assert hint == f"To write the image in it, name that: {dist / 'app.romfs'}. {FOLDER}"
    (dist / "app2.romfs").write_bytes(b"")
    hint = romfs_flash(dist, "--port", "sim:").err.splitlines()[1]
    assert hint == f"To write one of the images in it, name that, such as {dist / 'app.romfs'}. {FOLDER}"
    assert flash_file.read_bytes() == before


FOLDER = "To write everything in the folder, use --folder."


def test_a_project_without_an_image_needs_the_table(tmp_path, romfs_flash):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "app"\n')
    ran = romfs_flash(tmp_path, "--port", "sim:")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        f"error: {tmp_path} has no [tool.romfs] table in its pyproject.toml\nAdd the table to the project. {FOLDER}\n"
    )


def test_folder_is_for_plain_folders(tmp_path, romfs_flash):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "app"\nversion = "1"\n[tool.romfs]\n')
    ran = romfs_flash("--folder", tmp_path, "--port", "sim:")
    assert ran == (2, "", f"error: --folder: {tmp_path} is a project with [tool.romfs]\nLeave out --folder.\n")
    ran = romfs_flash("--folder", project, "--port", "sim:")
    assert ran == (2, "", f"error: --folder: {project} is not a folder\n")
    assert romfs_flash("--folder", "--query", "--port", "sim:").err.startswith("error: --folder is for ")


def test_an_empty_image_is_written_only_by_force(flash_file, tmp_path, romfs_flash):
    image, folder = tmp_path / "empty.romfs", tmp_path / "empty"
    image.write_bytes(EMPTY)
    (folder / "inner").mkdir(parents=True)
    before = flash_file.read_bytes()
    with SimulatedBoard(options("rp2", flash_file)) as board:
        for arguments in ([image], [folder, "--folder"]):
            ran = romfs_flash(*arguments, "--port", board.port)
            assert ran.status == 2
            lines = [line for line in ran.err.splitlines() if not line.startswith("warning: ")]
            assert lines[0] == f"error: {arguments[0]}: the image contains no files"
            assert "--force writes an empty image" in lines[1]
            assert flash_file.read_bytes() == before
        assert romfs_flash(image, "--force", "--port", board.port).status == 0
    assert flash_file.read_bytes().startswith(EMPTY)


# Ports and numbers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "--port", ""], "--port '': the name of the port is missing"),
        (["--query", "--port", "id:"], "--port 'id:': the serial number is missing"),
        (["--query", "--baudrate", "0"], "argument --baudrate: must be a speed such as 115200, not '0'"),
        (["--query", "--baudrate=-5"], "argument --baudrate: must be a speed such as 115200, not '-5'"),
        (["--query", "--baudrate", "fast"], "argument --baudrate: must be a speed such as 115200, not 'fast'"),
        (["--query", "--wait=soon"], "argument --wait: must be seconds, not 'soon'"),
    ],
)
def test_usage_errors(arguments, message, romfs_flash):
    ran = romfs_flash(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}\n")


def test_wait_needs_no_number():
    for given, seconds in ((["--wait"], 60), (["--wait", "5"], 5), (["--wait=0.5"], 0.5), ([], 0)):
        for arguments in ([*given, "app.romfs"], ["app.romfs", *given]):
            parsed = cli.parser().parse_args(cli.with_seconds(arguments))
            assert (parsed.wait, str(parsed.source)) == (seconds, "app.romfs")


def test_the_port_of_the_environment(monkeypatch, romfs_flash):
    with SimulatedBoard(options("rp2")) as board:
        monkeypatch.setenv("ROMFS_PORT", board.port)
        ran = romfs_flash("--query")
        assert (ran.status, ran.err) == (0, f"using port {board.port} (from ROMFS_PORT)\n")
        for quiet in ("--json", "--quiet"):
            assert romfs_flash("--query", quiet)[::2] == (0, "")
        monkeypatch.setenv("ROMFS_PORT", "/dev/nowhere")
        assert romfs_flash("--query").err.startswith(
            "error: cannot open /dev/nowhere (from ROMFS_PORT): no such port\n"
        )
        assert romfs_flash("--query", "--port", board.port)[::2] == (0, "")


def test_no_serial_ports(monkeypatch, romfs_flash):
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert romfs_flash("--list-ports") == (0, "no serial ports found\n", "")
    assert romfs_flash("--list-ports", "--json").document == {"ports": []}
    assert romfs_flash("--list-ports", "--quiet") == (0, "", "")


# Ctrl-C


def test_an_interrupt_says_what_it_leaves_behind(capsys):
    def interrupted(_arguments):
        raise KeyboardInterrupt("partition 0 contains no image; run the same command again")

    assert command._status(interrupted, []) == 130
    message = "interrupted: partition 0 contains no image; run the same command again"
    assert capsys.readouterr() == ("", f"{message}\n")
    assert command._status(interrupted, ["--json"]) == 130
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": {"message": message, "hint": None, "status": 130}}


# --read


def test_read_on_a_full_disk_leaves_nothing(flash_file, tmp_path):
    """The limit of a file's size fails in a write as a full disk does, after some of it was written."""
    out = tmp_path / "backup" / "out.romfs"
    out.parent.mkdir()
    with SimulatedBoard(options("rp2", flash_file)) as board:
        code = (
            "import resource; from hatch_romfs.cli import flash\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
            "flash.main()"
        )
        command = [sys.executable, "-B", "-c", code, "--read", str(out), "--port", board.port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=unmeasured())
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: cannot write {out}: File too large\n")
    assert list(out.parent.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_backup_that_is_interrupted_leaves_nothing(error, tmp_path):
    def chunks():
        yield b"x" * 100_000
        raise error

    with pytest.raises((KeyboardInterrupt, RomfsError)):
        write_output(tmp_path / "out", chunks(), replace=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_backup_never_replaces_a_file(links, tmp_path, monkeypatch):
    """Not even one that appears while the board is read, nor where the filesystem has no hard links."""
    if not links:

        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", refuse)
    out = tmp_path / "out"

    def chunks():
        yield b"backup"
        if out.name == "late":
            out.write_bytes(b"precious")

    write_output(out, chunks(), replace=False)
    assert out.read_bytes() == b"backup"
    out = tmp_path / "late"
    with pytest.raises(RomfsError, match="late already exists") as caught:
        write_output(out, chunks(), replace=False)
    assert caught.value.status == 2
    assert out.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["late", "out"]
