"""``fleet.toml``: every board has one way to reach it, and every mistake is reported at once."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from hatch_romfs import SettingsError
from hatch_romfs.fleet.file import fleet_schema, read_fleet
from tests.board.boards import held, image_bytes, options, put
from tests.board.faulty import FaultyBoard
from tests.fleet.support import lines, romfs_flash
from tests.judges import REPO
from tests.projects import make_project

FLEET = """\
source = "greenhouse"
image = "app"
partition = 1

[boards.north]
port = "socket://10.0.0.5:3333"

[boards.south]
serial-number = "E6614C"
image = "assets"
partition = 0

[boards.spare]
port = "COM5"
source = "spare.romfs"
"""


def read(tmp_path, text):
    path = tmp_path / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return read_fleet(path)


def test_boards_have_the_defaults_of_the_fleet(tmp_path):
    (tmp_path / "greenhouse").mkdir()
    (tmp_path / "spare.romfs").touch()
    assert [tuple(board) for board in read(tmp_path, FLEET)] == [
        ("north", "socket://10.0.0.5:3333", tmp_path / "greenhouse", "app", 1),
        ("south", "id:E6614C", tmp_path / "greenhouse", "assets", 0),
        ("spare", "COM5", tmp_path / "spare.romfs", None, None),
    ]


def test_every_mistake_is_reported_with_its_path(tmp_path):
    wrong = """
partition = 300
[boards.a]
[boards.b]
port = "COM5"
serial-numbr = "E6"
[boards."c d"]
port = ""
[boards.e]
port = "COM5"
serial-number = "E6"
"""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, wrong)
    lines_ = caught.value.message.splitlines()
    assert [line.partition(":")[0] for line in lines_] == [
        "partition",
        'boards."a"',
        'boards."b".serial-numbr',
        'boards."c d".port',
        'boards."e"',
        'boards."c d"',
    ]
    assert "did you mean" in caught.value.message
    assert caught.value.hint == f"Fix {tmp_path / 'fleet.toml'}."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "boards: is required"),
        ("[boards]", "boards: contains no boards"),
        ("[boards.a]", 'boards."a": needs `port` or `serial-number`'),
        ('[boards.a]\nport = "COM1"\nserial-number = "E6"', 'boards."a": has both'),
        ('[boards.a]\nport = "COM1"\n[boards.b]\nport = "COM1"', 'boards."b".port: is also that of boards."a"'),
    ],
)
def test_a_board_needs_one_way_to_reach_it(tmp_path, text, problem):
    with pytest.raises(SettingsError, match=problem):
        read(tmp_path, text)


def test_sources_that_do_not_exist(tmp_path):
    text = 'source = "nowhere"\n[boards.a]\nport = "COM1"\nsource = "a.romfs"\n'
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert caught.value.message == f'boards."a".source: {tmp_path / "a.romfs"} does not exist'
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text + '[boards.b]\nport = "COM2"\n')
    assert caught.value.message.startswith(f"source: {tmp_path / 'nowhere'} does not exist\nboards")


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml does not exist"):
        read_fleet(tmp_path / "nowhere.toml")


def test_the_schema_accepts_the_file_and_is_the_committed_one():
    tomllib = pytest.importorskip("tomllib")
    schema = fleet_schema()
    Draft7Validator.check_schema(schema)
    assert list(Draft7Validator(schema).iter_errors(tomllib.loads(FLEET))) == []
    assert list(Draft7Validator(schema).iter_errors({"boards": {"a": {"prt": "COM1"}}}))
    committed = (REPO / "docs/reference/fleet.schema.json").read_text(encoding="utf-8")
    assert committed == json.dumps(schema, indent=2) + "\n"


def test_each_board_of_a_fleet_gets_its_image(tmp_path):
    project = make_project(tmp_path / "project")
    other = image_bytes(5000)
    put(tmp_path / "other.romfs", other)
    with FaultyBoard(options("rp2")) as north, FaultyBoard(options("stm32", partitions=2)) as south:
        (tmp_path / "fleet.toml").write_text(
            f'source = "{project.name}"\n[boards.north]\nport = "{north.port}"\n'
            f'[boards.south]\nport = "{south.port}"\nsource = "other.romfs"\npartition = 1\n',
            encoding="utf-8",
        )
        report = tmp_path / "report.jsonl"
        done = romfs_flash("--fleet", tmp_path / "fleet.toml", "--report", report, cwd=Path("/"))
        assert done.returncode == 0, done.stderr
        assert sorted(line.partition(":")[0] for line in done.stdout.splitlines()[:2]) == ["north", "south"]
        assert held(south, 1).startswith(other)
        found = {line["port"]: line for line in lines(report)}
        assert (found[north.port]["image"], found[north.port]["partition"]) == ("My.app", 0)
        assert (found[south.port]["image"], found[south.port]["partition"]) == ("app", 1)
    done = romfs_flash("--fleet", tmp_path / "fleet.toml", "--partition", 1)
    assert done.returncode == 2
    assert "--partition cannot be used with --fleet" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "sim:a", "--port", "sim:b", "--port", "sim:a"], "sim:a is named twice"),
        (["--port", "port", "--port", "link"], "port and link are the same port"),
        (["--fleet", "fleet.toml"], "a and b are the same port"),
    ],
)
def test_a_board_that_is_named_twice(tmp_path, arguments, problem):
    put(tmp_path / "app.romfs", image_bytes(3000))
    (tmp_path / "port").touch()
    (tmp_path / "link").symlink_to("port")
    boards = '[boards.a]\nport = "port"\n[boards.b]\nport = "link"\n'
    (tmp_path / "fleet.toml").write_text(f'source = "app.romfs"\n{boards}', encoding="utf-8")
    done = romfs_flash(*([] if "--fleet" in arguments else ["app.romfs"]), *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {problem}\nName each board once.\n"
