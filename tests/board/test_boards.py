"""A project says which board and partition it is for: romfs-flash writes there, and warns of another board."""

import pytest

from hatch_romfs.board.checks import list_differences
from hatch_romfs.board.plan import Geometry
from hatch_romfs.board.probe import Board, Partition
from hatch_romfs.settings.boards import boards
from hatch_romfs.settings.values import ARCHS
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import SIZE, held, on_board
from tests.board.faulty import Faults, FaultyBoard

ERASED = b"\xff" * SIZE


def firmware(arch):
    return 6 | 3 << 8 | (ARCHS.index(arch) + 1) << 10


def project(folder, table, who=1):
    """Make a project with a module that says ``who`` it is."""
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "m.py").write_text(f"who = {who}\n")
    head = f'[project]\nname = "app{who}"\nversion = "1.0"\n[tool.romfs]\n'
    (folder / "pyproject.toml").write_text(head + table)
    return folder


def board_of(known, *, machine=None, arch=None, sizes=None):
    """Return what a board of that name would say of itself, but for what is given."""
    sizes = sizes or [size or 1 << 20 for size in known.sizes]
    return Board(
        machine=machine or f"Some Board with {known.mcu or 'a chip'}X0",
        version="1.27.0",
        platform="stm32",
        mpy=firmware(arch or known.arch) if arch or known.arch else 0,
        free=100_000,
        **dict.fromkeys(("sha256", "crc32", "deflate", "base64", "fromhex", "stream"), True),
        partitions=tuple(
            Partition(number, "ranged", Geometry(size, 4096, 4, "blocks"), None, None, None)
            for number, size in enumerate(sizes)
        ),
    )


# What is another board


@pytest.mark.parametrize("name", boards())
def test_a_board_is_like_itself_and_unlike_one_with_more_partitions(name):
    known = boards()[name]
    assert list_differences(board_of(known), known) == []
    count = len(known.partitions)
    more = [size or 4096 for size in known.sizes] + [4096]
    assert list_differences(board_of(known, sizes=more), known) == [f"it has {count + 1} partitions, not {count}"]


AE3, RT1060 = boards()["OPENMV_AE3"], boards()["OPENMV_RT1060"]


@pytest.mark.parametrize(
    ("known", "says", "differing"),
    [
        (RT1060, {"machine": "OpenMV IMXRT1060 with MIMXRT1062DVJ6A"}, []),
        (RT1060, {"machine": "Arduino GIGA"}, ["it reports 'Arduino GIGA', which does not contain RT1062"]),
        (RT1060, {"arch": "armv7emdp"}, []),
        (RT1060, {"arch": "armv7m"}, ["it runs armv7m code, not armv7emsp"]),
        (RT1060, {"arch": "xtensawin"}, ["it runs xtensawin code, not armv7emsp"]),
        (AE3, {"machine": "OpenMV AE3"}, []),
        (AE3, {"sizes": [24 << 20, 2 << 20]}, ["its partition 1 has 2,097,152 bytes, not 1,048,576"]),
        (AE3, {"sizes": [24 << 20]}, ["it has 1 partitions, not 2"]),
        (
            boards()["OPENMV4"],
            {"machine": "X", "arch": "armv6m", "sizes": [4096, 4096]},
            [
                "it reports 'X', which does not contain STM32H743",
                "it runs armv6m code, not armv7emsp",
                "it has 2 partitions, not 1",
                "its partition 0 has 4,096 bytes, not 131,072",
            ],
        ),
    ],
)
def test_what_makes_it_another(known, says, differing):
    assert list_differences(board_of(known, **says), known) == differing


# What romfs-flash says


def test_a_board_that_fits_is_not_warned_of(tmp_path, romfs_flash):
    source = project(tmp_path / "app", 'board = "OPENMV2"')
    options = SimOptions(port="stm32", size=128 << 10, machine="OpenMV2 with STM32F427")
    with FaultyBoard(options, Faults(mpy=firmware("armv7emsp"))) as board:
        ran = romfs_flash(source, "--port", board.port)
        assert (ran.status, ran.err) == (0, "")
        assert ran.out.startswith("partition 0 of OpenMV2 with STM32F427: ")
        for arguments in ([source], ["--verify", source]):
            ran = romfs_flash(*arguments, "--port", board.port, "--json")
            assert (ran.status, ran.err, ran.document["warnings"]) == (0, "", [])


def test_another_board_is_warned_of_and_written(tmp_path, romfs_flash):
    source = project(tmp_path / "app", 'board = "OPENMV2"')
    image = tmp_path / "app.romfs"
    options = SimOptions(port="rp2", size=SIZE, machine="Pico\x1b[2J with RP2040")
    said = (
        r"the connected board may not be an OPENMV2: it reports 'Pico\x1b[2J with RP2040', which "
        r"does not contain STM32F427; it runs"
        " armv6m code, not armv7emsp; its partition 0 has 65,536 bytes, not 131,072"
    )
    with FaultyBoard(options, Faults(mpy=firmware("armv6m"))) as board:
        ran = romfs_flash(source, "--port", board.port)
        assert (ran.status, ran.err) == (0, f"warning: {said}\n")
        assert on_board(board.port, "import m;print(m.who)") == "1"
        for arguments in ([source], ["--verify", source]):
            ran = romfs_flash(*arguments, "--port", board.port, "--json")
            assert (ran.status, ran.err, ran.document["warnings"]) == (0, f"warning: {said}\n", [said])
        # An image alone does not say what board it is for.
        assert romfs_flash("--read", image, "--port", board.port).status == 0
        for arguments in ([image], ["--verify", image]):
            ran = romfs_flash(*arguments, "--port", board.port, "--json")
            assert (ran.status, ran.err, ran.document["warnings"]) == (0, "", [])


def test_the_warning_comes_before_what_fails(tmp_path, romfs_flash):
    source = project(tmp_path / "app", 'board = "OPENMV2"')
    (source / "src" / "large.bin").write_bytes(bytes(SIZE))
    with FaultyBoard(SimOptions(port="rp2", size=SIZE)) as board:
        ran = romfs_flash(source, "--port", board.port)
        assert ran.status == 5
        first, second, _ = ran.err.splitlines()
        assert first.startswith("warning: the connected board may not be an OPENMV2: ")
        assert second.startswith("error: the image is ")
        assert held(board) == ERASED


# Partitions


@pytest.mark.parametrize("family", ["rp2", "stm32", "alif"])
def test_two_projects_each_to_its_partition(family, tmp_path, romfs_flash):
    first = project(tmp_path / "one", "partition = 0", who=1)
    second = project(tmp_path / "two", 'board = "OPENMV_AE3"\npartition = 1', who=2)
    with SimulatedBoard(SimOptions(port=family, size=SIZE, partitions=2)) as board:
        for number, source in enumerate((first, second)):
            assert romfs_flash(source, "--port", board.port, "--json").document["partition"] == number
        assert b"app1" in held(board, 0)
        assert b"app2" in held(board, 1)
        for number, source in enumerate((first, second)):
            ran = romfs_flash("--verify", source, "--port", board.port)
            assert ran.status == 0
            assert ran.out.startswith(f"partition {number} of ")
            assert romfs_flash("--verify", source, "--partition", 1 - number, "--port", board.port).status == 6
        assert on_board(board.port, "import m;print(m.who)") == "1"
        mount = "import vfs;vfs.mount(vfs.VfsRom(vfs.rom_ioctl(2,1)),'/two');print(open('/two/m.mpy','rb').read(1))"
        assert on_board(board.port, mount) == "b'M'"
        assert board.violations == ()


def test_two_images_of_one_project_each_to_its_partition(tmp_path, romfs_flash):
    images = "[tool.romfs.images.code]\n[tool.romfs.images.more]\nsources = ['more']\npartition = 1\n"
    source = project(tmp_path / "app", images, who=1)
    (tmp_path / "app/more").mkdir()
    (tmp_path / "app/more/n.py").write_text("who = 2\n")
    with SimulatedBoard(SimOptions(size=SIZE, partitions=2)) as board:
        for number, name in enumerate(("code", "more")):
            ran = romfs_flash(source, "--image", name, "--port", board.port, "--json")
            assert ran.document["partition"] == number
            assert romfs_flash("--verify", source, "--image", name, "--port", board.port).status == 0
        assert b"app1-code" in held(board, 0)
        assert b"app1-more" in held(board, 1)
        ran = romfs_flash(source, "--port", board.port)
        assert (ran.status, "has several images: code, more\nName one with --image." in ran.err) == (2, True)
        assert board.violations == ()


def test_an_option_outranks_the_table(tmp_path, romfs_flash):
    source = project(tmp_path / "app", "partition = 1")
    with SimulatedBoard(SimOptions(size=SIZE, partitions=2)) as board:
        assert romfs_flash(source, "--partition", 0, "--port", board.port).status == 0
        assert held(board, 1) == ERASED
        assert b"app1" in held(board, 0)
        assert romfs_flash("--erase", "--port", board.port).status == 0  # which is of no project: partition 0
        assert held(board, 0) == ERASED
        assert romfs_flash(source, "--port", board.port).status == 0
        assert held(board, 0) == ERASED
        assert b"app1" in held(board, 1)


def test_a_partition_that_the_board_has_not(tmp_path, romfs_flash):
    source = project(tmp_path / "app", "partition = 1")
    with SimulatedBoard(SimOptions(size=SIZE)) as board:
        ran = romfs_flash(source, "--port", board.port)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("error: Simulated board with rp2 has only partition 0, not partition 1\n")
