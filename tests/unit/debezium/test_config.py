from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_chista.debezium.config import (
    CONTROL_TABLES,
    UNAVAILABLE_VALUE,
    ConnectorSpec,
    fingerprint,
    notification_topic,
    redact,
    secrets_of,
    topic_name,
)
from airflow_provider_chista.debezium.registry import Registry
from airflow_provider_chista.debezium.settings import (
    AVRO_FIXED,
    DEFAULTS,
    DERIVED,
    FIXED,
    JSON_CONVERTER,
    KEEP_NULLS,
    OWN,
)
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import TableId

MYSQL = ConnectorSpec(
    name="mysql-connector-1",
    flavour="mysql",
    hostname="db",
    port=3306,
    user="chista_capture",
    password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
    topic_prefix="mysql1",
    tables=[TableId.parse("test.chista")],
    kafka_bootstrap_servers="kafka:9092",
)
MARIADB = replace(MYSQL, name="mariadb-connector-1", flavour="mariadb", topic_prefix="mariadb1")
POSTGRES = replace(
    MYSQL,
    name="shipments-connector",
    flavour="postgres",
    port=5432,
    topic_prefix="shipment",
    tables=[TableId.parse("public.shipments")],
    database="shipment_db",
    kafka_bootstrap_servers=None,
)
AVRO = replace(MYSQL, registry=Registry("http://registry:8080/", "ann", "hidden-word"))
SPECS = {"mysql": MYSQL, "mariadb": MARIADB, "postgres": POSTGRES}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_fixed_setting_of_the_flavour_is_in_the_configuration(spec):
    config = spec.config()
    for fixed in FIXED:
        assert config.get(fixed.key) == (fixed.value if spec.flavour in fixed.flavours else None), fixed.key


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_all_properties_are_texts_and_none_is_empty(spec):
    assert all(isinstance(value, str) and value for value in spec.config().values())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            MYSQL,
            {
                "connector.class": "io.debezium.connector.mysql.MySqlConnector",
                "topic.prefix": "mysql1",
                "database.include.list": "chista,test",
                "table.include.list": r"chista\.heartbeat,chista\.marker,chista\.purge_log,chista\.signal,test\.chista",
                "signal.data.collection": "chista.signal",
                "notification.sink.topic.name": "mysql1.chista.notifications",
                "schema.history.internal.kafka.topic": "mysql1.schema-history",
                "schema.history.internal.kafka.bootstrap.servers": "kafka:9092",
                "bigint.unsigned.handling.mode": "long",
                "enable.time.adjuster": "false",
                "connect.keep.alive.interval.ms": "3000",
                "topic.creation.default.retention.ms": "604800000",
                "topic.creation.default.partitions": "1",
                "topic.creation.default.replication.factor": "-1",
            },
        ),
        (MARIADB, {"schema.history.internal.skip.unparseable.ddl": "true"}),
        (
            POSTGRES,
            {
                "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
                "database.dbname": "shipment_db",
                "slot.name": "chista_shipment",
                "publication.name": "chista",
                "publication.autocreate.mode": "disabled",
                "plugin.name": "pgoutput",
                "unavailable.value.placeholder": UNAVAILABLE_VALUE,
                "table.include.list": (
                    r"chista\.heartbeat,chista\.marker,chista\.purge_log,chista\.signal,public\.shipments"
                ),
            },
        ),
    ],
    ids=["mysql", "mariadb", "postgres"],
)
def test_the_configuration_follows_from_the_specification(spec, expected):
    config = spec.config()
    assert {key: config.get(key) for key in expected} == expected


def test_settings_of_one_family_do_not_reach_the_other():
    assert not any(
        key.startswith("schema.history") or key == "enable.time.adjuster" for key in POSTGRES.config()
    )
    assert not any(key.startswith(("slot.", "publication", "plugin.")) for key in MYSQL.config())
    assert "schema.history.internal.skip.unparseable.ddl" not in MYSQL.config()


def test_control_topics_have_one_partition_whatever_the_data_topics_have():
    config = replace(POSTGRES, topic_prefix="a.b", partitions=6).config()
    assert config["topic.creation.default.partitions"] == "6"
    assert config["topic.creation.chista.partitions"] == "1"
    patterns = config["topic.creation.chista.include"].split(",")
    control = [topic_name("a.b", table) for table in CONTROL_TABLES]
    control += ["a.b.transaction", "__debezium-heartbeat.a.b", notification_topic("a.b")]
    for topic in control:
        assert any(re.fullmatch(pattern, topic) for pattern in patterns), topic
    for topic in ("a.b.public.shipments", "aXb.chista.marker", "a.b.chistax.t"):
        assert not any(re.fullmatch(pattern, topic) for pattern in patterns), topic


def test_names_are_matched_literally_by_the_include_lists():
    odd = TableId("shop.eu", "orders (old), 100%|x")
    pattern = replace(MYSQL, tables=[odd]).config()["table.include.list"].split(r",shop", 1)[1]
    assert pattern == r"\.eu\.orders\ \(old\)\,\ 100\%\|x"
    assert re.fullmatch(f"shop{pattern}", str(odd))


def test_the_heartbeat_quotes_the_connectors_name():
    for spec in SPECS.values():
        query = replace(spec, name="o'neil's {id} %s").config()["heartbeat.action.query"]
        assert "VALUES ('o''neil''s {id} %s', 1)" in query


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "back\\slash"}, "without backslash"),
        ({"name": "${env:HOME}"}, r"without \$\{"),
        ({"name": "new\nline"}, "printable"),
        ({"name": ""}, "1 to 200"),
        ({"name": "x" * 201}, "1 to 200"),
        ({"topic_prefix": "a b"}, "topic prefix"),
        ({"tables": []}, "captures no table"),
        ({"flavour": "oracle"}, "'oracle' is none of mysql, mariadb, postgres"),
        ({"kafka_bootstrap_servers": None}, "needs the Kafka brokers' addresses"),
        ({"flavour": "postgres"}, "needs the name of the PostgreSQL database"),
        ({"tables": [TableId("a", "b c"), TableId("a", "b+c")]}, "would share the topic mysql1.a.b_c"),
        (
            {"tables": [TableId("a", "b_c"), TableId("a_b", "c")]},
            "topics mysql1.a.b_c and mysql1.a_b.c, which differ",
        ),
    ],
)
def test_an_unusable_specification_says_what_to_give(change, message):
    with pytest.raises(FatalError, match=message):
        replace(MYSQL, **change).config()


@pytest.mark.parametrize("key", [fixed.key for fixed in FIXED])
def test_another_value_of_a_fixed_setting_is_refused_with_key_value_and_reason(key):
    fixed = next(fixed for fixed in FIXED if fixed.key == key)
    spec = next(spec for spec in SPECS.values() if spec.flavour in fixed.flavours)
    with pytest.raises(RefusedError) as error:
        replace(spec, overrides={key: "something-else"}).config()
    assert key in str(error.value)
    assert "'something-else'" in str(error.value)
    assert fixed.reason in str(error.value)
    assert replace(spec, overrides={key: fixed.value}).config() == spec.config()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("topic.prefix", "other", "follows from topic_prefix"),
        ("database.password", "a-literal-one", "follows from password"),
        ("heartbeat.action.query", "SELECT 1", "the barrier waits for"),
        ("topic.creation.chista.partitions", 3, "exactly one partition"),
        ("transforms", "unwrap", "a transformation changes"),
        ("transforms.unwrap.type", "x", "a transformation changes"),
        ("column.exclude.list", "a.b.c", "follows from exclude"),
        ("column.include.list", "a.b.c", "could not be proved equal"),
        ("column.mask.with.12.chars", "a.b.c", "differs from the source"),
        ("snapshot.select.statement.overrides", "a.b", "never arrive"),
        ("gtid.source.includes", "x", "never arrive"),
        ("message.key.columns", "a.b:c", "primary key"),
        ("errors.max.retries", -1, "without a bound"),
        ("read.only", True, "read-only connector"),
    ],
)
def test_an_override_that_would_break_a_promise_is_refused(key, value, message):
    with pytest.raises(RefusedError, match=message):
        replace(MYSQL, overrides={key: value}).config()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_connector_that_writes_avro_has_the_settings_of_that_converter_and_none_of_jsons(spec):
    config = replace(spec, registry=Registry("http://registry:8080/")).config()
    for setting in AVRO_FIXED:
        assert config[setting.key] == setting.value
    converters = {key: value for key, value in config.items() if re.match("(key|value)[.]converter", key)}
    assert JSON_CONVERTER not in converters.values()
    assert not any("schemas.enable" in key or "replace.null" in key for key in converters)
    for side in ("key", "value"):
        url = config[f"{side}.converter.apicurio.registry.url"]
        assert url == "http://registry:8080/apis/registry/v2"
        assert f"{side}.converter.apicurio.auth.password" not in config
    shared = {setting.key for setting in FIXED} - {setting.key for setting in AVRO_FIXED} - {*converters}
    plain = spec.config()
    assert all(config.get(key) == plain.get(key) for key in shared if "converter." not in key)


def test_the_registrys_password_is_a_secret_and_a_reference_stays():
    config = AVRO.config()
    assert config["value.converter.apicurio.auth.username"] == "ann"
    assert secrets_of(config) == ["hidden-word"]
    assert "hidden-word" not in str(redact(config)) + repr(AVRO)
    referred = replace(AVRO, registry=Registry("http://r", "ann", "${env:WORD}")).config()
    assert secrets_of(referred) == []
    assert redact(referred)["key.converter.apicurio.auth.password"] == "${env:WORD}"


@pytest.mark.parametrize("setting", AVRO_FIXED, ids=lambda setting: setting.key)
def test_another_value_of_a_setting_of_avro_is_refused_with_the_reason(setting):
    with pytest.raises(RefusedError, match=re.escape(setting.reason)):
        replace(AVRO, overrides={setting.key: "other"}).config()


def test_the_converter_that_keeps_null_may_be_chosen_with_avro_only():
    chosen = {f"{side}.converter": KEEP_NULLS for side in ("key", "value")}
    assert replace(AVRO, overrides=chosen).config() == AVRO.config() | chosen
    with pytest.raises(RefusedError, match="decodes schemaless JSON"):
        replace(MYSQL, overrides=chosen).config()


@pytest.mark.parametrize("spec", [MYSQL, AVRO], ids=["json", "avro"])
def test_the_registry_is_an_argument_and_no_override(spec):
    with pytest.raises(RefusedError, match="follows from registry; give that instead"):
        replace(spec, overrides={"value.converter.apicurio.registry.url": "http://elsewhere"}).config()


def test_excluded_columns_are_not_read_by_the_connector():
    spec = replace(MYSQL, exclude={TableId("app", "orders"): ["a b", "c,d"]})
    assert spec.config()["column.exclude.list"] == r"app\.orders\.a\ b,app\.orders\.c\,d"
    assert "column.exclude.list" not in MYSQL.config()


def test_a_refused_password_is_not_shown():
    with pytest.raises(RefusedError) as error:
        replace(MYSQL, overrides={"database.password": "a-literal-one"}).config()
    assert "a-literal-one" not in str(error.value)


@pytest.mark.parametrize("key", [key for key, _, flavours in DEFAULTS if "mysql" in flavours])
def test_every_default_can_be_overridden(key):
    assert replace(MYSQL, overrides={key: "7"}).config()[key] == "7"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_records_are_sent_in_large_compressed_batches_without_headers_that_nothing_reads(spec):
    config = spec.config()
    assert config["producer.override.compression.type"] == "lz4"
    assert config["producer.override.linger.ms"] == "50"
    assert config["producer.override.batch.size"] == "1048576"
    assert config["extended.headers.enabled"] == "false"


def test_other_properties_and_bounded_retries_can_be_set():
    overrides = {
        "database.ssl.mode": "verify_identity",
        "errors.max.retries": 3,
        "snapshot.fetch.size": 500,
        "x": True,
    }
    config = replace(MYSQL, overrides=overrides).config()
    assert {key: config[key] for key in overrides} == {
        "database.ssl.mode": "verify_identity",
        "errors.max.retries": "3",
        "snapshot.fetch.size": "500",
        "x": "true",
    }


def test_every_derived_property_is_made_by_some_specification():
    excluding = replace(MYSQL, exclude={MYSQL.tables[0]: ["a"]})
    made = {key for spec in (*SPECS.values(), excluding, AVRO) for key in spec.config()}
    assert set(DERIVED) - made == {"schema.include.list"}
    assert set(OWN) <= made


def test_the_server_id_is_stable_differs_by_name_and_fits_mysql():
    first, second = MYSQL.config()["database.server.id"], MARIADB.config()["database.server.id"]
    assert first == MYSQL.config()["database.server.id"] != second
    assert 0 < int(first) < 2**32
    assert replace(MYSQL, server_id=77).config()["database.server.id"] == "77"


def test_retention_may_be_left_to_the_broker():
    assert "topic.creation.default.retention.ms" not in replace(MYSQL, retention=None).config()
    config = replace(MYSQL, retention=timedelta(hours=1)).config()
    assert config["topic.creation.default.retention.ms"] == "3600000"


@pytest.mark.parametrize(
    ("table", "topic"),
    [
        (TableId("test", "chista"), "p.test.chista"),
        (TableId("public", "T Mixed.Case"), "p.public.T_Mixed.Case"),
        (TableId("größe", "a$b"), "p.gr__e.a_b"),
    ],
)
def test_a_topic_is_named_as_debezium_names_it(table, topic):
    assert topic_name("p", table) == topic


def test_redaction_hides_literal_secrets_and_keeps_references():
    config = {
        "database.password": "p4ss",
        "database.user": "ann",
        "schema.history.internal.producer.sasl.jaas.config": 'X required password="pw";',
        "producer.override.ssl.keystore.key": "-----BEGIN",
        "other.password": "${file:/run/secrets/db:password}",
        "half.password": "prefix-${env:X}",
        "provide.transaction.metadata": "true",
    }
    assert redact(config) == {
        "database.password": "***",
        "database.user": "ann",
        "schema.history.internal.producer.sasl.jaas.config": "***",
        "producer.override.ssl.keystore.key": "***",
        "other.password": "${file:/run/secrets/db:password}",
        "half.password": "***",
        "provide.transaction.metadata": "true",
    }
    assert secrets_of(config) == [
        'X required password="pw";',
        "prefix-${env:X}",
        "-----BEGIN",
        "p4ss",
        "pw",
    ]


def test_the_schema_history_can_log_in_to_kafka_by_reference():
    jaas = 'ScramLoginModule required username="worker" password="${env:KAFKA_PASSWORD}";'
    login = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": jaas}
    overrides = {
        f"schema.history.internal.{side}.{key}": value
        for side in ("producer", "consumer")
        for key, value in login.items()
    }
    config = replace(MYSQL, overrides=overrides).config()
    assert {key: config[key] for key in overrides} == overrides
    # The reference inside the text is no secret of its own: masking it would hide it where it is shown to be one.
    assert secrets_of(config) == [jaas]


def test_no_setting_of_ours_is_taken_for_a_secret():
    for spec in SPECS.values():
        config = spec.config()
        assert redact(config) == config


def test_the_password_is_not_in_the_repr():
    assert "hunter22" not in repr(replace(MYSQL, password="hunter22", overrides={"x.password": "hunter22"}))


def test_a_fingerprint_is_of_what_decides_how_the_table_is_captured() -> None:
    table, other = TableId("shop", "orders"), TableId("shop", "other,one")
    spec = replace(MYSQL, tables=[table], exclude={table: ["note"]}, password="a secret")
    before = fingerprint(spec.config(), table)
    assert before == fingerprint(dict(reversed(spec.config().items())), table)

    def changed(**more: object) -> bool:
        return fingerprint(replace(spec, **more).config(), table) != before

    # Neither a password nor what is captured besides.
    assert not changed(password="another")
    assert not changed(tables=[table, other], exclude={table: ["note"], other: ["a"]})
    assert not changed(tables=[table, TableId("another", "orders")])
    assert changed(tables=[other])
    assert changed(exclude={table: ["note", "more"]})
    assert changed(hostname="elsewhere")
    assert changed(overrides={"snapshot.mode": "no_data"})
    by_hand = {**spec.config(), "table.include.list": r"shop\.(?!orders).*"}
    assert fingerprint(by_hand, table) != fingerprint({**by_hand, "table.include.list": r"shop\..*"}, table)
