"""The model as a JSON schema, for editors and ``validate-pyproject``."""

from __future__ import annotations

from typing import Any

from hatch_romfs.settings.model import Settings
from hatch_romfs.settings.table import Table


def tool_schema(_tool_name: str = "romfs") -> dict[str, Any]:
    """Return the JSON schema (draft 7) of ``[tool.romfs]``; ``validate-pyproject`` calls this."""
    heading = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:hatch-romfs:tool.romfs",
        "title": "hatch-romfs",
        "description": "The table [tool.romfs]: what goes into a ROMFS image, and how it is built.",
    }
    return heading | Table(Settings).schema()
