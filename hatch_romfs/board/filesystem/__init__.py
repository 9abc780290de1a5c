"""A tree of files in a board's writable filesystem, for boards whose firmware has no ROMFS.

Data flows through the modules in this order: ``owned`` (the list on the board that says which files are ours),
``wanted`` (what should be there), ``survey`` (what is there), ``compare`` (what is right already), ``plan`` (what to
do), ``records`` and ``writer`` (doing it), ``deploy`` (all of it).
"""
