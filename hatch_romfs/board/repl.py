"""MicroPython's raw REPL, which runs code and returns what it prints.

``Ctrl-A`` enters it, code ends with ``Ctrl-D``, and the answer is ``OK``, the output, ``Ctrl-D``, the error,
``Ctrl-D`` and a prompt. Raw-paste mode, from MicroPython 1.14 on, adds flow control to the code's way up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hatch_romfs.errors import BoardError, LinkError, LostLinkError

if TYPE_CHECKING:
    from hatch_romfs.board.link import Link

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
PROMPT = b"\r\n>>> "
ENTER_TIMEOUT = 15.0
"""Seconds for getting a prompt out of whatever runs on the board."""
BOOT_TIMEOUT = 15.0
"""Seconds that a ``boot.py`` may take before it is interrupted."""
ANSWER_TIMEOUT = 10.0
"""Seconds for an answer that needs no work."""
PASTE_TIMEOUT = 3.0
"""Seconds for an answer of raw-paste mode: the board compiles what it has, and may collect garbage."""
REOPEN_TIMEOUT = 20.0
"""Seconds in which a port that went away in a reset must be back."""
SHORT_BOOT = 0.5
"""Seconds in which a board that runs no ``boot.py``, or a short one, has its prompt again."""
INTERRUPTS = 0.1
"""Seconds between two interrupts of a ``boot.py`` that shall not run."""
QUIET = 0.1
"""Seconds of silence after which a program that was interrupted counts as over."""
PATIENCE = 0.5
"""Seconds for the first banner, doubled for each further try: a board that just starts has not seen the interrupt."""
MOST = 1 << 16
"""Bytes that an answer has at most, where nothing else is said."""


class RaisedError(BoardError):
    """Code raised on the board; ``traceback`` is what the board printed of it, ``last`` its last line."""

    def __init__(self, traceback: str) -> None:
        self.last = traceback.strip().rpartition("\n")[2]
        super().__init__(
            f"the board raised {self.last or 'an error'}",
            hint=[f"  {line}" for line in traceback.strip().splitlines()] or None,
        )
        self.traceback = traceback


def restart_error(port: str) -> LinkError:
    """Return the error of a board that restarted, and has lost the code that was sent to it."""
    return LinkError(
        f"{port}: the board restarted in the middle of the work",
        hint="Does a watchdog run on it? Run the same command again: what is already right is not sent again.",
    )


class RawRepl:
    """The raw REPL at the other end of a link."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._raw_paste = True
        self._doubts = 0

    def enter(self, timeout: float = ENTER_TIMEOUT) -> None:
        """Interrupt what runs and get a prompt, trying again until ``timeout``; raises LinkError."""
        deadline = time.monotonic() + timeout
        patience = PATIENCE
        while True:
            self.link.write(b"\r\x03\x03")
            self.link.drain(quiet=QUIET, timeout=0.5, ending=PROMPT)
            self.link.write(b"\r\x01")
            try:
                self.link.read_until(BANNER, timeout=patience)
            except LostLinkError:
                raise
            except LinkError as error:
                patience = min(2 * patience, 4.0)
                if time.monotonic() > deadline:
                    raise LinkError(
                        f"{self.link.name}: could not enter the raw REPL: {error.message}",
                        hint="Is it a MicroPython board, and does no other program use the port?"
                        " Reset the board and try again.",
                    ) from error
            else:
                if patience > PATIENCE:  # the banner may be the answer to an earlier try, with more behind it
                    self.link.drain(quiet=QUIET, timeout=0.5)
                return

    def leave(self) -> None:
        """Go back to the friendly REPL."""
        self.link.write(b"\r\x02")

    def run(self, code: str, timeout: float = ANSWER_TIMEOUT, *, most: int = MOST) -> str:
        """Run code and return what it printed.

        Raises RaisedError, and LinkError after ``timeout`` seconds or ``most`` bytes.
        """
        self.send(code)
        return self.finish(timeout, most=most)

    def run_again(self, code: str, timeout: float = ANSWER_TIMEOUT, *, most: int = MOST) -> str:
        """Run code that may run twice without harm: once more where the line damaged it or its answer."""
        try:
            return self.run(code, timeout, most=most)
        except LostLinkError:
            raise
        except RaisedError as error:
            if "MemoryError" in error.last and "locked" not in error.last:  # an interrupt can leave the heap locked
                raise
            self.enter()
        except LinkError:
            self.enter()
        try:
            return self.run(code, timeout, most=most)
        except RaisedError as error:
            if error.last.startswith("NameError"):  # what was sent before is gone
                raise restart_error(self.link.name) from error
            raise

    def send(self, code: str) -> None:
        """Have code run, without waiting for its end."""
        data = code.encode()
        if self._raw_paste:
            self.link.write(b"\x05A\x01")
            answer = self.link.read(2, PASTE_TIMEOUT)
            if answer == b"R\x01":
                self._paste(data)
                return
            if answer != b"R\x00":  # damaged, or firmware before 1.14, which took it for code
                self.enter()
                self._doubts += 1
                if self._doubts == 1:
                    self.send(code)
                    return
            self._raw_paste = False
        for start in range(0, len(data), 256):
            self.link.write(data[start : start + 256])
            time.sleep(0.01)
        self.link.write(b"\x04")
        answer = self.link.read(2, ANSWER_TIMEOUT)
        if answer != b"OK":
            raise LinkError(f"{self.link.name}: the raw REPL answered {answer!r}")

    def finish(self, timeout: float, *, most: int = MOST) -> str:
        """Wait for the end of the code that was sent, and return what it printed since."""
        output = self.link.read_until(b"\x04", timeout, most=most)[:-1]
        error = self.link.read_until(b"\x04", ANSWER_TIMEOUT)[:-1]
        self.link.read_until(b">", ANSWER_TIMEOUT)
        if error:
            raise RaisedError(error.decode(errors="replace"))
        return output.decode(errors="replace")

    def soft_reset(self, *, boot: bool, patience: float = 0.0) -> None:
        """Restart MicroPython, which unmounts everything, and get a prompt again.

        With ``boot``, its ``boot.py`` may run until BOOT_TIMEOUT; otherwise it is interrupted after ``patience``
        seconds.
        """
        self.link.write(b"\x04")
        try:
            self.link.read_until(b"soft reboot\r\n", ANSWER_TIMEOUT)
            if boot:
                self.link.read_until(BANNER, BOOT_TIMEOUT)
            else:
                self._interrupt_boot(patience)
        except LostLinkError:  # USB goes away in a reset of some boards, and comes back
            self.link.reopen(REOPEN_TIMEOUT)
            self.enter()
        except LinkError:  # a boot.py that goes on
            self.enter()

    def _interrupt_boot(self, patience: float) -> None:
        deadline = time.monotonic() + ENTER_TIMEOUT
        if patience:
            try:
                self.link.read_until(BANNER, patience)
            except LostLinkError:
                raise
            except LinkError:
                pass
            else:
                return
        while True:
            self.link.write(b"\x03")
            try:
                self.link.read_until(BANNER, INTERRUPTS)
            except LostLinkError:
                raise
            except LinkError:
                if time.monotonic() > deadline:
                    raise
            else:
                # The raw REPL answers an interrupt at its prompt with nothing; a late one does no harm.
                return

    def _paste(self, data: bytes) -> None:
        window = left = int.from_bytes(self.link.read(2, PASTE_TIMEOUT), "little")
        if not window:
            raise LinkError(f"{self.link.name}: raw-paste mode offered no room for code")
        at = 0
        while at < len(data):
            if not left:
                sign = self.link.read(1, PASTE_TIMEOUT)
                if sign == b"\x04":  # the board wants no more: a mistake in the code, or no memory for it
                    self.link.write(b"\x04")
                    return
                if sign != b"\x01":
                    raise LinkError(f"{self.link.name}: raw-paste mode answered {sign!r}")
                left = window
                continue
            piece = data[at : at + left]
            self.link.write(piece)
            at += len(piece)
            left -= len(piece)
        self.link.write(b"\x04")
        self.link.read_until(b"\x04", PASTE_TIMEOUT)
