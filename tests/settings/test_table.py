"""Models: typed, frozen, and without unknown names."""

import pytest

from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.subtables import Source
from hatch_romfs.settings.table import Model, key
from hatch_romfs.settings.types import Int, Text


class WrongTypes(Model):
    """Each annotation is wrong, which mypy has to report: an ignore that is not needed is an error too."""

    required: int = key(Text("a name"), "A text.")  # type: ignore[assignment]
    number: str = key(Int(0, 3), "A number.", default=0)  # type: ignore[assignment]
    optional: int = key(Int(0, 3), "A number, or None.", default=None)  # type: ignore[assignment]


def test_a_model_is_frozen():
    settings = Settings()
    with pytest.raises(AttributeError, match="Settings is frozen: size cannot be set"):
        settings.size = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del settings.size
    assert settings == Settings()


def test_a_model_refuses_unknown_names():
    with pytest.raises(TypeError, match="Settings has no sise"):
        Settings(sise=3)  # type: ignore[call-arg]


def test_a_model_needs_its_required_keys():
    with pytest.raises(TypeError, match="Source needs path"):
        Source(to="x")  # type: ignore[call-arg]


def test_models_are_equal_if_their_values_are():
    assert Settings(size=3) == Settings(size=3)
    assert Settings(size=3) != Settings(size=4)
    assert Settings() != Source("x")
    assert repr(Source("x")) == "Source(path='x', to='', include=(), exclude=(), image=None)"
