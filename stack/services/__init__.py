"""The services of the stack, in the order in which ``status`` shows them."""

from stack.errors import StackError
from stack.services.airflow import AIRFLOW, WORKER
from stack.services.base import Service
from stack.services.clickhouse import CLICKHOUSE
from stack.services.kafka import CONNECT, KAFKA
from stack.services.mysql import MARIADB, MYSQL
from stack.services.postgres import POSTGRES
from stack.services.redis import REDIS
from stack.services.registry import REGISTRY
from stack.settings import CELERY, Stack

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (KAFKA, CONNECT, REGISTRY, CLICKHOUSE, MYSQL, MARIADB, POSTGRES, REDIS, *AIRFLOW, WORKER)
}

# Those of the CeleryExecutor.
OF_CELERY = (REDIS.name, WORKER.name)

# Services that no group has: whoever needs one names it, or chooses the CeleryExecutor.
OPTIONAL = (REGISTRY.name, *OF_CELERY)

# Names that stand for several services.
GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(name for name in SERVICES if name not in OPTIONAL),
    "airflow": tuple(service.name for service in AIRFLOW),
    "sources": ("mysql", "mariadb", "postgres"),
    "data": ("kafka", "connect", "clickhouse", "mysql", "mariadb", "postgres"),
}


def named(name: str) -> list[Service]:
    """The service, or the services of the group, with this name.

    :raises StackError: for a name that is neither.
    """
    if name not in SERVICES and name not in GROUPS:
        raise StackError(f"no service is called {name!r}; there are {', '.join([*SERVICES, *GROUPS])}")
    return [SERVICES[member] for member in GROUPS.get(name, (name,))]


def select(names: str) -> list[Service]:
    """The services of a comma-separated list of names and groups, with those that they need, in the table's order.

    :raises StackError: for an unknown name.
    """
    wanted: set[str] = set()
    queue = [service.name for name in names.split(",") if name.strip() for service in named(name.strip())]
    while queue:
        name = queue.pop()
        wanted.add(name)
        queue.extend(needed for needed in SERVICES[name].after if needed not in wanted)
    return [service for service in SERVICES.values() if service.name in wanted]


def chosen(stack: Stack, names: str) -> list[Service]:
    """:func:`select`, with a Celery worker beside a scheduler whose executor is Celery's.

    :raises StackError: for an unknown name.
    """
    services = select(names)
    if stack.executor == CELERY and SERVICES["airflow-scheduler"] in services:
        return select(f"{names},{WORKER.name}")
    return services
