"""What an edit of a real module costs with each layout, in blocks and bytes that the planner writes."""

import pytest

from benchmarks.layout import Corpus, corpora, measure


@pytest.fixture(scope="module")
def small() -> list[Corpus]:
    return corpora(modules=75, few=12, data=100_000)


def test_with_a_stable_layout_an_edit_writes_few_blocks(small):
    many, few = (measure(corpus, "stable") for corpus in small)
    assert many.blocks < 0.1
    assert few.blocks < 0.08
    assert max(many.written, few.written) < 0.1
    assert many.growth < 0.08
    assert few.growth < 0.04


def test_with_the_default_layout_an_edit_writes_less_than_half_of_the_blocks(small):
    for corpus in small:
        cost = measure(corpus, "compact")
        assert cost.blocks < 0.35
        assert cost.growth < 0.01
        assert measure(corpus, "no metadata").blocks > 0.7
