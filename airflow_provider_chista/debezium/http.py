"""What the blocking clients of REST interfaces share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import httpx


class HttpClient(ABC):
    """A client that keeps connections open; a context manager, or call :meth:`close`."""

    @property
    @abstractmethod
    def _http(self) -> httpx.Client:
        """The connections, opened when first needed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the service."""
        self._http.close()
