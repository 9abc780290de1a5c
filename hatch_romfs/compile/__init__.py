"""A tree with ``.py`` files to a tree with ``.mpy`` files."""
