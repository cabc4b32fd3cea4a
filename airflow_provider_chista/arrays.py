"""Questions about all values of a column at once, answered by Arrow; None stands for NULL and fits everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def numbers_within(numbers: pa.Array[Any], first: int, last: int) -> bool:
    """Whether all numbers of an array lie in a range, both ends included."""
    least, most = (end.as_py() for end in pc.min_max(numbers).values())
    return least is None or (first <= least and most <= last)


def within(values: Sequence[Any], first: int, last: int) -> bool:
    """Whether all whole numbers (of 64 bits, else an error of Arrow's) lie in a range, both ends included."""
    return numbers_within(pa.array(values, pa.int64()), first, last)


def texts_matching(texts: pa.Array[Any], pattern: str) -> bool:
    """Whether all texts of an array match a regular expression of RE2."""
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def matching(values: Sequence[Any], pattern: str) -> bool:
    """Whether all texts match a regular expression of RE2."""
    return texts_matching(pa.array(values, pa.string()), pattern)
