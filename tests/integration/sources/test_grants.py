"""What a user lacks for a role, with the GRANT that mends it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from airflow.cli.cli_parser import get_parser

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import Role


@pytest.mark.parametrize("role", ["capture", "verify", "purge", "restore"])
def test_the_stacks_users_lack_nothing_for_their_role(schema: Any, role: str) -> None:
    schema.create(f"granted_{role}", "id INT PRIMARY KEY")
    with schema.source(role) as source:
        assert source.grant_findings(role, [schema.id(f"granted_{role}")]) == []


@pytest.mark.parametrize(
    ("role", "other"), [("purge", "verify"), ("verify", "purge"), ("capture", "purge"), ("restore", "purge")]
)
def test_a_user_of_another_role_lacks_something(schema: Any, role: str, other: str) -> None:
    schema.create(f"other_{role}_{other}", "id INT PRIMARY KEY")
    with schema.source(other) as source:
        findings = source.grant_findings(role, [schema.id(f"other_{role}_{other}")])
    assert findings
    assert all(f"chista_{other}" in finding.subject for finding in findings)


@pytest.fixture
def nobody(schema: Any) -> Iterator[str]:
    """A user that may only log in."""
    name = f"it_{uuid.uuid4().hex[:12]}"
    server = schema.server
    user = name if server.flavour == "postgres" else f"'{name}'@'%'"
    server.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD 'pw'"
        if server.flavour == "postgres"
        else f"CREATE USER {user} IDENTIFIED BY 'pw'"
    )
    yield name
    if server.flavour == "postgres":
        server.execute(f"DROP OWNED BY {name}")
    server.execute(f"DROP {'ROLE' if server.flavour == 'postgres' else 'USER'} {user}")


@pytest.mark.parametrize("role", ["capture", "verify", "purge", "restore"])
def test_the_remedies_give_a_bare_user_its_role(schema: Any, nobody: str, role: str) -> None:
    schema.create(f"bare_{role}", "id INT PRIMARY KEY")
    schema.insert(f"bare_{role}", [(1,)])
    table = schema.id(f"bare_{role}")
    with schema.server.source(nobody, "pw") as source:
        findings = source.grant_findings(role, [table])
        assert findings
        assert {finding.check for finding in findings} == {"grants"}
    schema.server.execute(*[finding.remedy for finding in findings])
    with schema.server.source(nobody, "pw") as source:
        assert source.grant_findings(role, [table]) == []
        made = source.catalogue(table)
        if role == "verify":
            assert source.settings_findings() == []
            assert source.table_findings(made) == []
            source.write_marker(nobody, "t")
            source.delete_marker(nobody)
            assert source.position()
        if role == "purge":
            ((pair,),) = source.hashes(made, None)
            assert source.guarded_delete(made, nobody, [pair]) == ["1"]
            assert list(source.logged(nobody)) == [[pair]]
            assert source.trim_log(nobody) == 1


@pytest.mark.parametrize("role", ["capture", "verify", "purge", "restore"])
def test_the_printed_grants_give_a_bare_user_its_role(
    schema: Any, nobody: str, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [schema.id(f"printed_{role}_{number}") for number in range(2)]
    for table in tables:
        schema.create(table.name, "id INT PRIMARY KEY")
    words = ["--engine", schema.flavour, "--role", role, "--user", nobody, "--tables", *map(str, tables)]
    args = get_parser().parse_args(["chista", "grants", *words])
    args.func(args)
    printed = capsys.readouterr().out.splitlines()
    schema.server.execute(*[line for line in printed if line and not line.startswith("--")])
    with schema.server.source(nobody, "pw") as source:
        assert source.grant_findings(role, tables) == []
        assert all(source.grant_findings(other, tables) for other in get_args(Role) if other != role)


def test_grants_through_a_role_count(schema: Any, nobody: str) -> None:
    schema.create("through_role", "id INT PRIMARY KEY")
    server, role = schema.server, f"r_{nobody}"
    name = schema.named("through_role")
    default = {
        "mysql": f"SET DEFAULT ROLE ALL TO '{nobody}'@'%'",
        "mariadb": f"SET DEFAULT ROLE {role} FOR '{nobody}'@'%'",
        "postgres": f"GRANT USAGE ON SCHEMA {server.quote(schema.name)}, chista TO {role}",
    }
    user = nobody if server.flavour == "postgres" else f"'{nobody}'@'%'"
    server.execute(
        f"CREATE ROLE {role}",
        f"GRANT SELECT, DELETE ON {name} TO {role}",
        f"GRANT SELECT, INSERT, DELETE ON chista.purge_log TO {role}",
        f"GRANT {role} TO {user}",
        default[server.flavour],
    )
    try:
        with server.source(nobody, "pw") as source:
            assert source.grant_findings("purge", [schema.id("through_role")]) == []
    finally:
        if server.flavour == "postgres":
            server.execute(f"DROP OWNED BY {role}")
        server.execute(f"DROP ROLE {role}")


def test_grants_on_a_pattern_of_databases_count(schema: Any, nobody: str) -> None:
    if schema.flavour == "postgres":
        pytest.skip("of MySQL and MariaDB")
    schema.create("pattern", "id INT PRIMARY KEY")
    pattern = schema.name.replace("_", "\\_")[:-2] + "%"
    user = f"'{nobody}'@'%'"
    schema.server.execute(
        f"GRANT SELECT, DELETE ON `{pattern}`.* TO {user}",
        f"GRANT SELECT, INSERT, DELETE ON chista.purge_log TO {user}",
    )
    with schema.server.source(nobody, "pw") as source:
        assert source.grant_findings("purge", [schema.id("pattern")]) == []
        lacking = source.grant_findings("purge", [TableId("employees", "salaries")])
    assert [finding.subject for finding in lacking] == [f"user {nobody}@% on `employees`.`salaries`"]


def test_grants_on_columns_are_not_grants_on_the_table(schema: Any, nobody: str) -> None:
    schema.create("by_column", "id INT PRIMARY KEY, a INT")
    name = schema.named("by_column")
    user = nobody if schema.flavour == "postgres" else f"'{nobody}'@'%'"
    schema.server.execute(f"GRANT SELECT (id) ON {name} TO {user}")
    with schema.server.source(nobody, "pw") as source:
        findings = source.grant_findings("verify", [schema.id("by_column")])
    assert any("by_column" in finding.subject and "SELECT" in finding.found for finding in findings)


def test_rows_that_policies_hide_are_an_error(schema: Any, nobody: str) -> None:
    if schema.flavour != "postgres":
        pytest.skip("of PostgreSQL")
    schema.create("secured", "id INT PRIMARY KEY")
    name = schema.named("secured")
    schema.server.execute(
        f"INSERT INTO {name} VALUES (1), (2)",
        f"GRANT USAGE ON SCHEMA {schema.server.quote(schema.name)} TO {nobody}",
        f"GRANT SELECT, DELETE ON {name} TO {nobody}",
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY first_only ON {name} USING (id = 1)",
    )
    from airflow_provider_chista.errors import FatalError

    with schema.server.source(nobody, "pw") as source:
        findings = [
            f for f in source.grant_findings("verify", [schema.id("secured")]) if f.check == "row security"
        ]
        assert len(findings) == 1
        with pytest.raises(FatalError, match="row-level security"):
            source.count(source.catalogue(schema.id("secured")), None)
    schema.server.execute(findings[0].remedy)
    with schema.server.source(nobody, "pw") as source:
        assert source.count(source.catalogue(schema.id("secured")), None) == 2
