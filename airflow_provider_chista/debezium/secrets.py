"""Which settings of a connector hold secrets, and how they are kept out of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SENSITIVE = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|jaas|ssl\.keystore\.key|(api|private)[._-]?key",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{[^{}]+\}")
_JAAS_PASSWORD = re.compile(r'password="([^"]+)"')


def redact(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration with every literal secret replaced by ``***``; references such as ``${env:NAME}`` stay."""
    return {
        key: "***" if is_sensitive(key) and not is_reference(value) else value
        for key, value in config.items()
    }


def secrets_of(config: Mapping[str, str]) -> list[str]:
    """The literal secrets of a configuration, longest first, for masking them in texts."""
    found = {
        value for key, value in config.items() if is_sensitive(key) and value and not is_reference(value)
    }
    inner = {
        secret for value in found for secret in _JAAS_PASSWORD.findall(value) if not is_reference(secret)
    }
    return sorted(found | inner, key=len, reverse=True)


def is_sensitive(key: str) -> bool:
    """Whether a setting of that name holds a secret."""
    return _SENSITIVE.search(key) is not None


def is_reference(value: str) -> bool:
    """Whether a value is nothing but a reference for a config provider, such as ``${env:NAME}``."""
    return _REFERENCE.fullmatch(value) is not None
