"""Which names are excluded: gitignore patterns match as in pathspec."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from hatch_romfs.settings.patterns import BUILT_IN, compile_exclude, compile_patterns, is_built_in, pattern_problem
from tests.settings.support import patient

# In a .gitignore a "#" at the start is a comment's unless it is escaped; in a list of patterns it is a name's.
JUDGE = GitIgnoreSpec.from_lines(
    pattern.replace("#", "\\#", 1) if pattern[0] == "#" else pattern for pattern in BUILT_IN
)
NAME_PATTERNS = [pattern.rstrip("/") for pattern in BUILT_IN]
PARTS = sorted({part for pattern in NAME_PATTERNS for part in (pattern, pattern.strip("*"), pattern[1:], pattern[:-1])})
# No line break: the regular expressions of pathspec take one at the end of a name for the end.
LETTERS = st.text(st.characters(exclude_characters="/\0\n\\", codec="utf-8"), max_size=4)
NAMES = st.builds(
    lambda parts: "".join(parts).replace("/", ""), st.lists(st.sampled_from(PARTS) | LETTERS, min_size=1, max_size=3)
).filter(lambda name: name not in ("", ".", ".."))


@patient
@given(
    name=NAMES,
    folders=st.lists(NAMES.filter(lambda name: not is_built_in(f"{name}/")), max_size=2),
    end=st.sampled_from(("", "/")),
)
def test_the_built_in_patterns_match_as_in_pathspec(name, folders, end):
    path = "/".join([*folders, name]) + end
    assert is_built_in(path) == JUDGE.match_file(path)


@pytest.mark.parametrize(
    "name",
    [
        ".git/", "a/.git/", ".gitignore", "__pycache__/", "a/b/__pycache__/", "a.pyc", "x.egg-info/", ".venv/", "~",
        "a~", "##", "#a#", ".#a", ".a.swp", ".x.swo", "a.pyo", "Thumbs.db", "a/app.romfs", ".romfs", ".DS_Store",
        ".hypothesis/", ".coverage", ".gitattributes", ".gitmodules", ".hg/", ".svn/", ".tox/", ".nox/", ".mypy_cache/",
        ".pytest_cache/", ".ruff_cache/", "desktop.ini", ".idea/", ".vscode/",
        ".github/", "a-1.0.dist-info/", "._x.py", ".env", ".env.local", ".envrc", ".ipynb_checkpoints/", ".nfs0001",
        "venv/", "a/venv/", ".python-version", "__MACOSX/", ".netrc", ".coverage.host", ".fuse_hidden1", "lost+found/",
    ],
)  # fmt: skip
def test_names_that_are_always_excluded(name):
    assert is_built_in(name)
    assert JUDGE.match_file(name)


@pytest.mark.parametrize(
    "name",
    [
        "git",
        "github/",
        "venv",
        "venv.py",
        "env.py",
        "_x.py",
        ".htpasswd",
        ".ssh/",
        "LICENSE",
        "README.md",
        "#",
        "#a",
        "a#",
        "a.pyc.txt",
        "thumbs.db",
        "romfs",
        "a.romfs2",
    ],
)
def test_what_is_not(name):
    assert not is_built_in(name)
    assert not JUDGE.match_file(name)


def test_every_built_in_pattern_has_its_say():
    for pattern in BUILT_IN:
        name = pattern.replace("*", "x")
        assert is_built_in(name), pattern


@pytest.mark.parametrize(
    ("patterns", "left_out", "taken"),
    [
        ([], ["a.romfs", ".git/"], ["a.py", "dist/"]),
        (["!*.romfs"], [".git/", "a.pyc"], ["a.romfs", "b/c.romfs"]),
        (["!.gitignore"], [".git/"], [".gitignore", "a/.gitignore"]),
        (["*.md", "!README.md"], ["a.md", "a/b.md", "b.pyc"], ["README.md", "a/README.md"]),
        (["!keep.md", "*.md"], ["keep.md"], ["a.py"]),
        (["/a"], ["a", "a/", "a/x"], ["b/a"]),
        (["a/"], ["a/", "b/a/", "a/x"], ["a", "b/a"]),
        (["a/**/z"], ["a/z", "a/b/c/z"], ["z", "b/z"]),
        (["#x"], ["#x", "a/#x"], ["x"]),
        (["\\#x", "\\!y"], ["#x", "!y"], ["x", "y"]),
        (["ü*"], ["ü.txt"], ["u.txt"]),
    ],
)
def test_patterns_after_the_built_in_ones(patterns, left_out, taken):
    match = compile_exclude(patterns)
    assert [path for path in left_out if not match(path)] == []
    assert [path for path in taken if match(path)] == []


def test_later_patterns_outrank_earlier_ones():
    assert not compile_exclude(["*.md", "!x.md"])("x.md")
    assert compile_exclude(["!x.md", "*.md"])("x.md")
    assert compile_patterns(["*.md"])("x.md")


def test_no_patterns_match_nothing():
    match = compile_patterns([])
    assert not match("a")
    assert not match(".git/")


@pytest.mark.parametrize("pattern", ["!", "\\", "a\\", "[z-a]", "#a\\"])
def test_what_is_no_pattern_is_shown_as_it_was_written(pattern):
    assert pattern_problem(pattern) == f"{pattern!r} is not a gitignore pattern"


@pytest.mark.parametrize("pattern", ["", " ", "\t"])
def test_an_empty_pattern(pattern):
    assert pattern_problem(pattern) == "must not be empty"


@pytest.mark.parametrize("pattern", ["a", "!a", "[a-z]", "\\#a", "**/x/", "#a", "[[a]", "[a||b]"])
def test_what_is_a_pattern(pattern):
    # of sets in sets Python's regular expressions warn, which the maker of an image should not see
    assert pattern_problem(pattern) is None
    compile_patterns([pattern])


@given(st.text(max_size=6))
@patient
def test_every_accepted_pattern_can_be_compiled(pattern):
    if pattern_problem(pattern) is None:
        compile_patterns([pattern])("a/b")


WILD = st.text("ab*?/[]!^c", min_size=1, max_size=14) | st.builds(
    "/".join, st.lists(st.sampled_from(["**", "*", "a", "b", "a*b", "*a*", "?"]), min_size=1, max_size=6)
)
PATHS = st.builds("/".join, st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6))


@patient
@given(pattern=WILD, path=PATHS, end=st.sampled_from(("", "/")))
def test_wildcards_match_as_in_pathspec(pattern, path, end):
    if pattern_problem(pattern) is None:
        assert compile_patterns([pattern])(path + end) == GitIgnoreSpec.from_lines([pattern]).match_file(path + end)


SLOW = {
    "stars in a name": ("a*" * 30 + "b", "a" * 200),
    "stars in a folder": ("a*" * 30 + "b/**/c", "a" * 200 + "/c"),
    "any folders": ("a/**/" * 12 + "b", "/".join("a" * 200)),
    "any folders at the start": ("**/" + "a/**/" * 12 + "b", "/".join("a" * 200)),
}


@pytest.mark.parametrize("case", SLOW)
def test_no_pattern_takes_a_time_that_grows_with_its_wildcards(case):
    pattern, path = SLOW[case]
    # A match that tries every combination would not end within a day.
    command = [sys.executable, "-c", MATCH, pattern, path]
    assert subprocess.run(command, timeout=30, check=True, capture_output=True, text=True).stdout == "False\n"


MATCH = """
import sys
from hatch_romfs.settings.patterns import compile_patterns
print(compile_patterns([sys.argv[1]])(sys.argv[2]))
"""
