"""docs/troubleshooting.md quotes messages that the code has, and leaves no refusal of the code out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from airflow_provider_chista.sources.postgreschecks import SETTINGS
from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import code, page, rows, sections

SECTIONS = sections(page("troubleshooting.md"))
GAP = "…"
REFUSALS = {
    "FatalError", "MismatchError", "RefusedError", "TransientError", "ConnectorFailedError", "TopicMissingError",
    "AirflowSkipException", "AirflowOptionalProviderFeatureException",
}  # fmt: skip

MODULES = [
    (path.name, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    for path in sorted((ROOT / "airflow_provider_chista").rglob("*.py"))
]
TREES = [tree for _, tree in MODULES]


def text_of(node: ast.AST) -> str | None:
    """A text with a gap for each value, None when the node is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) or GAP for value in node.values)
    if isinstance(node, ast.BinOp):
        return (text_of(node.left) or GAP) + (text_of(node.right) or GAP)
    return None


def named_calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls of functions of these names, each with its module's file."""
    for module, tree in MODULES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                if getattr(function, "id", getattr(function, "attr", None)) in names:
                    yield module, node


def calls(*names: str) -> Iterator[ast.Call]:
    return (node for _, node in named_calls(*names))


TEXTS = [text for tree in TREES for node in ast.walk(tree) if (text := text_of(node))]


def quoted() -> list[str]:
    """Messages that the page quotes: in the first column of its tables, and in its prose where that lists messages."""
    found = []
    for name, section in SECTIONS.items():
        if name not in ("Preflight", "Dead letters", "A connector that is FAILED"):
            found += [fragment for cells in rows(section) for fragment in code(cells[0])]
    above, _, _ = SECTIONS["Approve, purge, seal"].partition("|")
    _, _, below = SECTIONS["Approve, purge, seal"].rpartition("|")
    found += [*code(above), *code(below.partition(", and with")[0]), *code(below.partition("soft_fail`")[2])]
    found += [*code(SECTIONS["Errors that should not happen"]), "preflight found … error"]
    return [fragment for fragment in dict.fromkeys(found) if not fragment.startswith("[")]


QUOTED = quoted()


@pytest.mark.parametrize("fragment", QUOTED)
def test_a_quoted_message_is_in_the_code(fragment: str) -> None:
    assert any(fragment in text for text in TEXTS)


def test_every_refusal_of_the_code_is_explained() -> None:
    messages = [text_of(node.args[0]) for node in calls(*REFUSALS) if node.args]
    said = [message for message in messages if message and len(message.replace(GAP, "").strip(" :;.")) > 3]
    assert len(said) > 70
    assert [message for message in said if not any(fragment in message for fragment in QUOTED)] == []


DECODERS = {
    "avro.py",
    "avrobinary.py",
    "encodings.py",
    "envelope.py",
    "moments.py",
    "mysqljson.py",
    "pgtext.py",
    "sinks.py",
    "types.py",
}


def test_every_reason_for_a_dead_letter_is_explained_and_no_other() -> None:
    """The reasons are the errors of the decoders, and of what guards the columns of the archive."""
    explained = [name.strip() for cells in rows(SECTIONS["Dead letters"]) for name in code(cells[0])]
    assert [fragment for fragment in explained if not any(fragment in text for text in TEXTS)] == []
    reasons = [
        text_of(node.args[0])
        for name, node in named_calls("DecodeError", "ValueError", "AvroError")
        if name in DECODERS and node.args
    ]
    said = [reason for reason in reasons if reason and len(reason.replace(GAP, "").strip(" :;.")) > 8]
    assert len(said) > 20
    assert [reason for reason in said if not any(fragment in reason for fragment in explained)] == []


def test_every_error_of_a_database_driver_is_explained() -> None:
    remedies = [text_of(node.args[2]) for node in calls("Failure")]
    assert len(remedies) > 15
    assert [text for text in remedies if text and not any(fragment in text for fragment in QUOTED)] == []


def test_every_check_of_the_preflight_is_explained() -> None:
    checks = {text for node in calls("Finding", "Setting") if (text := text_of(node.args[0]))}
    checks |= {setting.check for setting in SETTINGS}
    explained = {name for cells in rows(SECTIONS["Preflight"]) for name in code(cells[0])}
    assert len(checks) > 15
    assert sorted(checks - explained) == []
