"""Suggestions for words that are not known."""

import pytest

from romfs_manifest.shared.suggest import closest


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("fam", ["ram", "family"], "family"),  # the beginning of a word outranks similar ones
        ("prt", ["port", "root"], "port"),
        ("--ver", ["--version", "--verify"], "--verify"),  # more than one begins with it
        ("--v", ["--version", "x"], None),
        ("", ["port"], None),
        ("zzz", ["port"], None),
        ("--algin", ["--align", "--emit"], "--align"),
        ("--base", ["--verbose"], None),  # dashes make no two options similar
        ("--sbom", ["--symbol"], None),
    ],
)
def test_the_closest_word(word, known, expected):
    assert closest(word, known) == expected
