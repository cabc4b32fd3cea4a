"""String literals of MySQL and MariaDB (MySQL Reference Manual, "String Literals")."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANS = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


def unescaped(text: str) -> str:
    """The text that the inside of a literal stands for; a backslash before any other character goes away."""
    return _ESCAPE.sub(lambda match: _MEANS.get(match[1], match[1]), text)
