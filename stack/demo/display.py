"""The terminal: lines that are rewritten in place, or plain lines where there is no terminal."""

import shutil
import sys
import time
from typing import TextIO

_PLAIN_SECONDS = 15.0


class Display:
    """A block of status lines under a growing text.

    On a terminal the block stays at the bottom and is redrawn. Elsewhere (a pipe, a CI log) a status line is printed
    when its stage changes, and every 15 seconds while it does not.
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._drawn = 0
        self._lines: list[str] = []
        self._printed: dict[str, tuple[str, float]] = {}
        self._began = time.monotonic()

    def say(self, text: str = "") -> None:
        """Print text above the block."""
        self._erase()
        for line in text.split("\n"):
            self._stream.write(f"{line}\n")
        self._draw()

    def headline(self, text: str) -> None:
        """Begin a part of the demo, with the seconds since the start."""
        self.say(f"\n[{time.monotonic() - self._began:5.1f} s] {text}")

    def status(self, rows: dict[str, tuple[str, str]]) -> None:
        """Show one line per name: (stage, detail)."""
        if self._live:
            self._erase()
            width = shutil.get_terminal_size().columns - 1
            self._lines = [f"  {name:31}{stage:27}{detail}"[:width] for name, (stage, detail) in rows.items()]
            self._draw()
            return
        now = time.monotonic()
        for name, (stage, detail) in rows.items():
            last, at = self._printed.get(name, ("", 0.0))
            if stage != last or (stage != "done" and now - at > _PLAIN_SECONDS):
                self._printed[name] = (stage, now)
                self._stream.write(
                    f"  {now - self._began:6.1f} s  {name:31}{stage:27}{detail}".rstrip() + "\n"
                )
        self._stream.flush()

    def keep(self) -> None:
        """Leave the block as it is and write below it from now on."""
        self._lines, self._drawn = [], 0
        self._printed.clear()

    def ask(self, question: str) -> bool:
        """Ask for yes or no; no answer means no."""
        self._erase()
        try:
            answer = input(f"{question} [y/N] ")
        except EOFError:
            answer = ""
        self._draw()
        return answer.strip().lower() in ("y", "yes")

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if self._live:
            self._stream.writelines(f"{line}\n" for line in self._lines)
            self._drawn = len(self._lines)
        self._stream.flush()


def grid(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Rows under a header, the first column left, the others right aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, *rows):
        first, *others = zip(row, widths, strict=True)
        lines.append("  ".join([f"  {first[0]:{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]))
    return "\n".join([lines[0], "  " + "-" * (len(lines[0]) - 2), *lines[1:]])
