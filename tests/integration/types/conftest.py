"""Every test here needs the stack."""

from __future__ import annotations

from tests.integration.archive.conftest import Store, store, stream

__all__ = ["Store", "store", "stream"]
