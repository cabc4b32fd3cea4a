"""Values of a column as Arrow arrays, and questions about all of them at once; None stands for NULL and fits everything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import compress
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Values: TypeAlias = "Sequence[Any] | pa.Array[Any]"
"""Values of a column: Python's, or an Arrow array of the same."""


def as_array(values: Values, kind: pa.DataType) -> pa.Array[Any]:
    """The values as an Arrow array of a type; a value that the type does not hold is an error of Arrow's."""
    if not isinstance(values, pa.Array):
        return pa.array(values, kind)
    return values if values.type == kind else values.cast(kind)


def as_list(values: Values) -> Sequence[Any]:
    """The values as Python's."""
    return values.to_pylist() if isinstance(values, pa.Array) else values


def joined(parts: Sequence[Values]) -> Values:
    """Values of several parts one behind the other; as an array if one of them is, and its type holds all."""
    arrays = [part for part in parts if isinstance(part, pa.Array)]
    if arrays:
        with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
            return pa.concat_arrays([as_array(part, arrays[0].type) for part in parts])
    return [value for part in parts for value in as_list(part)]


def kept(values: Values, which: Sequence[bool]) -> Values:
    """Those of the values that are marked."""
    if isinstance(values, pa.Array):
        return values.filter(pa.array(which, pa.bool_()))
    return list(compress(values, which))


def numbers_within(numbers: pa.Array[Any], first: int, last: int) -> bool:
    """Whether all numbers of an array lie in a range, both ends included."""
    least, most = (end.as_py() for end in pc.min_max(numbers).values())
    return least is None or (first <= least and most <= last)


def within(values: Values, first: int, last: int) -> bool:
    """Whether all whole numbers (of 64 bits, else an error of Arrow's) lie in a range, both ends included."""
    return numbers_within(as_array(values, pa.int64()), first, last)


def texts_matching(texts: pa.Array[Any], pattern: str) -> bool:
    """Whether all texts of an array match a regular expression of RE2."""
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def matching(values: Values, pattern: str) -> bool:
    """Whether all texts match a regular expression of RE2."""
    return texts_matching(as_array(values, pa.string()), pattern)
