"""What runs in MicroPython, not here."""
