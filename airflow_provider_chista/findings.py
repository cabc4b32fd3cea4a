"""What a preflight check found, and what the user can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How far a finding reaches."""

    ERROR = "error"
    """The table cannot be archived."""
    PURGE = "purge"
    """The table can be archived, but nothing may be deleted at the source."""
    WARNING = "warning"
    """Everything works; something can be slow, or fail loudly, later."""
    INFO = "info"
    """Nothing to do: something the reader of a report should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one check.

    :param check: short name of the check, such as ``binlog_format`` or ``foreign key``.
    :param severity: a :class:`Severity`; it compares equal to its text, such as ``"error"``.
    :param subject: what was checked: a server, a table, or an object such as ``hr.titles(titles_fk) -> hr.employees``.
    :param found: what was found there.
    :param remedy: what mends it, wherever possible as SQL or configuration lines that can be pasted; empty for ``info``.
    """

    check: str
    severity: Severity
    subject: str
    found: str
    remedy: str

    def __str__(self) -> str:
        remedy = f" Remedy: {self.remedy}" if self.remedy else ""
        return f"[{self.severity}] {self.check}: {self.subject}: {self.found}.{remedy}"
