"""``--to-filesystem`` on real FAT and littlefs: power cuts at every write, full and read-only disks, odd names."""

from pathlib import Path

import pytest

from hatch_romfs import BoardError, LinkError, VerifyError, erase_filesystem, write_filesystem
from hatch_romfs.board.filesystem.owned import LISTS, TEMPORARY, parse_list
from tests.board.boards import coded, put
from tests.board.disks import KINDS, Disk, DiskBoard, read_disks

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
    parents = (Path(path).parents for path in files)
    return {f"{folder.as_posix()}/" for folders in parents for folder in folders if folder != Path()}


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
def test_power_that_fails_in_any_write_leaves_old_or_new_files_and_a_rerun_completes(disk, kind, old, new, tmp_path):
    with DiskBoard(disk) as board:
        write_filesystem(old, board.port)
    before = disk.path.read_bytes()
    with DiskBoard(disk) as board:
        write_filesystem(new, board.port)
    writes = disk.operations
    assert writes > 35
    cuts = range(1, writes + 1)
    for cut in cuts:
        disk.path.write_bytes(before)
        # Nothing can help FAT with half a sector.
        with DiskBoard(disk, cut=cut, torn=kind == "lfs") as board, pytest.raises(LinkError):
            write_filesystem(new, board.port)
        assert disk.operations == cut
        put(tmp_path / f"cut-{cut}", disk.path.read_bytes())
        with DiskBoard(disk) as board:
            write_filesystem(new, board.port)
        put(tmp_path / f"again-{cut}", disk.path.read_bytes())
    for found in read_disks([tmp_path / f"cut-{cut}" for cut in cuts], kind):
        check_state(found, kind)
    for found in read_disks([tmp_path / f"again-{cut}" for cut in cuts], kind):
        check_files(found, NEW)


@by_kind
def test_a_tree_that_does_not_fit_is_refused_before_anything_is_written(disk, tmp_path):
    image = put(tmp_path / "large", coded({"large.bin": bytes(range(256)) * 600}))
    before = disk.path.read_bytes()
    with DiskBoard(disk) as board, pytest.raises(BoardError) as caught:
        write_filesystem(image, board.port)
    assert "bytes are free, and at least" in caught.value.message
    assert caught.value.hint.endswith("Nothing on the board was changed.")
    assert disk.path.read_bytes() == before


@by_kind
def test_a_disk_that_is_full_sooner_than_it_says_is_an_error_and_leaves_whole_files(disk, kind, tmp_path):
    """Folders grow, and FAT has a block for each small file."""
    if kind == "lfs":
        disk.make(OWN, blocks=48)
    tree = {f"{number:03}.txt": b"%d" % number * 30 for number in range(300)}
    image = put(tmp_path / "many", coded(tree))
    with (
        DiskBoard(disk) as board,
        pytest.raises(BoardError, match=r"cannot write .* on the board: ENOSPC \(28\)") as caught,
    ):
        write_filesystem(image, board.port)
    assert caught.value.hint.startswith("The filesystem is full.")
    found = disk.read()
    assert TEMPORARY not in found
    written = {name: data for name, data in found.items() if name in tree}
    assert written
    assert all(data == tree[name] for name, data in written.items())
    with DiskBoard(disk) as board:
        erase_filesystem(board.port)
    assert disk.read() == OWN


@by_kind
def test_a_file_is_replaced_only_if_both_fit(disk, tmp_path):
    images = [put(tmp_path / f"{seed}", coded({"a.bin": bytes([seed]) * 70_000})) for seed in (1, 2)]
    with DiskBoard(disk) as board:
        write_filesystem(images[0], board.port)
        with pytest.raises(BoardError, match="do not fit into the filesystem"):
            write_filesystem(images[1], board.port)
    assert disk.read()["a.bin"] == b"\1" * 70_000


@by_kind
def test_the_default_folder_is_where_the_filesystem_is_mounted(disk, old):
    with DiskBoard(disk, mount="/flash") as board:
        assert write_filesystem(old, board.port).folder == "/flash/"
        with pytest.raises(BoardError, match="has no filesystem at /"):
            write_filesystem(old, board.port, folder="/")
        with pytest.raises(BoardError, match="has no filesystem at /elsewhere/"):
            write_filesystem(old, board.port, folder="/elsewhere")
    check_files(disk.read(), OLD, {"gone/"})


@by_kind
def test_a_read_only_disk_is_one_clear_error(disk, old):
    with DiskBoard(disk, readonly=True) as board, pytest.raises(BoardError) as caught:
        write_filesystem(old, board.port)
    assert caught.value.message == f"cannot write {LISTS[0]} on the board: EROFS (30)"
    assert caught.value.hint.startswith("The filesystem is read-only.")


def test_a_board_without_a_filesystem(tmp_path, old):
    with DiskBoard(Disk(tmp_path / "none", "")) as board, pytest.raises(BoardError, match="has no filesystem at /"):
        write_filesystem(old, board.port)


@by_kind
def test_long_and_odd_names(disk, tmp_path):
    tree = {"grüße/naïve ☃.txt": b"1", "n" * 200 + ".txt": b"2", "a b.py": b"3", "x" * 60 + "/" + "y" * 60 + "/z": b"4"}
    image = put(tmp_path / "odd", coded(tree))
    with DiskBoard(disk) as board:
        write_filesystem(image, board.port)
        assert write_filesystem(image, board.port).plan.steps == ()
    check_files(disk.read(), tree, folders_of(tree))


@pytest.mark.parametrize("kind", ["fat"])
def test_names_that_fat_does_not_have(disk, tmp_path):
    with DiskBoard(disk) as board:
        with pytest.raises(BoardError, match=r"refuses the name what\?: EINVAL \(22\)"):
            write_filesystem(put(tmp_path / "odd", coded({"what?": b"1"})), board.port)
        with pytest.raises(VerifyError) as caught:
            write_filesystem(put(tmp_path / "case", coded({"app.txt": b"1", "APP.txt": b"2"})), board.port)
        assert "The filesystem ignores case, and there are APP.txt, app.txt." in caught.value.hint
        renamed = put(tmp_path / "renamed", coded({"App.txt": b"2"}))
        write_filesystem(renamed, board.port)
        assert write_filesystem(renamed, board.port).plan.steps == ()
    check_files(disk.read(), {"App.txt": b"2"})
