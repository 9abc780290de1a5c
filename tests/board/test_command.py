"""What the command accepts and prints, what scripts are told, and mpremote on the same boards."""

import re
import subprocess
import sys

import pytest

from hatch_romfs import errors, flash
from hatch_romfs.board.flash import erase
from hatch_romfs.board.reading import query, read, verify
from hatch_romfs.formats import open_image
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import (
    ERASED,
    FAMILIES,
    SIZE,
    image_bytes,
    mpremote,
    on_board,
    options,
    put,
)

# What an image may be


def test_a_folder_and_a_project_are_built_first(tmp_path, romfs_flash):
    folder = tmp_path / "plain"
    folder.mkdir()
    put(folder / "hello.py", b"said = 'hello'\n")
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash("--folder", folder, "--port", board.port).status == 0
        assert on_board(board.port, "import hello;print(hello.said)") == "hello"
        assert romfs_flash("--folder", "--verify", folder, "--port", board.port).status == 0
        put(
            folder / "pyproject.toml",
            b"[project]\nname = 'app'\nversion = '2.0'\n[tool.romfs]\nsources = ['src']\nmpy = true\n",
        )
        (folder / "src").mkdir()
        put(folder / "src" / "hello.py", b"said = 'compiled'\n")
        assert romfs_flash(folder, "--port", board.port).status == 0
        assert on_board(board.port, "import hello;print(hello.said, hello.__file__)") == "compiled /rom/hello.mpy"
        (partition,) = query(board.port).partitions
        assert (partition.metadata.name, partition.metadata.version) == ("app", "2.0")
    assert sorted(path.name for path in folder.iterdir()) == ["hello.py", "pyproject.toml", "src"]


def test_erased_flash_behind_an_image_is_no_part_of_it(tmp_path, romfs_flash):
    path = put(tmp_path / "image", image_bytes(9000) + ERASED * 2000)
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash(path, "--json", "--port", board.port).document["size"] == 9000
        assert "9,000 bytes verified, 0 of them written" in romfs_flash(path, "--port", board.port).out


def test_no_such_file_and_no_such_combination(tmp_path, romfs_flash):
    assert romfs_flash(tmp_path / "none", "--port", "sim:") == (
        2,
        "",
        f"error: cannot read {tmp_path / 'none'}: No such file or directory\n",
    )
    usage = "error: name an IMAGE to write, or one of --installed, --query, --verify, --read, --erase, --list-ports,"
    ran = romfs_flash()
    assert (ran.status, ran.err.startswith(usage)) == (2, True)
    assert romfs_flash("--query", "--erase").status == 2
    assert romfs_flash("--query", "--port", "sim:?famly=rp2").status == 2


def test_the_simulated_board_by_its_url(image, tmp_path, romfs_flash):
    url = f"sim:{tmp_path / 'rom.bin'}?port=stm32&size=64K"
    assert romfs_flash(image, "--port", url).status == 0
    assert (tmp_path / "rom.bin").read_bytes() == image.read_bytes() + ERASED * (SIZE - 14_000)
    assert romfs_flash("--verify", image, "--port", url).status == 0


# Machines


def test_json_of_everything_is_one_document(image, tmp_path, romfs_flash):
    with SimulatedBoard(options("stm32")) as board:

        def document(*arguments):
            ran = romfs_flash(*arguments, "--json", "--port", board.port)
            assert (ran.status, ran.err) == (0, "")
            return ran.document

        dry = document(image, "--dry-run")
        done = document(image)
        machine = "Simulated board with stm32"
        assert done["steps"] == dry["steps"]
        assert done["steps"][:2] == [
            {"action": "clear", "offset": 0, "length": 3},
            {"action": "invalidate", "offset": 0, "length": 4096},
        ]
        kept = {name: done[name] for name in ("board", "partition", "size", "written", "blocks_kept", "rewritten")}
        assert kept == {
            "board": machine,
            "partition": 0,
            "size": 14_000,
            "written": 14_000,
            "blocks_kept": 0,
            "rewritten": 0,
        }
        assert (done["dry_run"], done["verified"], done["mounted"]) == (False, True, True)
        assert (dry["dry_run"], dry["verified"], dry["mounted"], dry["written"]) == (True, False, None, 0)
        assert 10_000 < done["sent"] < 25_000
        assert 0 < done["received"] < 5000
        assert document("--verify", image) == {"board": machine, "partition": 0, "verified": True, "warnings": []}
        out = tmp_path / "out"
        assert document("--read", out) == {"path": str(out), "size": 14_000, "partition": 0}
        assert document("--erase") == {"board": machine, "partition": 0, "erased": True}
        ran = romfs_flash("--verify", image, "--json", "--port", board.port)
        assert ran.status == 6
        assert ran.document == {
            "error": {
                "message": f"4 of 4 blocks differ from {image}, the first of them block 0 at 0x0",
                "hint": f"'romfs-flash {image}' writes what differs.",
                "status": 6,
            }
        }


def test_quiet_and_verbose(image, romfs_flash):
    with SimulatedBoard(options("rp2")) as board:
        assert romfs_flash(image, "--quiet", "--port", board.port) == (0, "", "")
        ran = romfs_flash(image, "--full", "--verbose", "--port", board.port)
        assert ran.out.startswith("clear      0x00000000         3 bytes\ninvalidate 0x00000000     4,096 bytes\n")
        ran = romfs_flash("--query", "-vv", "--port", board.port)
        assert ran.status == 0
        assert "> b'\\r\\x03\\x03'\n" in ran.err
        assert "raw REPL; CTRL-B to exit" in ran.err


def test_the_command_itself(image, tmp_path):
    """In a process of its own, as it is installed."""
    port = f"sim:{tmp_path / 'rom.bin'}?size=64K"
    command = [str(path) for path in (sys.executable, "-c", "from hatch_romfs.cli.flash import main; main()")]
    done = subprocess.run([*command, str(image), "--port", port], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("14,000 bytes verified, 14,000 of them written, mounted at /rom\n")
    done = subprocess.run([*command, "--query", "--port", "/dev/nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: cannot open /dev/nothing: ")


# Scripts


@pytest.mark.parametrize("family", FAMILIES)
def test_events_tell_what_is_done_and_how_much(family, image):
    seen = []
    with SimulatedBoard(options(family, ram=48 << 10)) as board:
        done = flash(image, board.port, on_event=lambda event: seen.append(event[:3]))
        assert (done.board.machine, done.partition.number, done.size) == (board.options.machine, 0, 14_000)
        assert done.received > 0
        assert 0 <= board.relay.up.sent - done.sent < 10  # what lets its programs run comes after
    kinds = [kind for kind, _, _ in seen]
    assert list(dict.fromkeys(kinds)) == ["comparing", "writing", "verifying", "resetting"]
    assert all(0 <= part <= whole for _, part, whole in seen)
    written = [event[1:] for event in seen if event[0] == "writing"]
    assert [part for part, _ in written] == sorted({part for part, _ in written})
    assert (written[0], written[-1]) == ((0, 14_000), (14_000, 14_000))
    assert len(written) > 3
    assert ("verifying", 13_997, 13_997) in seen  # all but the magic, before the commit
    assert seen[-3:] == [("verifying", 4096, 4096), ("resetting", 0, 1), ("resetting", 1, 1)]
    assert ("comparing", 14_000, 14_000) in seen


def test_reading_and_erasing_tell_of_themselves(image):
    seen = []
    with SimulatedBoard(options("stm32")) as board:
        flash(image, board.port)
        assert read(board.port, on_event=lambda event: seen.append(event[:3])) == image.read_bytes()
        assert seen[0] == ("reading", 2048, 14_000)
        assert seen[-1] == ("reading", 14_000, 14_000)
        seen.clear()
        erase(board.port, on_event=lambda event: seen.append(event[:3]))
        assert seen == [("erasing", SIZE, SIZE)]
        seen.clear()
        with pytest.raises(errors.VerifyError):
            verify(image, board.port, on_event=lambda event: seen.append(event[:3]))
        assert seen == [("comparing", 0, 14_000), ("comparing", 14_000, 14_000)]


# Beside mpremote


@pytest.mark.parametrize("family", FAMILIES)
def test_mpremote_agrees(family, image, tmp_path):
    """What it deploys verifies with ours, and what ours writes it finds, mounts and imports."""
    with SimulatedBoard(options(family)) as board:
        said = mpremote(board.port, "romfs", "query")
        (partition,) = query(board.port).partitions
        assert f"partition has size {partition.geometry.size} bytes" in said
        assert "Not a valid ROMFS" in said
        assert partition.image_size is None

        assert "ROMFS image deployed" in mpremote(board.port, "romfs", "deploy", image)
        assert verify(image, board.port).partitions[0].image_size == 14_000
        assert flash(image, board.port).plan.writes == 0

        other = put(tmp_path / "other.romfs", image_bytes(20_000, 9))
        flash(other, board.port)
        said = mpremote(board.port, "romfs", "query")
        payload = int(re.search(r"ROMFS image size: (\d+)", said)[1])
        (partition,) = query(board.port).partitions
        header = other.read_bytes()[:12].hex(":")
        assert f"Raw contents: {header} ..." in said
        assert partition.image_size == 20_000 == payload + 7
        code = "import os,vfs,m;print(m.who,m.__file__,os.listdir('/rom'))"
        assert mpremote(board.port, "exec", code) == "9 /rom/m.py ['data.bin', 'm.py']\r\n".replace("\r", "")
        code = "f=vfs.VfsRom(vfs.rom_ioctl(2,0));vfs.mount(f,'/x');import os;print(os.stat('/x/data.bin')[6])"
        with open_image(other) as opened:
            assert mpremote(board.port, "exec", f"import vfs;{code}").strip() == str(opened.file("data.bin").size)
        assert verify(other, board.port)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--erase", "--dry-run"), "--dry-run is for writing an image"),
        (("--query", "--full"), "--full is for writing an image"),
        (("image", "--whole"), "--whole is for --read"),
        (("image", "--query"), "IMAGE and --query: only one of these at a time"),
        (("--installed", "app", "--erase"), "--installed and --erase: only one of these at a time"),
        (("--erase", "--image", "x"), "--image is for --verify"),
        (("--erase", "--files"), "--files is for --query"),
    ],
)
def test_options_that_mean_nothing_together(arguments, message, tmp_path, romfs_flash):
    file = put(tmp_path / "rom.bin", b"\xd2\xcd\x31\x00" + ERASED * (SIZE - 4))
    ran = romfs_flash(*arguments, "--port", f"sim:{file}")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}\n")
    assert file.read_bytes()[:3] == b"\xd2\xcd\x31"


def test_a_project_without_a_table_is_not_written_to_a_board(tmp_path, romfs_flash):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "app"\n')
    ran = romfs_flash(tmp_path, "--port", "sim:")
    assert (ran.status, "has no [tool.romfs] table" in ran.err) == (2, True)
