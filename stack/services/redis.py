"""Redis, out of the machine's package: the queue between Airflow's scheduler and its Celery worker. Nothing else needs it."""

from stack.errors import StackError
from stack.services.base import Service
from stack.settings import HOST, Stack
from stack.shell import run, write_private


def cli(stack: Stack, *words: str) -> str:
    """What ``redis-cli`` printed.

    :raises StackError: Redis does not answer.
    """
    password = {"REDISCLI_AUTH": stack.secrets["CHISTA_REDIS_PASSWORD"]}
    return run(["redis-cli", "-h", HOST, "-p", str(stack.ports["redis"]), *words], env=password)


def _prepare(stack: Stack) -> None:
    """What is queued is gone when Redis ends; Airflow's scheduler knows what it has queued and asks again."""
    write_private(
        stack.rendered / "redis.conf",
        f'bind {HOST}\nport {stack.ports["redis"]}\nrequirepass {stack.secrets["CHISTA_REDIS_PASSWORD"]}\nsave ""\n',
    )


def _problem(stack: Stack, since: float) -> str | None:
    try:
        answer = cli(stack, "ping").strip()
    except StackError as error:
        return error.reason()
    return None if answer == "PONG" else answer


REDIS = Service(
    name="redis",
    ports=("redis",),
    prepare=_prepare,
    command=lambda stack: ["redis-server", str(stack.rendered / "redis.conf")],
    healthy=_problem,
)
