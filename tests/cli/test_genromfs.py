"""The replacement for genromfs in scripts, compared with Debian's genromfs on the same folders."""

import os
import random
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatch_romfs.cli.genromfs import make_matcher
from hatch_romfs.formats import open_image
from tests import judges
from tests.trees import romfs_trees, shape, write_romfs_tree

NAMES = st.text("abcXYZ019_-. é[]", min_size=1, max_size=40).filter(lambda name: name.strip(".") != "")
PATTERNS = st.sampled_from(
    [
        "*",
        "a*",
        "?",
        "[ab]*",
        "[!a]*",
        "/*",
        "/a*",
        "/*/a*",
        ".*",
        "*.*",
        "a/b",
        "\\a*",
        "\\[*",
        "/*/*",
        "é*",
        "*b",
        "..",
        "??",
        "[é]*",
        "[!é]",
        "*[[:alpha:]]",
        "[X-Z]*",
    ]
)


def front(*arguments, status=0):
    command = [sys.executable, "-m", "hatch_romfs.genromfs", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True, encoding="utf-8")
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def genromfs():
    return judges.command("genromfs")


@given(
    root=romfs_trees(NAMES),
    least=st.sampled_from([16, 64, 4096]),
    aligned=st.lists(st.tuples(st.sampled_from([16, 256, 2048]), PATTERNS), max_size=2),
    left_out=st.lists(PATTERNS.filter(lambda pattern: pattern not in ("..", ".*")), max_size=1),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_bytes_as_genromfs(root, least, aligned, left_out, genromfs, tmp_path):  # noqa: PLR0917
    shutil.rmtree(tmp_path)
    folder = write_romfs_tree(root, tmp_path / "folder")
    options = ["-d", folder, "-V", "a volume", "-a", str(least)]
    for size, pattern in aligned:
        options += ["-A", f"{size},{pattern}"]
    for pattern in left_out:
        options += ["-x", pattern]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run([genromfs, *options, "-f", tmp_path / "theirs"], env=environment, check=True, capture_output=True)
    from hatch_romfs.cli.genromfs import command

    command([*map(str, options), "-f", str(tmp_path / "ours"), "--readdir-order"])
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@given(root=romfs_trees(NAMES))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sorted_it_has_the_same_content(root, genromfs, tmp_path):
    shutil.rmtree(tmp_path)
    folder = write_romfs_tree(root, tmp_path / "folder")
    subprocess.run([genromfs, "-d", folder, "-f", tmp_path / "theirs"], check=True, capture_output=True)
    from hatch_romfs.cli.genromfs import command

    command(["-d", str(folder), "-f", str(tmp_path / "ours")])
    with open_image(tmp_path / "ours") as ours, open_image(tmp_path / "theirs") as theirs:
        assert shape(ours.root) == shape(theirs.root)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "dev").mkdir(parents=True)
    (folder / "dev/@tty1,c,4,1").touch()
    (folder / "dev/@sda,b,8,0").touch()
    (folder / "@full,c,1,2").write_text("not empty")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "ünï").symlink_to("run.sh")
    return folder


def test_two_runs_give_the_same(folder, tmp_path):
    front("-d", folder, "-f", tmp_path / "one")
    later = tmp_path / "later"
    names = [path.relative_to(folder) for path in folder.rglob("*")]
    random.Random(1).shuffle(names)
    for name in names:  # in another order, at another time
        (later / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).is_symlink():
            (later / name).symlink_to(os.readlink(folder / name))  # noqa: PTH115
        elif (folder / name).is_file():
            shutil.copy(folder / name, later / name)
            os.utime(later / name, (1, 1))
    front("-d", later, "-f", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes()[16:20] == b"rom\0"


def test_the_disks_order_under_any_locale(folder, tmp_path):
    front("-d", folder, "-f", tmp_path / "one", "--readdir-order")
    command = [sys.executable, "-m", "hatch_romfs.genromfs", "-d", folder, "-f", tmp_path / "two", "--readdir-order"]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(command, env=os.environ | locale, check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_devices_by_name(folder, tmp_path):
    assert front("-v", "-d", folder, "-f", tmp_path / "i").stdout.count("\n") == 10
    with open_image(tmp_path / "i") as image:
        tty1, sda = image.find("dev/tty1"), image.find("dev/sda")
        assert tuple(tty1) == ("character device", "the image", 4, 1)
        assert tuple(sda) == ("block device", "the image", 8, 0)
        assert image.file("@full,c,1,2").read() == b"not empty"
        assert image.file("run.sh").executable


@pytest.mark.parametrize("pattern", ["tty1", "@tty*", "/dev/tty1", "/dev/@tty*", "/dev/*", "/@full*"])
@pytest.mark.parametrize("option", ["-A", "-x"])
def test_patterns_for_devices(option, pattern, folder, tmp_path, genromfs):
    """genromfs matches the new name, or the old path."""
    value = pattern if option == "-x" else f"256,{pattern}"
    subprocess.run([genromfs, "-d", folder, "-V", "rom", option, value, "-f", tmp_path / "theirs"], check=True)
    front("-d", folder, option, value, "-f", tmp_path / "ours", "--readdir-order")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_alignments_that_crash_the_original(folder, tmp_path):
    front("-a", "8192", "-d", folder, "-f", tmp_path / "i")
    with open_image(tmp_path / "i") as image:
        assert image.file("run.sh").content.offset % 8192 == 0


def test_its_own_output_stays_out(folder):
    front("-d", folder, "-f", folder / "rom.img")
    front("-d", folder, "-f", folder / "../a folder/rom.img")
    with open_image(folder / "rom.img") as image:
        assert "rom.img" not in image.root.entries


def test_it_writes_to_pipes_and_devices(folder, tmp_path):
    command = [sys.executable, "-m", "hatch_romfs.genromfs", "-d", folder, "-f", "/dev/stdout"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    front("-d", folder, "-f", tmp_path / "i")
    assert done.stdout == (tmp_path / "i").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: -f"),
        (["-f", "x", "-d", "nowhere"], "-d: nowhere is not a folder"),
        (["-f", "x", "-a", "24"], "-a: '24' is not a power of two, or less than 16"),
        (["-f", "x", "-A", "64"], "-A: '64' must be a number and a pattern, such as -A '4096,*.boot'"),
        (["-f", "x", "-A", "y,z"], "-A: 'y' is not a power of two, or less than 16"),
        (["-f", "x", "-q"], "unrecognized arguments: -q"),
    ],
)
def test_usage(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in front(*arguments, status=2).stderr
    assert not list(tmp_path.iterdir())


def test_wrong_device_names(folder, tmp_path):
    (folder / "@x,z,1,2").touch()
    assert "the type 'z' is not b, c, u, or p" in front("-d", folder, "-f", tmp_path / "i", status=1).stderr
    (folder / "@x,z,1,2").unlink()
    (folder / "dev/tty1").touch()
    assert "two sources for 'dev/tty1'" in front("-d", folder, "-f", tmp_path / "i", status=1).stderr
    (folder / "dev/tty1").unlink()
    (folder / "@big,c,65536,0").touch()
    assert "big: the device 65536, 0: above 65535" in front("-d", folder, "-f", tmp_path / "i", status=1).stderr
    assert not (tmp_path / "i").exists()


def test_dots_are_never_left_out(folder, tmp_path):
    front("-d", folder, "-f", tmp_path / "all")
    front("-d", folder, "-f", tmp_path / "i", "-x", ".*")
    assert (tmp_path / "i").read_bytes() == (tmp_path / "all").read_bytes()
    assert make_matcher(".*")("a/..")
