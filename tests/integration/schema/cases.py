"""Every change of a captured table's schema that the tests make.

``docs/schema-changes.md`` is made of these (``document.py``); ``stage.py`` walks them.
"""

from __future__ import annotations

from tests.integration.schema.attributes import OTHERS
from tests.integration.schema.changes import Change
from tests.integration.schema.columns import ADDED, DROPPED
from tests.integration.schema.keys import KEYS
from tests.integration.schema.retyped import RETYPED

CHANGES: tuple[Change, ...] = (*ADDED, *DROPPED, *RETYPED, *OTHERS, *KEYS)
