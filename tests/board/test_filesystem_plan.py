"""What ``--to-filesystem`` decides: which files are written, kept, removed, and refused, and in which order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs.board.filesystem.owned import (
    LISTS,
    MARKER,
    TEMPORARY,
    OwnedList,
    format_list,
    owned_path_problem,
    parse_list,
    project_name,
)
from hatch_romfs.board.filesystem.plan import find_shortage, make_plan
from hatch_romfs.board.filesystem.survey import FOLDER, Survey
from hatch_romfs.errors import BoardError

BLOCK = 512
names = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\:"), min_size=1, max_size=8)
paths = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)


def survey(states=None, owned=(), *, free=100, ignores_case=False, hidden=(), version=1, leftover=None):
    """Return what a board has, with a list in the first file unless there is none."""
    listed = OwnedList(LISTS[0], version, tuple(sorted(owned))) if owned else OwnedList(LISTS[1], 0, ())
    own = {LISTS[0]: 99 if owned else None, LISTS[1]: None, TEMPORARY: leftover}
    return Survey(
        folder="/",
        exists=True,
        block=BLOCK,
        blocks=200,
        free=free,
        owned=listed,
        ignores_case=ignores_case,
        states=own | (states or {}),
        hidden=frozenset(hidden),
    )


def plan(wanted, found, same=(), *, full=False):
    return make_plan(wanted, looked_for(wanted, found), same, full=full)


def looked_for(wanted, found):
    """Return a survey in which what is wanted and not there is not there."""
    return replace(found, states=dict.fromkeys(wanted) | found.states)


def texts(done):
    return [str(step).partition(",")[0] for step in done.steps]


def test_on_an_empty_board_the_list_comes_first_and_what_starts_the_app_last():
    done = plan({"main.py": 9, "lib": None, "lib/a.mpy": 1, "app.mpy": 5, "boot.py": 3}, survey())
    assert texts(done) == [
        "write list romfs-1.txt",
        "make lib",
        "write app.mpy",
        "write lib/a.mpy",
        "write boot.py",
        "write main.py",
    ]
    assert done.owned.entries == ("app.mpy", "boot.py", "lib/", "lib/a.mpy", "main.py")


def test_what_is_right_already_needs_no_step():
    found = survey({"lib": FOLDER, "lib/a.mpy": 1, "app.mpy": 5}, ["lib/", "lib/a.mpy", "app.mpy"])
    done = plan({"lib": None, "lib/a.mpy": 1, "app.mpy": 5}, found, {"lib/a.mpy", "app.mpy"})
    assert (done.steps, done.kept) == ((), 2)


def test_full_writes_what_is_ours_again():
    found = survey({"app.mpy": 5, "own.txt": 2}, ["app.mpy"])
    done = plan({"app.mpy": 5, "own.txt": 2}, found, {"app.mpy", "own.txt"}, full=True)
    assert texts(done) == ["write app.mpy"]


def test_what_is_gone_is_removed_with_its_folders_while_the_list_still_has_it():
    entries = ["old/", "old/in/", "old/in/a.mpy", "b.mpy", "app.mpy"]
    states = {"old": FOLDER, "old/in": FOLDER, "old/in/a.mpy": 3, "b.mpy": 4, "app.mpy": 5}
    done = plan({"app.mpy": 5}, survey(states, entries), {"app.mpy"})
    assert texts(done) == [
        "remove b.mpy",
        "remove old/in/a.mpy",
        "remove folder old/in",
        "remove folder old",
        "write list romfs-2.txt",
        "remove romfs-1.txt",
    ]
    assert done.removed == ("b.mpy", "old/in/a.mpy")


def test_what_is_gone_from_the_board_already_or_is_something_else_now_is_left_alone():
    found = survey({"a.mpy": None, "b.mpy": FOLDER, "old": 7}, ["a.mpy", "b.mpy", "old/"])
    assert texts(plan({}, found)) == ["remove romfs-1.txt"]


def test_a_new_file_is_listed_before_it_is_written_and_a_gone_one_until_it_is_removed():
    done = plan({"new.mpy": 2}, survey({"old.mpy": 3}, ["old.mpy"]))
    assert texts(done) == [
        "write list romfs-2.txt",
        "remove romfs-1.txt",
        "remove old.mpy",
        "write new.mpy",
        "write list romfs-1.txt",
        "remove romfs-2.txt",
    ]
    during, after = (step.data for step in done.steps if step.data)
    assert parse_list(LISTS[1], during.decode().splitlines()).entries == ("new.mpy", "old.mpy")
    assert parse_list(LISTS[0], after.decode().splitlines()) == done.owned == OwnedList(LISTS[0], 3, ("new.mpy",))


@pytest.mark.parametrize(
    ("state", "wanted", "message"),
    [
        (4, 5, "/app is on the board already, and romfs-flash did not write it"),
        (FOLDER, 5, "/app on the board is a folder, and should be a file"),
        (4, None, "/app on the board is a file, and should be a folder"),
    ],
)
def test_what_others_wrote_is_never_replaced(state, wanted, message):
    with pytest.raises(BoardError) as caught:
        plan({"app": wanted}, survey({"app": state}))
    assert caught.value.message == message
    assert caught.value.hint.endswith("Nothing on the board was changed.")


def test_of_many_files_in_the_way_some_are_named():
    wanted = {f"{number}.bin": 5 for number in range(9)}
    with pytest.raises(BoardError) as caught:
        plan(wanted, survey(dict.fromkeys(wanted, 4)))
    assert caught.value.message.count("\n") == 5
    assert caught.value.message.endswith("\n(and 4 more)")


def test_an_equal_file_and_a_folder_of_others_stay_theirs():
    done = plan({"lib": None, "lib/a.py": 3, "b.py": 4}, survey({"lib": FOLDER, "lib/a.py": 3}), {"lib/a.py"})
    assert texts(done) == ["write list romfs-1.txt", "write b.py"]
    assert done.owned.entries == ("b.py",)


def test_a_file_becomes_a_folder_and_a_folder_a_file():
    found = survey({"a": 3, "b": FOLDER, "b/x": 4, "a/y": None}, ["a", "b/", "b/x"])
    assert texts(plan({"a": None, "a/y": 1, "b": 2}, found)) == [
        "write list romfs-2.txt",
        "remove romfs-1.txt",
        "remove a",
        "remove b/x",
        "remove folder b",
        "make a",
        "write a/y",
        "write b",
        "write list romfs-1.txt",
        "remove romfs-2.txt",
    ]


def test_a_name_that_changes_only_in_case_is_written_again():
    """FAT takes both for the same file, which is removed under the old name."""
    done = plan({"app.mpy": 5}, survey({"App.mpy": 5, "app.mpy": 5}, ["App.mpy"]), {"app.mpy"})
    assert [text for text in texts(done) if "list" not in text and LISTS[0] not in text] == [
        "remove App.mpy",
        "write app.mpy",
        "remove romfs-2.txt",
    ]


def test_an_unfinished_file_is_removed_and_on_fat_with_what_may_share_its_clusters():
    states = {"a.mpy": 5, "b.mpy": 6, "own.txt": 5}
    wanted, same = {"a.mpy": 5, "b.mpy": 6}, {"a.mpy", "b.mpy"}
    assert texts(plan(wanted, survey(states, wanted, leftover=5), same)) == ["remove romfs.tmp"]
    done = plan(wanted, survey(states, wanted, leftover=5, ignores_case=True), same)
    assert texts(done) == ["remove a.mpy", "remove romfs.tmp", "write a.mpy"]
    assert done.removed == ()


def test_a_py_file_of_others_hides_a_module_but_one_that_is_removed_does_not():
    hidden = ["a.mpy", "b.mpy", "c.mpy"]
    wanted = {"a.mpy": 1, "b.mpy": 1, "c.mpy": 1, "c.py": 1}
    assert plan(wanted, survey({"b.py": 3}, ["b.py"], hidden=hidden)).hidden == ("a.mpy",)


@pytest.mark.parametrize(
    ("wanted", "old", "free", "shortage"),
    [
        ({"a": 5 * BLOCK}, {}, 6, 0),
        ({"a": 5 * BLOCK + 1}, {}, 6, BLOCK),  # and a block for the list
        ({"a": 5 * BLOCK}, {"a": 5 * BLOCK}, 4, BLOCK),  # the old one stays until the new one is complete
        ({"a": 5 * BLOCK}, {"a": 5 * BLOCK}, 5, 0),
        ({"b": 5 * BLOCK}, {"a": 5 * BLOCK}, 1, 0),  # what is gone is removed first
        ({"a": 100}, {}, 1, 0),  # littlefs keeps small files in their folder
        ({"a": None}, {}, 1, BLOCK),
    ],
)
def test_free_space_counts_in_blocks(wanted, old, free, shortage):
    found = looked_for(wanted, survey(dict(old), old, free=free))
    assert find_shortage(make_plan(wanted, found, ()), found) == shortage


@given(st.sets(paths), st.integers(1, 10**9 - 1), st.text())
def test_a_list_is_read_as_it_was_written(entries, version, name):
    project = project_name(name)
    lines = format_list(entries, version, project).decode().removesuffix("\n").split("\n")
    assert parse_list(LISTS[0], lines) == OwnedList(LISTS[0], version, tuple(sorted(entries)), project)


@pytest.mark.parametrize(
    ("name", "project"),
    [
        (None, ""),
        ("app", "app"),
        ("a\nb\x1b", "a b"),
        ("\ud800", "?"),
        ("ü" * 99, "ü" * 60),
        ("x, version 9, check 00000000", "x, version 9, check 00000000"),
    ],
)
def test_the_name_of_a_project_is_one_line_of_the_list(name, project):
    assert project_name(name) == project
    lines = format_list(["a"], 3, project).decode().removesuffix("\n").split("\n")
    assert parse_list(LISTS[0], lines) == OwnedList(LISTS[0], 3, ("a",), project)


def test_the_same_files_of_another_project_change_only_the_list():
    done = make_plan({"app.py": 1}, survey({"app.py": 1}, ["app.py"]), ["app.py"], "other")
    assert texts(done) == ["write list romfs-2.txt", "remove romfs-1.txt"]
    assert done.owned.project == "other"


@given(st.sets(paths, min_size=1), st.data())
def test_a_list_that_was_cut_or_changed_is_none(entries, data):
    text = format_list(entries, 7)
    at = data.draw(st.integers(0, len(text) - 2))
    changed = data.draw(st.sampled_from([text[:at], text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]]))
    lines = changed.decode(errors="replace").removesuffix("\n").split("\n")
    assert parse_list(LISTS[0], lines) is None


HOSTILE = [
    "/etc/passwd",
    "../app.py",
    "a/../b",
    "a//b",
    "",
    ".",
    "a\x1b[2J",
    "a\rb",
    "a\\b",
    "C:x",
    LISTS[0],
    TEMPORARY,
    LISTS[1].upper(),
    TEMPORARY.title(),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_list_with_a_path_outside_of_the_folder_is_refused(path):
    lines = format_list([path, "app.mpy"], 3).decode().removesuffix("\n").split("\n")
    with pytest.raises(BoardError) as caught:
        parse_list(LISTS[0], lines)
    assert "romfs-1.txt on the board: " in caught.value.message
    assert caught.value.message.isprintable()


def test_a_path_has_a_limit():
    assert owned_path_problem("a" * 4096) is None
    assert "more than 4096 bytes" in str(owned_path_problem("ü" * 4096))


def test_the_first_line_says_whose_list_it_is():
    assert format_list([], 1).startswith(f"{MARKER}\n".encode())
