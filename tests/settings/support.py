"""A table, read like that of a project."""

from pathlib import Path

import hypothesis
import pytest

from hatch_romfs.errors import SettingsError
from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.project import Project, read_project

patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
"""For a property: a busy machine is no failure."""

ROOT = Path("where the project is")
HINT = "Fix {}. `romfs-image settings` describes every key."
HINT_FOR_A_KEY = "Fix {}. `romfs-image settings {}` describes this key."


def project_of(table: object, **metadata: object) -> Project:
    return read_project(ROOT, {"project": {"name": "app"} | metadata, "tool": {"romfs": table}})


def settings_of(table: dict[str, object]) -> Settings:
    return project_of(table).images[""]


def problems_of(table: object, **metadata: object) -> list[str]:
    """Return the problems of a table that is wrong, having seen that the message loses none of them."""
    with pytest.raises(SettingsError) as caught:
        project_of(table, **metadata)
    found = [str(problem) for problem in caught.value.problems]
    assert caught.value.message == "\n".join(found)
    assert str(caught.value) == f"{caught.value.message}\n{caught.value.hint}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"Fix {ROOT / 'pyproject.toml'}. `romfs-image settings")
    assert caught.value.status == 2
    return found
