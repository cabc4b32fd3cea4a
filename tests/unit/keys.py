"""The way back from the values of a row key to its text."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_chista.canonical import KeyValue, field_text
from airflow_provider_chista.model import Kind


def key_text(kinds: Sequence[Kind], values: Sequence[KeyValue]) -> str:
    """Inverse of ``canonical.parse_key``, which gives bytes as their hex."""
    return "|".join(
        str(value) if kind is Kind.BYTES else field_text(kind, value)
        for kind, value in zip(kinds, values, strict=True)
    )
