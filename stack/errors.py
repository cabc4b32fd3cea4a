"""What can go wrong while the stack is prepared, started or stopped."""


class StackError(Exception):
    """A failure that the user can act on: the message names what was found, where, and what to do about it."""
