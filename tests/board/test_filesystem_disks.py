"""``--to-filesystem`` on real FAT and littlefs: power cuts at every write, full and read-only disks, odd names."""

import pytest

from hatch_romfs import LinkError
from hatch_romfs.board.filesystem.deploy import write_filesystem
from hatch_romfs.board.filesystem.owned import LISTS, TEMPORARY, parse_list
from tests.board.boards import coded, put
from tests.board.disks import KINDS, Disk, DiskBoard

OWN = {"own.txt": b"mine", "lib/own.py": b"x = 1\n", "data/": None, "lib/": None}
OLD = {"app.py": b"old" * 300, "lib/a.py": b"a" * 10, "gone/x.py": b"x", "main.py": b"pass  # 1\n"}
NEW = {"app.py": b"new" * 500, "lib/a.py": b"a" * 10, "lib/b.py": b"b" * 900, "main.py": b"pass  # two\n"}

by_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def disk(tmp_path, kind):
    disk = Disk(tmp_path / "disk", kind)
    disk.make(OWN)
    return disk


@pytest.fixture
def old(tmp_path):
    return put(tmp_path / "old.romfs", coded(OLD))


@pytest.fixture
def new(tmp_path):
    return put(tmp_path / "new.romfs", coded(NEW))


def folders_of(files):
    return {f"{path.rpartition('/')[0]}/" for path in files if "/" in path}


def check_files(found, files, folders=()):
    """Check that a disk has exactly the files, their folders, what others wrote, and a list of ours."""
    names = [name for name in LISTS if name in found]
    (name,) = names
    listed = parse_list(name, found[name].decode().split("\n")[:-1])
    assert set(listed.entries) == {*files, *folders}
    assert found == {**OWN, **dict.fromkeys(folders_of(files)), **files, name: found[name]}


@by_kind
def test_files_are_written_replaced_and_removed_and_those_of_others_stay(disk, old, new):
    with DiskBoard(disk) as board:
        write_filesystem(old, board.port)
        check_files(disk.read(), OLD, {"gone/"})
        before = disk.operations
        assert write_filesystem(old, board.port).plan.steps == ()
        assert disk.operations == before
        done = write_filesystem(new, board.port)
        assert (done.plan.kept, done.plan.removed) == (1, ("gone/x.py",))
        check_files(disk.read(), NEW)
        write_filesystem(new, board.port, full=True)
    check_files(disk.read(), NEW)


def check_state(found, kind):
    """Check that every file is old or new, after a cut."""
    assert {path: found.get(path, "missing") for path in OWN} == OWN
    for path in {*OLD, *NEW}:
        state = found.get(path)
        if state is None and kind == "fat" and path in OLD and path in NEW:  # FAT has no rename that replaces
            assert found[TEMPORARY] == NEW[path]
        else:
            assert state in (OLD.get(path), NEW.get(path)), path
    assert found.keys() <= {*OWN, *OLD, *NEW, *LISTS, TEMPORARY, "gone/"}


@by_kind
def test_power_that_fails_in_any_write_leaves_old_or_new_files_and_a_rerun_completes(disk, kind, old, new):
    with DiskBoard(disk) as board:
        write_filesystem(old, board.port)
    before = disk.path.read_bytes()
    with DiskBoard(disk) as board:
        write_filesystem(new, board.port)
    writes = disk.operations
    assert writes > 35
    for cut in range(1, writes + 1):
        disk.path.write_bytes(before)
        # Nothing can help FAT with half a sector.
        with DiskBoard(disk, cut=cut, torn=kind == "lfs") as board, pytest.raises(LinkError):
            write_filesystem(new, board.port)
        assert disk.operations == cut
        check_state(disk.read(), kind)
        with DiskBoard(disk) as board:
            write_filesystem(new, board.port)
        check_files(disk.read(), NEW)
