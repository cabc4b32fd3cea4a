"""What a user asks to be compared: a whole window, whose result is a proof, or a part of it, which is a check."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_chista.archive.check import CheckOptions, Mode
from airflow_provider_chista.archive.parts import PART_ROWS
from airflow_provider_chista.archive.verify import VerifyOptions
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.keyrange import KeyRange


def comparison(
    *,
    mode: str = Mode.FULL,
    sample: float | str = 0.01,
    seed: int | str | None = None,
    row_keys: Sequence[str] = (),
    first_key: str | None = None,
    end_key: str | None = None,
    repair: bool = False,
    max_repairs: int = 10_000,
    parallel: int = 1,
    part_rows: int | None = None,
    mask_values: bool = False,
) -> VerifyOptions | CheckOptions:
    """Options of a proof, or of a check when a mode or keys were chosen; numbers may be texts, as templates give them.

    The arguments are those of ``VerifyArchiveOperator``.

    :raises FatalError: an argument cannot be used, or not with the others.
    """
    try:
        chosen = Mode(mode)
    except ValueError:
        raise FatalError(f"mode is {mode!r}; it must be one of {', '.join(Mode)}") from None
    ranged = bool(first_key or end_key)
    if chosen is Mode.FULL and not ranged and not row_keys:
        return VerifyOptions(
            max_repairs if repair else 0, parallel, PART_ROWS if part_rows is None else part_rows, mask_values
        )
    if repair:
        raise FatalError(
            "repair needs the proof of a whole window; leave out repair, or mode, row_keys, first_key and end_key"
        )
    return CheckOptions(
        chosen,
        KeyRange(first_key or None, end_key or None) if ranged else None,
        tuple(row_keys),
        float(sample),
        int(seed) if seed is not None else None,
        parallel,
        part_rows,
        mask_values,
    )
