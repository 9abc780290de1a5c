"""MicroPython's ``manifest.py`` files and mip packages: evaluated safely, resolved and locked."""
