"""What a board says about its filesystem is checked before anything is made of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs.board.filesystem.compare import find_matching
from hatch_romfs.board.filesystem.owned import LISTS, NO_LIST, TEMPORARY, OwnedList
from hatch_romfs.board.filesystem.plan import find_shortage, make_plan
from hatch_romfs.board.filesystem.survey import FOLDER, Survey, Surveyor
from hatch_romfs.board.frame import check_sum
from hatch_romfs.board.probe import Board
from hatch_romfs.errors import LinkError, RomfsError
from tests.trees import file

OWN = [f"- 0 {name}" for name in (*LISTS, TEMPORARY.upper(), TEMPORARY)]
SPACE = "d 512 256 200 /"


class Repl:
    """A raw REPL that answers what a test says, signed or not."""

    link = type("Link", (), {"name": "/dev/board", "seconds_for": staticmethod(lambda _size: 0.0)})

    def __init__(self, *answers, signed=True):
        self.answers, self.signed = list(answers), signed
        self.asked = []

    def run_again(self, code, timeout=10.0, *, most=1 << 16):
        assert timeout < 1000
        self.asked.append(code)
        if re.match("import|def|try|[a-z]+ = ", code):  # the agent
            return ""
        lines = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        total = f"sum {check_sum(''.join(lines).encode(errors='replace'))}"
        text = "".join(f"{line}\n" for line in ([*lines, total] if self.signed else lines))
        assert len(text) <= most
        return text


PLAIN = Board(
    machine="a board",
    version="1.27.0",
    platform="rp2",
    mpy=0,
    free=100_000,
    sha256=True,
    crc32=True,
    deflate=False,  # questions are as they are
    base64=False,
    fromhex=True,
    stream=True,
    partitions=None,
)


def survey_of(*answers, paths=(), signed=True):
    return Surveyor(Repl(*answers, signed=signed), PLAIN, "").survey(paths)


def test_a_board_without_files_of_ours():
    found = survey_of([SPACE, *OWN], ["d 0 lib", "7 1 lib/a.mpy", "- 0 b.py"], paths=["lib", "lib/a.mpy", "b.py"])
    assert (found.folder, found.exists, found.block, found.blocks, found.free) == ("/", True, 512, 256, 200)
    assert found.owned == NO_LIST
    assert {path: found.states[path] for path in ("lib", "lib/a.mpy", "b.py")} == {
        "lib": FOLDER,
        "lib/a.mpy": 7,
        "b.py": None,
    }
    assert found.hidden == {"lib/a.mpy"}


@pytest.mark.parametrize(
    "answers",
    [
        [[]],
        [[""]],
        [["Traceback"]],
        [["d 512 256 /"]],
        [["d 512 256 200 relative/"]],
        [["d 512 256 200 /a"]],
        [["d -1 256 200 /"]],
        [["d 512 256 99999999999 /"]],
        [[SPACE]],
        [[SPACE, *OWN[1:]]],
        [[SPACE, *OWN, "x"]],
        [[SPACE, *OWN], []],
        [[SPACE, *OWN], ["7 0 other"]],
        [[SPACE, *OWN], ["-7 0 a"]],
        [[SPACE, *OWN], ["7 a"]],
        [[SPACE, *OWN], ["7 2 a"]],
    ],
)
def test_an_answer_that_is_none_is_one_clear_error(answers):
    with pytest.raises(LinkError) as caught:
        survey_of(*answers, paths=["a"])
    assert caught.value.message.startswith("/dev/board: the board's description of its filesystem cannot be understood")
    assert len(caught.value.message) < 500


def test_an_answer_without_its_check_sum_is_asked_for_again_a_few_times():
    repl = Repl([SPACE, *OWN], signed=False)
    with pytest.raises(LinkError, match="cannot be understood"):
        Surveyor(repl, PLAIN, "").survey(())
    assert sum(code.startswith("begin(") for code in repl.asked) == 3


lines = st.lists(
    st.one_of(
        st.sampled_from([SPACE, "- 512 1 1 /a/", "9 1 1 1 /", *OWN, "7 0 a", "d 0 a", "?5 0 a", "0 1 romfs-1.txt"]),
        st.text(max_size=30).filter(lambda text: not set(text) & {"\n", "\r"}),
    ),
    max_size=8,
)


@given(st.lists(lines, min_size=1, max_size=4))
def test_whatever_a_board_answers_is_a_survey_or_an_error_of_ours(answers):
    try:
        found = survey_of(*answers, paths=["a"])
    except RomfsError as error:
        assert len(error.message) < 1500  # noqa: PT017 - most answers are errors
        return
    assert isinstance(found, Survey)
    try:
        plan = make_plan({"a": 7}, found, ())
    except RomfsError:
        return
    assert find_shortage(plan, found) >= 0


def test_files_of_the_list_are_asked_for_by_number_and_others_by_name():
    owned = OwnedList(LISTS[0], 1, tuple(f"{number}" for number in range(9)))
    repl = Repl(["=aa", "!5", "=cc", "=dd"], ["=ee"], signed=False)
    found = Surveyor(repl, PLAIN, "").hashes(owned, ["1", "7", "2", "3", "x"], 100)
    assert found == {"1": "aa", "2": None, "3": "cc", "7": "dd", "x": "ee"}
    assert repl.asked == ["sums('sha256',listed('romfs-1.txt',((2, 4), (8, 8))))", "sums('sha256',('x',))"]


def test_a_wrong_number_of_hashes_is_an_error():
    surveyor = Surveyor(Repl(["=aa", "=bb"], signed=False), PLAIN, "")
    with pytest.raises(LinkError, match="cannot be understood"):
        find_matching(surveyor, NO_LIST, ["a"], {"a": file(b"1")}, "sha256")
