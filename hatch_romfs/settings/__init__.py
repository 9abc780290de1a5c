"""``[tool.romfs]``: what it can say (``model``), reading it (``project``), its schema and its reference page."""
