"""SHOW GRANTS, line by line."""

from __future__ import annotations

import pytest

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.mysqlgrants import Requirement, User, missing, parse

LINES = (
    "GRANT RELOAD, PROCESS, REPLICATION SLAVE ON *.* TO `u`@`%`",
    "GRANT SELECT, LOCK TABLES ON `app`.* TO `u`@`%`",
    r"GRANT TRIGGER ON `my\_app%`.* TO `u`@`%`",
    "GRANT DELETE ON `app`.`orders` TO `u`@`%` WITH GRANT OPTION",
    "GRANT SELECT (`id`, `a`), INSERT (`id`), UPDATE ON `other`.`t` TO `u`@`%`",
    "GRANT ALL PRIVILEGES ON `mine`.* TO `u`@`%`",
    "GRANT SELECT ON `odd``name`.`t` TO `u`@`%`",
    "GRANT EXECUTE ON PROCEDURE `app`.`p` TO `u`@`%`",
    "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
    "GRANT `some_role`@`%` TO `u`@`%`",
    "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*0123'",
    "SET DEFAULT ROLE `r` FOR `u`@`%`",
)
USER = User("u@%", tuple(parse(LINES)))

HELD = (
    ("PROCESS", "*", "*"),
    ("REPLICATION SLAVE", "*", "*"),
    ("SELECT", "app", "orders"),
    ("SELECT", "app", "*"),
    ("DELETE", "app", "orders"),
    ("TRIGGER", "my_app", "t"),
    ("TRIGGER", "my_app_2", "t"),
    ("UPDATE", "other", "t"),
    ("SELECT", "mine", "anything"),
    ("SELECT", "odd`name", "t"),
)
LACKED = (
    ("SELECT", "*", "*"),
    ("SELECT", "apps", "t"),
    ("DELETE", "app", "others"),
    ("DELETE", "app", "*"),
    ("TRIGGER", "myXapp", "t"),
    ("SELECT", "other", "t"),
    ("INSERT", "other", "t"),
    ("EXECUTE", "app", "p"),
    ("SUPER", "*", "*"),
)


@pytest.mark.parametrize(("privilege", "schema", "table"), HELD)
def test_held(privilege: str, schema: str, table: str) -> None:
    assert USER.holds(privilege, schema, table)


@pytest.mark.parametrize(("privilege", "schema", "table"), LACKED)
def test_lacked(privilege: str, schema: str, table: str) -> None:
    assert not USER.holds(privilege, schema, table)


def test_what_is_missing_is_one_grant_for_each_object() -> None:
    needs = (
        Requirement("table", ("SELECT", "DELETE", "TRIGGER"), "for a test"),
        Requirement("server", ("PROCESS", "REPLICATION CLIENT"), "for a test"),
        Requirement("database", ("LOCK TABLES",), "for a test"),
        Requirement("purge_log", ("INSERT",), "for a test"),
    )
    findings = missing(USER, needs, [TableId("app", "orders"), TableId("other", "t")])
    assert [finding.remedy for finding in findings] == [
        "GRANT TRIGGER ON `app`.`orders` TO 'u'@'%';",
        "GRANT SELECT, DELETE, TRIGGER ON `other`.`t` TO 'u'@'%';",
        "GRANT REPLICATION CLIENT ON *.* TO 'u'@'%';",
        "GRANT LOCK TABLES ON `other`.* TO 'u'@'%';",
        "GRANT INSERT ON `chista`.`purge_log` TO 'u'@'%';",
    ]
