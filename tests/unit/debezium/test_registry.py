from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from airflow_provider_chista.debezium.registry import SchemaRegistryClient
from airflow_provider_chista.errors import FatalError, TransientError

PASSWORD = "hidden-word"


def client(
    answer: Callable[[httpx.Request], httpx.Response], **options: float
) -> tuple[SchemaRegistryClient, list[httpx.Request]]:
    """A client of a registry that answers so, and what it was asked."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    made = SchemaRegistryClient("http://registry:8080/", "ann", PASSWORD, **{"patience": 0.0, **options})
    http = httpx.Client(
        base_url="http://registry:8080", transport=httpx.MockTransport(handler), auth=("ann", PASSWORD)
    )
    made.__dict__["_http"] = http
    return made, asked


def test_a_schema_is_read_by_its_id_from_the_confluent_interface() -> None:
    registry, asked = client(lambda _: httpx.Response(200, json={"schema": '{"type": "record"}'}))
    with registry:
        assert registry.schema(7) == '{"type": "record"}'
    assert [str(request.url) for request in asked] == ["http://registry:8080/apis/ccompat/v7/schemas/ids/7"]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, {"error_code": 40403}, r"at http://registry:8080/ has no schema 7.*no record was skipped"),
        (404, {}, "as no Apicurio registry does"),
        (200, "a page", "as no Apicurio registry does"),
        (401, {}, "answered 401; check user and password"),
        (403, {}, "answered 403; check user and password"),
    ],
)
def test_an_answer_that_no_retry_mends_is_fatal(status: int, body: object, told: str) -> None:
    answer = httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
    registry, asked = client(lambda _: answer, patience=5.0)
    with pytest.raises(FatalError, match=told) as error:
        registry.schema(7)
    assert len(asked) == 1
    assert PASSWORD not in f"{error.value!r} {registry!r}"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_is_short_of_something_is_asked_again(status: int) -> None:
    answers = [httpx.Response(status), httpx.Response(200, json={"schema": "{}"})]
    registry, asked = client(lambda _: answers.pop(0), patience=5.0)
    assert registry.schema(1) == "{}"
    assert len(asked) == 2
    for_ever, _ = client(lambda _: httpx.Response(status))
    with pytest.raises(TransientError, match=f"it answered {status}.*check that it runs"):
        for_ever.schema(1)


def test_a_registry_that_does_not_answer_is_a_matter_of_time_and_a_wrong_certificate_is_not() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"refused, {request.url.host}")

    def mistrust(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    with pytest.raises(TransientError, match="could not be read: refused, registry"):
        client(refuse)[0].schema(1)
    with pytest.raises(
        FatalError, match=r"cannot be reached by TLS.*the extra field ca_file of the schema_registry"
    ):
        client(mistrust, patience=5.0)[0].schema(1)


def test_the_subjects_are_sorted() -> None:
    registry, _ = client(lambda _: httpx.Response(200, json=["b-value", "a-key"]))
    assert registry.subjects() == ["a-key", "b-value"]
