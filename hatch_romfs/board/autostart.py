"""The ``main.py`` that imports a module of the image after each reset, in the board's writable filesystem.

A file that was not written here is never replaced: the first line of those that were says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.mperrno import describe
from hatch_romfs.errors import BoardError, LinkError

if TYPE_CHECKING:
    from hatch_romfs.board.repl import RawRepl

MARKER: Final = "# romfs-flash --autostart"
"""How the first line begins."""
LONGEST: Final = 400
"""Bytes of a ``main.py`` that are looked at."""
TEMPORARY: Final = "main.py.romfs-flash"
"""The name while the file is being written. A cut leaves it there, and the next run replaces it."""

# Names are relative: MicroPython runs main.py from the working folder, which is /flash or /sd on some boards.
_READ: Final = f"""\
def r():
 try:f=open('main.py','rb')
 except OSError as e:
  print('none'if e.errno==2 else'error %d'%(e.errno or 0))
  return
 d=f.read({LONGEST})
 f.close()
 print('file',''.join('%02x'%x for x in d))
r()
del r
"""
_WRITE: Final = f"""\
def w(d):
 import os
 n='{TEMPORARY}'
 try:
  f=open(n,'wb')
  try:
   if f.write(d)!=len(d):raise OSError(28)
  finally:f.close()
  f=open(n,'rb')
  s=f.read()==d
  f.close()
  if not s:raise OSError(5)
  os.rename(n,'main.py')
  if hasattr(os,'sync'):os.sync()
  print('done')
 except OSError as e:
  print('error %d'%(e.errno or 0))
  try:os.remove(n)
  except OSError:pass
w(CONTENT)
del w
"""


@dataclass(frozen=True, slots=True)
class MainFile:
    """A board's ``main.py``: the ``module`` that it imports if it was written here, None if it is the user's own."""

    module: str | None = None


def content(module: str) -> bytes:
    """Return the ``main.py`` that imports a module."""
    return f"{MARKER} wrote this file and replaces it as long as it begins with these words\nimport {module}\n".encode()


def read_main(repl: RawRepl) -> MainFile | None:
    """Return what ``main.py`` the working folder has, None for none; raises LinkError."""
    kind, _, value = repl.run_again(_READ, most=4 * LONGEST).strip().partition(" ")
    if kind == "none":
        return None
    data = bytes.fromhex(value) if kind == "file" and re.fullmatch("([0-9a-f]{2})*", value) else b""
    text = data.decode("ascii", "replace").replace("\r\n", "\n")
    written = re.fullmatch(rf"{re.escape(MARKER)}[^\n]*\nimport ([A-Za-z_][\w.]*)\n", text, re.ASCII)
    return MainFile(written[1] if written else None)


def write_main(repl: RawRepl, module: str) -> bool:
    """Have a module imported after each reset, and return whether the file changed.

    The board must have its usual working folder, as after a reset. Raises BoardError for a ``main.py`` of the user's
    own and for a filesystem that cannot be written, and LinkError.
    """
    found = read_main(repl)
    if found == MainFile(module):
        return False
    if found is not None and found.module is None:
        raise BoardError(
            "--autostart: the board has a main.py that --autostart did not write; it is unchanged",
            hint=f"Add 'import {module}' to it, or rename it on the board and run the same command again.",
        )
    answer = repl.run(_WRITE.replace("CONTENT", repr(content(module)))).strip()
    if answer == "done":
        return True
    kind, _, number = answer.partition(" ")
    if kind != "error" or not re.fullmatch("[0-9]{1,5}", number):
        raise LinkError(f"--autostart: the board answered {answer[:200]!r}", hint="Run the same command again.")
    raise BoardError(
        f"--autostart: the board's filesystem cannot take main.py: {describe(int(number))}",
        hint="It may be read-only, full, or missing. The image itself is written.",
    )
