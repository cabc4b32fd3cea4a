"""Running other programs, and files that are whole or not there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stack.errors import StackError

# As much of a failed program's output as helps: its last lines.
_TAIL_LINES = 25


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    hint: str = "",
) -> str:
    """Run a program to its end and return what it printed (both streams).

    ``env`` is added to this process's environment.

    :raises StackError: with the end of the output when the program is missing or its status is not zero.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise StackError(f"{words[0]}: not found. {hint}".strip()) from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        name = " ".join(Path(word).name for word in words[:2])
        raise StackError(f"{name} ended with status {done.returncode}. {hint}\n{tail}".strip())
    return done.stdout


def streamed(
    command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end, show what it prints as it prints it, and return its status and its last line with a text.

    ``env`` is added to this process's environment. What interrupts the wait ends the program too.
    """
    last = ""
    with subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                last = line.rstrip() or last
        except BaseException:
            process.terminate()
            raise
    return process.returncode, last


def find_program(name: str, *more_folders: Path) -> Path | None:
    """A program on the PATH, or in the folders that an ordinary user's PATH lacks (``/usr/sbin`` ...)."""
    folders = [*more_folders, *map(Path, os.get_exec_path()), Path("/usr/sbin"), Path("/sbin")]
    found = shutil.which(name, path=os.pathsep.join(map(str, folders)))
    return Path(found) if found else None


@contextmanager
def staged_folder(target: Path, mode: int = 0o755) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` in one rename when the block ends well and vanishes when it does not.

    The caller holds a lock, so that one process at a time stages a target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # What a killed predecessor left: callers hold a lock on the target, so nobody is filling it now.
    for abandoned in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging
        staging.chmod(mode)
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(name, path)
