"""Arguments of a check that cannot be used, and sums of sums."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_chista.archive.check import CheckOptions, Mode, _added
from airflow_provider_chista.archive.parts import share_out
from airflow_provider_chista.archive.verify import VerifyOptions
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.keyrange import KeyRange

SOME = KeyRange("1", "2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.0}, "share of a sample is 0.0; it must be above 0"),
        ({"share": 1.1}, "share of a sample is 1.1"),
        ({"parallel": 0}, "parallel is 0"),
        ({"part_rows": 0}, "part_rows 0; both must be at least 1"),
        ({"mode": Mode.DIGEST, "keys": SOME}, "given keys are compared one by one, not by digest"),
        ({"mode": Mode.SAMPLE, "row_keys": ("1",)}, "not by sample"),
        ({"keys": SOME, "row_keys": ("1",)}, "not both"),
    ],
)
def test_arguments_of_a_check_that_cannot_be_used(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FatalError, match=message):
        CheckOptions(**arguments)


@pytest.mark.parametrize("arguments", [{"parallel": 0}, {"part_rows": -1}, {"repairs": -1}])
def test_arguments_of_a_proof_that_cannot_be_used(arguments: dict[str, Any]) -> None:
    with pytest.raises(FatalError, match="needs at least one connection"):
        VerifyOptions(**arguments)


def test_digests_of_parts_add_up_modulo_2_to_the_64() -> None:
    assert _added(["2:ffffffffffffffff0000000000000001", "3:00000000000000020000000000000002"]) == (
        "5:00000000000000010000000000000003"
    )


def test_parts_are_shared_out_in_order_and_the_first_error_ends_them() -> None:
    begun: list[int] = []

    def work(part: int) -> int:
        begun.append(part)
        if part == 3:
            raise FatalError("three")
        time.sleep(0.005)  # or one thread does them all before the other one has its turn
        return part * 10

    assert share_out(work, [0, 1, 2], 2) == [0, 10, 20]
    assert share_out(work, [0, 1, 2], 1) == [0, 10, 20]
    with pytest.raises(FatalError, match="three"):
        share_out(work, [*range(3, 400)], 2)
    assert len(begun) < 300
