"""What can go wrong while the stack is prepared, started or stopped."""


class StackError(Exception):
    """A failure that the user can act on: the message names what was found, where, and what to do about it."""

    def reason(self) -> str:
        """The one line that says most: what a program that failed printed first, else the message's first line."""
        lines = str(self).splitlines() or [""]
        return lines[min(1, len(lines) - 1)].strip()
