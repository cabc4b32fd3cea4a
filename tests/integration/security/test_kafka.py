"""Kafka with SASL and TLS: what a wrong connection or a missing right leads to."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from airflow_provider_chista.archive import topic as topics
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from tests.integration.security.authority import Authority
from tests.integration.security.conftest import PREFIX
from tests.integration.security.servers import SecuredKafka
from tests.integration.support.ports import free_port

TOPIC = f"{PREFIX}.five"


@pytest.fixture(scope="module", autouse=True)
def five_records(secured_kafka: SecuredKafka) -> None:
    secured_kafka.create_topic(TOPIC)
    secured_kafka.send(TOPIC, [(None, str(number).encode()) for number in range(5)])


def read(kafka: Kafka, quiet_seconds: float = 10.0) -> list[bytes | None]:
    records = kafka.read(TOPIC, {0: (0, 5)}, quiet_seconds=quiet_seconds)
    return [record.value for some in records for record in some]


def test_a_user_with_the_least_rights_describes_and_reads(kafka_as: Callable[..., Kafka]) -> None:
    kafka = kafka_as("airflow")
    assert kafka.describe(TOPIC).ends == {0: 5}
    assert read(kafka) == [b"0", b"1", b"2", b"3", b"4"]


def test_verification_can_be_switched_off_for_both_kinds_of_clients(
    kafka_as: Callable[..., Kafka], stranger: Authority
) -> None:
    kafka = kafka_as("airflow", ssl_ca_location=str(stranger.ca), enable_ssl_certificate_verification="false")
    assert kafka.describe(TOPIC).ends == {0: 5}
    assert len(read(kafka)) == 5


WRONG = [
    ({"sasl_password": "wrong-secret"}, FatalError, "Kafka refused .*invalid credentials.*check .*sasl.password of the"),
    ({"sasl_username": "nobody"}, FatalError, "Kafka refused .*invalid credentials.*check .*sasl.username"),
    ({"sasl_mechanism": "PLAIN"}, FatalError, "Kafka refused .*Unsupported SASL mechanism.*check .*sasl.mechanism"),
    ({"ssl_ca_location": "{stranger}"}, FatalError, "Kafka refused .*certificate verify failed.*check ssl.ca.location"),
    ({"security_protocol": "PLAINTEXT"}, TransientError, "brokers are down.*security.protocol is theirs"),
    ({"bootstrap_servers": "127.0.0.1:{plain}"}, TransientError, "the client's last error: .*in state SSL_HANDSHAKE"),
    ({"bootstrap_servers": "127.0.0.1:{nobody}"}, TransientError, "the client's last error: .*Connection refused"),
]  # fmt: skip


@pytest.fixture(params=WRONG, ids=lambda case: "-".join(f"{key}={value}" for key, value in case[0].items()))
def wrong(
    request: pytest.FixtureRequest,
    kafka_as: Callable[..., Kafka],
    stranger: Authority,
    secured_kafka: SecuredKafka,
) -> tuple[Kafka, type[ChistaError], str]:
    changed, kind, message = request.param
    places = {"stranger": stranger.ca, "nobody": free_port(), "plain": secured_kafka.plain}
    return (
        kafka_as("airflow", **{key: text.format(**places) for key, text in changed.items()}),
        kind,
        message,
    )


def test_a_wrong_connection_is_told_by_its_cause_and_not_by_a_timeout(
    wrong: tuple[Kafka, type[ChistaError], str],
    secured_kafka: SecuredKafka,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    told: Callable[[], str],
) -> None:
    kafka, kind, message = wrong
    monkeypatch.setattr(topics, "REQUEST_SECONDS", 1.5)
    with pytest.raises(kind, match=message) as caught:
        kafka.describe(TOPIC)
    # The client tells of twenty errors a second; each kind is logged once, and none by librdkafka itself.
    logged = [
        record.message.split()[2] for record in caplog.records if record.message.startswith("Kafka client")
    ]
    assert 0 < len(logged) == len(set(logged))
    written = told()
    assert "|FAIL|" not in written
    everything = f"{caught.value!r} {caught.value.__cause__!r} {kafka!r} {written}"
    assert "wrong-secret" not in everything
    assert secured_kafka.users["airflow"] not in everything


def test_a_reader_that_is_refused_says_so_and_not_that_nothing_came(
    kafka_as: Callable[..., Kafka],
) -> None:
    begun = time.monotonic()
    with pytest.raises(FatalError, match=f"Kafka refused reading {TOPIC}: .*invalid credentials"):
        read(kafka_as("airflow", sasl_password="wrong-secret"), quiet_seconds=1.0)
    assert time.monotonic() - begun < 5


def test_a_topic_without_any_right_is_refused_by_name(kafka_as: Callable[..., Kafka]) -> None:
    with pytest.raises(
        FatalError, match=f"Kafka refused describing {TOPIC}: .*grant READ and DESCRIBE on the topic"
    ):
        kafka_as("stranger").describe(TOPIC)


def test_a_topic_that_may_only_be_described_is_refused_when_it_is_read(
    kafka_as: Callable[..., Kafka],
) -> None:
    kafka = kafka_as("describing")
    assert kafka.describe(TOPIC).ends == {0: 5}
    with pytest.raises(FatalError, match=f"Kafka refused reading {TOPIC}: .*grant READ and DESCRIBE"):
        read(kafka)


def test_a_group_that_may_not_be_used_is_refused(kafka_as: Callable[..., Kafka]) -> None:
    with pytest.raises(
        FatalError, match=f"Kafka refused reading {TOPIC}: .*grant READ on the consumer group"
    ):
        read(kafka_as("ungrouped"))
