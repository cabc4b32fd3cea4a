"""Bringing services up in the right order, and looking after them."""

import contextlib
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from stack import downloads, processes
from stack.errors import StackError
from stack.prerequisites import other_versions
from stack.services import SERVICES
from stack.services.base import Service
from stack.settings import HOST, Stack
from stack.supervisor import Supervisor

_POLL_SECONDS = 0.2
_PORT_SECONDS = 3
_LOG_TAIL_LINES = 15

# Of the launcher's environment a service gets these only: no secret of another service, nothing of a developer's shell.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TZ", "USER", processes.MARK)

# The consumers of other services end first, then those.
_STOP_ORDER = (
    (
        "airflow-scheduler",
        "airflow-worker",
        "airflow-triggerer",
        "airflow-dag-processor",
        "airflow-api",
        "connect",
    ),
    ("kafka", "registry", "clickhouse", "mysql", "mariadb", "postgres", "redis"),
)


def say(text: str) -> None:
    """A line of progress on standard error, so that standard output stays for answers."""
    print(text, file=sys.stderr, flush=True)


def up(stack: Stack, services: list[Service]) -> None:
    """Fetch, prepare, start and set up these services; those that are up already are left alone.

    :raises StackError: when a port is taken, or a service does not become healthy in its time.
    """
    began = time.monotonic()
    supervisor = Supervisor(stack)
    stack.data.mkdir(parents=True, exist_ok=True)
    with downloads.locked(stack.data / ".up.lock"):
        supervisor.recover()
        _refuse_taken_ports(stack, supervisor, services)
        _install(stack, services)
        for sentence in other_versions(stack, {service.name for service in services}):
            say(f"  note: {sentence}")
        supervisor.boot()
        _in_order(services, lambda service: _bring_up(stack, supervisor, service))
    say(f"stack is up after {time.monotonic() - began:.1f} s")


def _install(stack: Stack, services: list[Service]) -> None:
    """Fetch what is missing, all at once: it is the network that takes the time."""
    steps: dict[Callable[[Stack], object], str] = {
        downloads.tools: "the launcher",
        **{service.install: service.name for service in reversed(services)},
    }

    def fetch(step: Callable[[Stack], object], name: str) -> None:
        began = time.monotonic()
        step(stack)
        if time.monotonic() - began > 1:
            say(f"  fetched what {name} needs ({time.monotonic() - began:.1f} s)")

    with ThreadPoolExecutor() as pool:
        _first_error([pool.submit(fetch, step, name) for step, name in steps.items()])


def _refuse_taken_ports(stack: Stack, supervisor: Supervisor, services: list[Service]) -> None:
    known = supervisor.known()
    # The ports of a service that was killed just now are free when the last of its threads is gone.
    deadline = time.monotonic() + _PORT_SECONDS
    for service in services:
        if known.get(service.name, {}).get("pid"):
            continue
        for name in service.ports:
            while taken := _taken(stack.ports[name]):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"port {stack.ports[name]} ({name}) is taken by another program: {taken}. "
                        f"Choose another base port: CHISTA_BASE_PORT={stack.base_port + 1000}"
                    )
                time.sleep(_POLL_SECONDS)


def _taken(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror
    return None


def _in_order(services: list[Service], action: Callable[[Service], None]) -> None:
    """Run an action for every service, each as soon as those it comes after are done, the rest at the same time."""
    done = {service.name: threading.Event() for service in services}
    failed = threading.Event()

    def turn(service: Service) -> None:
        try:
            for needed in service.after:
                while needed in done and not done[needed].wait(_POLL_SECONDS):
                    if failed.is_set():
                        return
            if not failed.is_set():
                action(service)
            done[service.name].set()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max_workers=len(services) or 1) as pool:
        _first_error([pool.submit(turn, service) for service in services])


def _first_error(jobs: Iterable[Future[None]]) -> None:
    try:
        finished, _ = wait(jobs, return_when=FIRST_EXCEPTION)
    except KeyboardInterrupt:
        # Without waiting for the other threads: everything is made so that it may be cut off anywhere.
        os._exit(130)
    errors = [error for job in finished if (error := job.exception()) is not None]
    if errors:
        raise errors[0]


def _bring_up(stack: Stack, supervisor: Supervisor, service: Service) -> None:
    began = time.monotonic()
    if problem(stack, supervisor, service) is not None:
        if not supervisor.running(service.name):
            service.prepare(stack)
            supervisor.start(service.name)
        wait_healthy(stack, supervisor, service)
    service.set_up(stack)
    say(f"  {service.name} ({time.monotonic() - began:.1f} s)")


def problem(stack: Stack, supervisor: Supervisor, service: Service) -> str | None:
    """None when the service runs and answers, else what is wrong with it."""
    info = supervisor.known().get(service.name)
    if info is None or not info["pid"]:
        return f"not running ({info['statename'].lower() if info else 'no supervisord'})"
    try:
        return service.healthy(stack, float(info["start"]))
    except StackError as error:
        return error.reason()


def wait_healthy(
    stack: Stack, supervisor: Supervisor, service: Service, seconds: float | None = None
) -> None:
    """Wait until a service answers.

    :raises StackError: when its process ends or its time is over, with the end of its log.
    """
    deadline = time.monotonic() + (seconds or service.start_seconds)
    while True:
        seen = problem(stack, supervisor, service)
        if seen is None:
            return
        if not supervisor.running(service.name):
            raise StackError(f"{service.name} ended while it was started.\n{log_tail(stack, service.name)}")
        if time.monotonic() > deadline:
            waited = f"{service.name} is not healthy after {seconds or service.start_seconds:.0f} s: {seen}"
            raise StackError(f"{waited}\n{log_tail(stack, service.name)}")
        time.sleep(_POLL_SECONDS)


def log_tail(stack: Stack, name: str, lines: int = _LOG_TAIL_LINES) -> str:
    """The end of a service's log, under its path."""
    path = stack.logs / f"{name}.log"
    text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
    return "\n".join([f"{path}:", *(f"    {line}" for line in text)])


def start(stack: Stack, service: Service) -> None:
    """Start one service and wait until it is healthy.

    :raises StackError: when the stack is not up, or the service does not become healthy.
    """
    supervisor = Supervisor(stack)
    if not supervisor.alive():
        raise StackError("the stack is not up; python -m stack up  starts it")
    _install(stack, [service])
    _refuse_taken_ports(stack, supervisor, [service])
    _bring_up(stack, supervisor, service)


def down(stack: Stack) -> None:
    """Stop every service and supervisord.

    :raises StackError: when a process stays.
    """
    supervisor = Supervisor(stack)
    for names in _STOP_ORDER:
        supervisor.stop(*names)
    supervisor.shutdown()
    if stack.run != stack.data / "run":
        shutil.rmtree(stack.run, ignore_errors=True)


def clean(stack: Stack) -> None:
    """Stop the stack and remove its data folder; downloads and the environment stay."""
    down(stack)
    remove(stack.data)
    with contextlib.suppress(OSError):
        stack.data.parent.rmdir()


def remove(folder: Path) -> None:
    """Remove a folder that may not be there.

    :raises StackError: when something in it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StackError(f"{folder} cannot be removed: {error}") from error


def become(stack: Stack, service: Service) -> None:
    """Turn this process into a service, under the same pid, once the services that it needs answer.

    Called by supervisord. The services after which it comes are waited for here too, so that any of them can be
    started at any time.
    """
    deadline = time.monotonic() + service.start_seconds
    for name in service.after:
        while SERVICES[name].healthy(stack, 0.0) is not None:
            if time.monotonic() > deadline:
                say(f"{service.name}: {name} does not answer")
                sys.exit(1)
            time.sleep(_POLL_SECONDS)
    command = service.command(stack)
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    folder = stack.data / "work" / service.name
    for needed in (folder, stack.temporary):
        needed.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    # The other end of standard input stays open, whatever the service does with its own: supervisord would poll a dead pipe
    # again and again, on the descriptor of a service that ended before.
    os.set_inheritable(os.dup(0), True)
    own = {"TMPDIR": str(stack.temporary), **service.environment(stack)}
    os.execvpe(command[0], command, {**inherited, **own})
