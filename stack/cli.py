"""The command line: ``python -m stack COMMAND``."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from stack import compat, environment, launcher, model, package, prerequisites, site, testrun
from stack.connections import client_environment, shell_exports
from stack.errors import StackError
from stack.services import SERVICES, chosen, named
from stack.services.base import Service
from stack.settings import Stack
from stack.supervisor import Supervisor


def _up(stack: Stack, options: argparse.Namespace) -> int:
    services = chosen(stack, options.only or os.environ.get("CHISTA_SERVICES") or "all")
    prerequisites.ensure(stack, {service.name for service in services})
    launcher.up(stack, services)
    return _status(stack, options)


def _check(stack: Stack, options: argparse.Namespace) -> int:
    services = chosen(stack, options.only or os.environ.get("CHISTA_SERVICES") or "all")
    prerequisites.ensure(stack, {service.name for service in services}, install=False)
    launcher.say("every prerequisite is there")
    return 0


def _venv(stack: Stack, options: argparse.Namespace) -> int:
    prerequisites.ensure(stack, {"airflow-api"})
    environment.ensure(stack)
    return 0


def _status(stack: Stack, options: argparse.Namespace) -> int:
    """One line per service; the status is 1 when one that runs is not healthy, one ended by itself, or nothing runs."""
    supervisor = Supervisor(stack)
    known = supervisor.known()
    well = bool(known)
    for service in SERVICES.values():
        info = known.get(service.name, {"pid": 0, "statename": "STOPPED"})
        ports = " ".join(str(stack.ports[name]) for name in service.ports)
        if info["pid"]:
            seen = launcher.problem(stack, supervisor, service)
            state, detail = (
                ("healthy", f"pid {info['pid']}") if seen is None else ("ill", f"pid {info['pid']}  {seen}")
            )
        else:
            state, detail = info["statename"].lower(), ""
        well = well and state in ("healthy", "stopped")
        print(f"{service.name:22}{state:9}{ports:13}{detail}".rstrip())
    if known:
        print(
            f"ClickHouse  {stack.clickhouse_url}/play   user chista, password {stack.secrets['CHISTA_CLICKHOUSE_PASSWORD']}"
        )
    if known and known["airflow-api"]["pid"]:
        print(
            f"Airflow     {stack.airflow_url}   user admin, password {stack.secrets['CHISTA_AIRFLOW_PASSWORD']}"
        )
    return 0 if well else 1


def _logs(stack: Stack, options: argparse.Namespace) -> int:
    services = [service for name in options.services or ["all"] for service in named(name)]
    files = [str(path) for service in services if (path := stack.logs / f"{service.name}.log").exists()]
    if not files:
        raise StackError(f"there are no logs below {stack.logs}")
    follow = ["-F"] if options.follow else []
    return subprocess.run(["tail", "-n", str(options.lines), *follow, *files], check=False).returncode


def _wait(stack: Stack, options: argparse.Namespace) -> int:
    supervisor = Supervisor(stack)
    running = [name for name, info in supervisor.known().items() if info["pid"]]
    for name in options.services or running:
        for service in named(name):
            launcher.wait_healthy(stack, supervisor, service, options.seconds)
    return 0


def _become(stack: Stack, options: argparse.Namespace) -> int:
    launcher.become(stack, SERVICES[options.services[0]])
    return 0


def _demo(stack: Stack, options: argparse.Namespace) -> int:
    """Replace this process by the demo, in the project's environment and with the stack's connections."""
    python = str(stack.venv / "bin" / "python")
    os.chdir(stack.root)
    os.execve(
        python, [python, "-m", "stack.demo", *options.services], {**os.environ, **client_environment(stack)}
    )


def _exec(stack: Stack, options: argparse.Namespace) -> int:
    """Replace this process by a program with the stack's connections in its environment."""
    os.execvpe(options.services[0], options.services, {**os.environ, **client_environment(stack)})


def _test(stack: Stack, options: argparse.Namespace) -> int:
    return testrun.run(stack, options.suite, options.arguments)


def _lint(stack: Stack, options: argparse.Namespace) -> int:
    _venv(stack, options)
    return 1 if testrun.lint(stack) else 0


def _package(stack: Stack, options: argparse.Namespace) -> int:
    prerequisites.ensure(stack, {"airflow-api"})
    package.package(stack)
    return 0


def _compat(stack: Stack, options: argparse.Namespace) -> int:
    prerequisites.ensure(stack, {"airflow-api"})
    return 0 if compat.check(stack, options.services) else 1


def _docs(stack: Stack, options: argparse.Namespace) -> int:
    prerequisites.ensure(stack, {"airflow-api"})
    site.build(stack)
    return 0


def _model(stack: Stack, options: argparse.Namespace) -> int:
    prerequisites.ensure(stack, {prerequisites.MODEL})
    cases = model.RIGHT + model.FAULTS + (model.LONG if options.long else ())
    surprises = model.check(cases, launcher.say, stories=options.stories)
    launcher.say(f"{len(cases) - len(surprises)} of {len(cases)} searches ended as expected")
    return 1 if surprises else 0


def _env(stack: Stack, options: argparse.Namespace) -> int:
    print(shell_exports(stack), end="")
    return 0


def _whole(action: Callable[[Stack], None]) -> Callable[[Stack, argparse.Namespace], int]:
    def command(stack: Stack, options: argparse.Namespace) -> int:
        action(stack)
        return 0

    return command


def _each(action: Callable[[Stack, Service], None]) -> Callable[[Stack, argparse.Namespace], int]:
    def command(stack: Stack, options: argparse.Namespace) -> int:
        for name in options.services:
            for service in named(name):
                action(stack, service)
        return 0

    return command


def _restart(stack: Stack, service: Service) -> None:
    Supervisor(stack).stop(service.name)
    launcher.start(stack, service)


_COMMANDS: dict[str, tuple[Callable[[Stack, argparse.Namespace], int], str]] = {
    "up": (_up, "fetch, prepare and start the services, wait until all answer, set them up"),
    "down": (_whole(launcher.down), "stop everything; the data stays"),
    "clean": (_whole(launcher.clean), "stop everything and remove the data"),
    "status": (_status, "what runs, where, and whether it is healthy"),
    "logs": (_logs, "the end of the services' logs"),
    "wait": (_wait, "wait until the running services (or the named ones) are healthy"),
    "start": (_each(launcher.start), "start services and wait until they answer"),
    "stop": (
        _each(lambda stack, service: Supervisor(stack).stop(service.name)),
        "stop services in good order",
    ),
    "restart": (_each(_restart), "stop, then start"),
    "kill": (
        _each(lambda stack, service: Supervisor(stack).kill(service.name)),
        "end services at once, as a power cut would (SIGKILL)",
    ),
    "pause": (
        _each(lambda stack, service: Supervisor(stack).signal(service.name, signal.SIGSTOP)),
        "freeze services: they keep their ports but answer nothing (SIGSTOP)",
    ),
    "resume": (
        _each(lambda stack, service: Supervisor(stack).signal(service.name, signal.SIGCONT)),
        "let paused services go on (SIGCONT)",
    ),
    "env": (_env, 'print the environment that reaches the stack, for  eval "$(python -m stack env)"'),
    "check": (_check, "look for what the machine lacks, and say how to mend it"),
    "venv": (_venv, "make or renew .venv: Airflow and the provider"),
    "lock": (_whole(environment.lock), "resolve the Python packages anew and write stack/constraints.txt"),
    "lint": (_lint, "run every linter"),
    "test": (_test, "run tests on a stack of their own, started before and removed after"),
    "package": (
        _package,
        "build wheel and sdist into dist/, install the wheel by itself and look at it there",
    ),
    "compat": (
        _compat,
        "run the unit tests with the oldest and the newest versions that pyproject.toml allows",
    ),
    "docs": (_docs, "build the pages of docs/ as a site, strictly"),
    "model": (_model, "check the model of the purge protocol, and that its seeded faults are found"),
    "exec": (_exec, "run a program with the environment of  env"),
    "demo": (_demo, "run stack.demo against the running stack"),
    "become": (_become, "become a service (this is what supervisord calls)"),
}
_NEED_SERVICES = ("start", "stop", "restart", "kill", "pause", "resume", "become")
_TAKE_SERVICES = ("logs", "wait")
_TAKE_ENVIRONMENTS = ("compat",)
_TAKE_A_PROGRAM = ("demo", "exec")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stack", description="The services of the demo and the tests."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, explanation) in _COMMANDS.items():
        command = commands.add_parser(name, help=explanation, description=explanation)
        if name in _NEED_SERVICES or name in _TAKE_SERVICES:
            command.add_argument("services", nargs="+" if name in _NEED_SERVICES else "*")
        if name in _TAKE_ENVIRONMENTS:
            command.add_argument("services", metavar="environments", nargs="*")
        if name in _TAKE_A_PROGRAM:
            command.add_argument("services", metavar="arguments", nargs=argparse.REMAINDER)
        if name == "test":
            command.add_argument("suite", nargs="?", choices=sorted(testrun.SUITES), default="all")
            command.add_argument("arguments", metavar="pytest arguments", nargs=argparse.REMAINDER)
        if name in ("up", "check"):
            command.add_argument(
                "--only", help="services or groups, comma-separated (also CHISTA_SERVICES); default all"
            )
        if name == "model":
            command.add_argument("--long", action="store_true", help="search wider bounds too")
            command.add_argument("--stories", action="store_true", help="tell the steps to each violation")
        if name == "logs":
            command.add_argument("-f", "--follow", action="store_true")
            command.add_argument("-n", "--lines", type=int, default=20)
        if name == "wait":
            command.add_argument("--seconds", type=float, default=None)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; a failure that the user can act on is one message, not a traceback."""
    options = _parser().parse_args(arguments)
    run, _ = _COMMANDS[options.command]
    try:
        return run(Stack.from_environment(), options)
    except (StackError, ValueError) as error:
        print(f"stack {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
