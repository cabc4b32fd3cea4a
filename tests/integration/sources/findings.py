"""What the tests of findings share."""

from __future__ import annotations

from typing import Any

from airflow_provider_chista.findings import Finding


def by_check(findings: list[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        assert finding.remedy or finding.severity == "info", finding
        found.setdefault(finding.check, []).append(finding)
    return found


def only(findings: list[Finding], check: str) -> Finding:
    found = by_check(findings).get(check, [])
    assert len(found) == 1, findings
    return found[0]


def table_findings(schema: Any, name: str, **options: Any) -> list[Finding]:
    with schema.source("verify") as source:
        findings: list[Finding] = source.table_findings(source.catalogue(schema.id(name)), **options)
        return findings
