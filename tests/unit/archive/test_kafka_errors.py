"""What Kafka's clients tell of unasked decides about a call that only timed out."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from airflow_provider_chista.archive.topic import kafka_errors
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError

TIMED_OUT = KafkaException(KafkaError(KafkaError._TIMED_OUT, "no controller"))
DENIED = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied"))
QUIET = TransientError("Kafka sent nothing")
REFUSED = KafkaError(KafkaError._AUTHENTICATION, "invalid credentials")
UNKNOWN_CA = KafkaError(KafkaError._SSL, "certificate verify failed")
AWAY = KafkaError(KafkaError._TRANSPORT, "Connection refused")


@pytest.mark.parametrize(
    ("error", "trouble", "kind", "message"),
    [
        (TIMED_OUT, REFUSED, FatalError, "refused reading t: invalid credentials; check security.protocol"),
        (TIMED_OUT, UNKNOWN_CA, FatalError, "refused reading t: certificate verify failed; check ssl.ca.loc"),
        (QUIET, REFUSED, FatalError, "refused reading t: invalid credentials; check security.protocol"),
        (TIMED_OUT, AWAY, TransientError, "no controller .*the client's last error: Connection refused"),
        (QUIET, AWAY, TransientError, "Kafka sent nothing; the client's last error: Connection refused"),
        (TIMED_OUT, None, TransientError, r"no controller \(_TIMED_OUT\); check that the brokers are up"),
        (QUIET, None, TransientError, "^Kafka sent nothing$"),
        # What the broker answered is nearer than what was told before.
        (DENIED, REFUSED, FatalError, "refused reading t: denied; grant READ and DESCRIBE on the topic"),
    ],
)
def test_the_cause_decides_class_and_text(
    error: Exception, trouble: KafkaError | None, kind: type[ChistaError], message: str
) -> None:
    with pytest.raises(ChistaError, match=message) as caught, kafka_errors("reading t", lambda: trouble):
        raise error
    assert type(caught.value) is kind
