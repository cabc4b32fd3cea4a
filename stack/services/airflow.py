"""Airflow's four processes: API server (with the UI), scheduler (LocalExecutor), DAG processor and triggerer; and a worker
where the executor is Celery's.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from stack import environment
from stack.connections import connection_environment
from stack.downloads import locked
from stack.errors import StackError
from stack.services import redis
from stack.services.base import HealthCheck, Service, http_answer, http_problem
from stack.services.postgres import psql
from stack.settings import CELERY, HOST, Stack, read_env_file
from stack.shell import run, write_private

# A component whose last heartbeat is older than this is not well (Airflow's processes beat every 5 s).
_HEARTBEAT_SECONDS = 20


def places(stack: Stack) -> dict[str, str]:
    """Airflow's settings that name a place or a secret; the others are ``stack/config/airflow/airflow.env``."""
    ports, secrets = stack.ports, stack.secrets
    more_dags, traced = stack.overrides.get("CHISTA_DAGS"), stack.overrides.get("CHISTA_LINEAGE")
    celery = stack.executor == CELERY
    database = f"airflow:{secrets['CHISTA_AIRFLOW_DB_PASSWORD']}@{HOST}:{ports['postgres']}/airflow"
    return {
        "AIRFLOW_HOME": str(stack.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(stack.root / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": secrets["CHISTA_AIRFLOW_FERNET_KEY"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{stack.airflow_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_password_file(stack)),
        "AIRFLOW__API__BASE_URL": stack.airflow_url,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports["airflow"]),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["CHISTA_AIRFLOW_JWT_SECRET"],
        "AIRFLOW__API__SECRET_KEY": secrets["CHISTA_AIRFLOW_JWT_SECRET"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(stack.airflow_home / "logs"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports["airflow_worker_logs"]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports["airflow_triggerer_logs"]),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": HOST,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(ports["airflow_scheduler_health"]),
        **({"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": _bundles(more_dags)} if more_dags else {}),
        **(_lineage(stack, traced.split(",")) if traced else {}),
        **(_celery(stack, database) if celery else {}),
    }


def _bundles(more_dags: str) -> str:
    """The DAGs folder, and a second folder of DAGs beside it."""
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return json.dumps(
        [
            {"name": "dags-folder", "classpath": local, "kwargs": {}},
            {"name": "more-dags", "classpath": local, "kwargs": {"path": more_dags}},
        ]
    )


def _lineage(stack: Stack, dag_ids: Sequence[str]) -> dict[str, str]:
    """OpenLineage events of these DAGs, a line each, beside the logs. Of others only that somebody has set a state by hand:
    the provider tells of that whatever the policy is.

    Not by default: while any DAG is told of, each task of every DAG imports OpenLineage's listener, a second of its time.
    """
    policy = [
        {"scope": {}, "controls": {"emit": False}},
        *({"scope": {"dag_id": dag_id}, "controls": {"emit": True}} for dag_id in dag_ids),
    ]
    file = {"type": "file", "log_file_path": str(stack.logs / "openlineage.jsonl"), "append": True}
    return {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(file),
        "AIRFLOW__OPENLINEAGE__EMISSION_POLICY": json.dumps(policy),
    }


def _celery(stack: Stack, database: str) -> dict[str, str]:
    """Settings of the CeleryExecutor; ``database``: user, password and place of the metadata database."""
    broker = f":{stack.secrets['CHISTA_REDIS_PASSWORD']}@{HOST}:{stack.ports['redis']}"
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://{broker}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
        # Seconds to hand a task to Redis; one, the default, is not always enough on a busy machine.
        "AIRFLOW__CELERY__OPERATION_TIMEOUT": "10",
        # Redis gives a task that is not done after this to another worker too; none of the stack's takes a day.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    }


def process_environment(stack: Stack) -> dict[str, str]:
    """The whole environment of an Airflow process of this stack, its connections included."""
    return {
        **read_env_file(stack.config / "airflow" / "airflow.env"),
        **places(stack),
        **connection_environment(stack),
        "PATH": f"{stack.venv / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONUNBUFFERED": "1",
        # For airflow_local_settings.py; the containers mount it where Airflow looks by itself.
        "PYTHONPATH": str(stack.config / "airflow"),
    }


def _password_file(stack: Stack) -> Path:
    return stack.airflow_home / "simple-auth-passwords.json"


def _airflow(stack: Stack, *words: str) -> list[str]:
    return [str(stack.venv / "bin" / "airflow"), *words]


def _prepare(stack: Stack) -> None:
    """Bring the metadata database to this version of Airflow; the first of the four processes does it for all."""
    stamp = stack.airflow_home / "migrated"
    wanted = f"{stack.versions['AIRFLOW_VERSION']} {environment.stamp_of(stack)}"
    with locked(stack.airflow_home / ".prepare.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        write_private(_password_file(stack), json.dumps({"admin": stack.secrets["CHISTA_AIRFLOW_PASSWORD"]}))
        run(_airflow(stack, "db", "migrate"), env=process_environment(stack))
        stamp.write_text(wanted)


class _Heartbeat:
    """Looks for a fresh heartbeat of a component's newest job, as ``airflow jobs check`` does at many times the cost."""

    def __init__(self, job_type: str) -> None:
        self.job_type = job_type

    def __call__(self, stack: Stack, since: float) -> str | None:
        answer = psql(
            stack,
            "airflow",
            "-c",
            "SELECT extract(epoch FROM latest_heartbeat) FROM job "
            f"WHERE job_type = '{self.job_type}' AND state = 'running' ORDER BY start_date DESC LIMIT 1",
        ).strip()
        beat = float(answer or 0)
        if beat >= since and beat >= time.time() - _HEARTBEAT_SECONDS:
            return None
        return (
            f"{self.job_type} has no heartbeat"
            if not answer
            else f"{self.job_type}'s last heartbeat is {time.time() - beat:.0f} s old"
        )


def _api_problem(stack: Stack, since: float) -> str | None:
    url = f"{stack.airflow_url}/api/v2/monitor/health"
    status, body = http_answer(url)
    if status != 200:
        return f"{url}: {status or 'no answer'} {body[:200].decode(errors='replace')}"
    database = json.loads(body)["metadatabase"]["status"]
    return None if database == "healthy" else f"metadata database: {database}"


def _scheduler_problem(stack: Stack, since: float) -> str | None:
    """Its health server answers for the newest scheduler of the database, which may be a predecessor: both must be well."""
    address = f"http://{HOST}:{stack.ports['airflow_scheduler_health']}/health"
    return http_problem(address) or _Heartbeat("SchedulerJob")(stack, since)


def _worker_problem(stack: Stack, since: float) -> str | None:
    """A worker that waits for tasks, or has taken as many as it can, is a client of Redis whose last command was BRPOP."""
    try:
        clients = redis.cli(stack, "client", "list")
    except StackError as error:
        return error.reason()
    return None if " cmd=brpop " in clients else "no worker takes tasks from Redis"


def _service(
    name: str,
    ports: tuple[str, ...],
    words: tuple[str, ...],
    healthy: HealthCheck,
    after: tuple[str, ...] = ("postgres",),
) -> Service:
    return Service(
        name=name,
        ports=ports,
        install=environment.ensure,
        prepare=_prepare,
        command=lambda stack: _airflow(stack, *words),
        environment=process_environment,
        healthy=healthy,
        after=after,
        # Scheduler, DAG processor and triggerer end themselves when their database is away for some seconds.
        comes_back=True,
    )


AIRFLOW = (
    _service("airflow-api", ("airflow",), ("api-server",), _api_problem),
    _service(
        "airflow-scheduler",
        ("airflow_scheduler_health",),
        ("scheduler", "--skip-serve-logs"),
        _scheduler_problem,
    ),
    _service("airflow-dag-processor", (), ("dag-processor",), _Heartbeat("DagProcessorJob")),
    _service("airflow-triggerer", (), ("triggerer", "--skip-serve-logs"), _Heartbeat("TriggererJob")),
)

WORKER = _service(
    "airflow-worker",
    (),
    ("celery", "worker", "--skip-serve-logs", "--celery-hostname", "chista@%h"),
    _worker_problem,
    after=("postgres", "redis"),
)
