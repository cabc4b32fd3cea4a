"""What refuses decoded values that a ClickHouse type cannot hold: one by one with the reason, or a whole column at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_chista.arrays import Values, as_array, matching, within
from airflow_provider_chista.temporal import timestamp_text


class Guard(Protocol):
    """The two questions of a guard."""

    def __call__(self, value: Any, /) -> object:
        """Raise :class:`ValueError` for a value that the type cannot hold."""

    def holds(self, values: Values, /) -> bool:
        """Whether the type surely holds all of the values, of which some may be None."""


@dataclass(frozen=True, slots=True)
class Between:
    """Guard of a range, both ends included.

    :param shown: text of a value, and :param ddl: the type, both for the message.
    """

    first: int
    last: int
    shown: Callable[[int], str]
    ddl: str

    def __call__(self, value: int) -> None:
        """Raise :class:`ValueError` for a value outside."""
        if not self.first <= value <= self.last:
            first, last = self.shown(self.first), self.shown(self.last)
            raise ValueError(
                f"{self.shown(value)} is outside {first} to {last}, which {self.ddl} holds; "
                "choose String as the column's type"
            )

    def holds(self, values: Values) -> bool:
        """Whether all values lie in the range."""
        return within(values, self.first, self.last)


@dataclass(frozen=True, slots=True)
class Digits:
    """Guard of a decimal's digits: so many before the point at most, and exactly so many behind it."""

    before: int
    behind: int
    _pattern: str = field(init=False)
    _compiled: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = rf"-?0*[0-9]{{0,{self.before}}}" + (rf"\.[0-9]{{{self.behind}}}" if self.behind else "")
        object.__setattr__(self, "_pattern", f"^{pattern}$")
        object.__setattr__(self, "_compiled", re.compile(pattern))

    def __call__(self, value: str) -> None:
        """Raise :class:`ValueError` for a number with others."""
        if not self._compiled.fullmatch(value):
            raise ValueError(
                f"{value[:100]} is not a number of {self.before} digits before the point and exactly {self.behind} "
                "behind it; choose String as the column's type"
            )

    def holds(self, values: Values) -> bool:
        """Whether all numbers have such digits."""
        return matching(values, self._pattern)


@dataclass(frozen=True, slots=True)
class Fraction:
    """Guard of timestamps whose type has fewer than six digits of a second."""

    between: Between
    precision: int

    def __call__(self, value: int) -> None:
        """Raise :class:`ValueError` for a timestamp outside of the range, or with more digits."""
        self.between(value)
        if value % self._step:
            raise ValueError(
                f"{timestamp_text(value)} has more digits of a second than {self.between.ddl} holds"
            )

    @property
    def _step(self) -> int:
        return int(10 ** (6 - self.precision))

    def holds(self, values: Values) -> bool:
        """Whether all timestamps lie in the range and have no more digits."""
        if not self.between.holds(values):
            return False
        numbers = as_array(values, pa.int64())
        whole = pc.multiply(pc.divide(numbers, self._step), self._step)
        return pc.all(pc.equal(whole, numbers)).as_py() is not False
