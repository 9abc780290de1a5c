"""Shell patterns match what the real ``fnmatch`` of glibc matches in the C locale, which is where genromfs runs."""

import ctypes
import locale
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs.cli.genromfs import make_matcher
from hatch_romfs.cli.shell_pattern import compile_pattern

PATHNAME_PERIOD = 5
BRACKETS = [
    "[a-c]", "[!a]", "[^a]", "[]a]", "[!]]", "[.a]", "[!.]", "[a/]", "[!/]", "[a-]", "[-a]", "[c-a]", "[a\\-]", "[\\]]",
    "[a-cx-z]", "[[:alpha:]]", "[![:digit:]1]", "[[:upper:]-z]", "[[:foo:]]", "[a[:foo:]]", "[![:foo:]]", "[[.a.]]",
    "[[.a.]-c]", "[[.ab.]]", "[[=a=]]", "[[]", "[[:]", "[é]", "[!é]",
]  # fmt: skip
ATOMS = [*BRACKETS, *"**??aabc./\\-]é1", "\\*", "\\[", "\\.", "\\a"]
PATTERNS = st.lists(st.sampled_from(ATOMS), max_size=7).map("".join)
TEXTS = st.text("aabc..//[]-\\é1X", max_size=8)


@pytest.fixture(scope="module")
def fnmatch():
    """The function of the C library, in the C locale."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("only glibc is what genromfs was linked with")
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    library = ctypes.CDLL(None)
    yield lambda pattern, text: library.fnmatch(pattern, text, PATHNAME_PERIOD) == 0
    locale.setlocale(locale.LC_ALL, before)


@given(PATTERNS, TEXTS)
def test_the_same_as_the_c_library(fnmatch, pattern, text):
    for one in (text, pattern, pattern.replace("*", "").replace("?", "a")):
        assert compile_pattern(pattern.encode())(one.encode()) == fnmatch(pattern.encode(), one.encode())


@given(st.sampled_from(["[", "a[", "*[", "[a", "[!", "[]", "[!]", "[[:alpha:", "[^", "[a/b"]), TEXTS)
def test_a_bracket_without_an_end_is_a_character(fnmatch, pattern, text):
    for one in (text, pattern, pattern.replace("*", text)):
        assert compile_pattern(pattern.encode())(one.encode()) == fnmatch(pattern.encode(), one.encode())


@pytest.mark.parametrize("pattern", [b"a\\", b"[a-", b"[a\\", b"[\\"])
def test_a_pattern_that_ends_too_early_matches_nothing(fnmatch, pattern):
    for text in (b"", b"a", b"[a", b"a\\", pattern):
        assert not fnmatch(pattern, text)
        assert not compile_pattern(pattern)(text)


def test_a_character_is_a_byte():
    assert not make_matcher("?")("é")
    assert make_matcher("??")("é")
    assert make_matcher("[!a]?")("é")
    assert not make_matcher("[é]")("é")
    assert make_matcher("\udcff*")("\udcffname")


def test_many_stars_take_few_steps():
    """Python's own fnmatch would try each way to divide the name among the stars."""
    steps = 0

    class Text(bytes):
        def __getitem__(self, at):
            nonlocal steps
            steps += 1
            return super().__getitem__(at)

    assert not compile_pattern(b"*a" * 30 + b"b")(Text(b"a" * 200))
    assert steps < 100_000
