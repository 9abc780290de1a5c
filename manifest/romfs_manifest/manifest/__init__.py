"""Evaluate a ``manifest.py`` without running it."""
