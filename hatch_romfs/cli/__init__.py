"""The commands: the only rooms that print, and that end the process."""
