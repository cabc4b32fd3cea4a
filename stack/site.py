"""``make docs``: the pages of ``docs/`` as a site."""

import os

from stack import environment
from stack.launcher import say
from stack.settings import Stack
from stack.shell import run

ENVIRONMENT = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
"""The theme's news about other generators is no warning about a page."""


def build(stack: Stack) -> None:
    """Build ``mkdocs.yml`` into ``site/``.

    :raises StackError: for a broken link, or a page that the navigation lacks.
    """
    environment.ensure(stack)
    site = stack.root / "site"
    # Not --quiet: with it MkDocs counts no warning, and --strict passes everything.
    run(
        [stack.venv / "bin" / "python", "-m", "mkdocs", "build", "--strict", "-d", site],
        env=ENVIRONMENT,
        cwd=stack.root,
    )
    say(f"built {site / 'index.html'}")
