"""Classes that a file of archives may name, and one that it may not."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseNotifier, Context


class Recorder(BaseNotifier):
    """Keeps what it would say."""

    template_fields = ("text",)

    def __init__(self, text: str = "done", conn_id: str = "none") -> None:
        super().__init__()
        self.text, self.conn_id = text, conn_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorder) and (self.text, self.conn_id) == (other.text, other.conn_id)

    __hash__ = None  # type: ignore[assignment]

    def notify(self, context: Context) -> Any: ...


class NoNotifier:
    """Something else."""
