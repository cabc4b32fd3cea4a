"""``make model``: check the model of the purge protocol (docs/model) by SPIN, and that each seeded fault is refuted."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stack.errors import StackError

MODEL = Path(__file__).parents[1] / "docs" / "model" / "purge.pml"

_DEPTH = 10_000
_STORY = re.compile(r" *(?:application|drain|run): .*")


@dataclass(frozen=True)
class Case:
    """One search of all states within its bounds.

    :param what: in words; of a fault, what is broken.
    :param bounds: macros of the model with numbers.
    :param switches: macros of the model that are only defined.
    :param refuted: whether the search must find a violated property.
    :param stuck: whether a state without a way on counts as violated; not where rows were lost by an accident.
    """

    what: str
    bounds: Mapping[str, int]
    switches: tuple[str, ...] = ()
    refuted: bool = False
    stuck: bool = True

    @property
    def defined(self) -> list[str]:
        """Arguments that choose this case, for spin."""
        return [f"-D{name}={number}" for name, number in self.bounds.items()] + [
            f"-D{name}" for name in self.switches
        ]


@dataclass(frozen=True)
class Outcome:
    """What the search of a case found.

    :param violated: the property that does not hold; empty when all do. :param story: the steps that lead there.
    """

    case: Case
    states: int
    seconds: float
    violated: str = ""
    story: list[str] = field(default_factory=list)

    @property
    def expected(self) -> bool:
        """Whether the right protocol holds, or the fault is refuted."""
        return bool(self.violated) == self.case.refuted

    def __str__(self) -> str:
        verdict = "violated" if self.violated else "holds"
        told = "as expected" if self.expected else "NOT AS EXPECTED"
        name = " ".join(word.removeprefix("-D") for word in self.case.defined)
        return (
            f"{verdict:9}{told:16}{self.states:>10,} states {self.seconds:6.1f} s  {self.case.what} ({name})"
        )


_ONE_RUN = {"CHANGES": 3, "PROOFS": 2, "CRASHES": 1}
_SHORT = {"CHANGES": 2, "PROOFS": 2, "CRASHES": 1}
_ACCIDENT = {"CHANGES": 1, "PROOFS": 1, "CRASHES": 1}
_TWINS = {"CHANGES": 1, "PROOFS": 1, "CRASHES": 1}
_TWO_RUNS = {"CHANGES": 1, "PROOFS": 2, "RUNS": 2}

RIGHT = (
    Case("tasks tried again from any step and runs cleared, beside the application", _ONE_RUN),
    Case("contents that come back, such as A, B, A", _SHORT, ("SAME_CONTENT",)),
    Case("two tasks purge one batch at once", _TWINS, ("SAME_CONTENT", "TWIN")),
    Case("two runs of one window at once", {**_TWO_RUNS, "CRASHES": 0}),
    Case("two keys", {"KEYS": 2, "CHANGES": 1, "PROOFS": 1, "CRASHES": 1}),
    Case("a row disappears from the archive behind its proof", _ACCIDENT, ("ACCIDENT",), stuck=False),
)

LONG = (
    Case("two crashes", {**_ONE_RUN, "CRASHES": 2}),
    Case("two runs of one window and a crash", {**_TWO_RUNS, "CRASHES": 1}),
    Case("two keys", {"KEYS": 2, "CHANGES": 2, "PROOFS": 1, "CRASHES": 1}),
    Case("two tasks purge one batch", {**_TWINS, "CHANGES": 2}, ("TWIN",)),
)

FAULTS = (
    Case("a delete without the comparison of hashes", _ONE_RUN, ("NO_GUARD",), refuted=True),
    Case("the purge log is written behind the commit", _ONE_RUN, ("LOG_APART",), refuted=True),
    Case("deletes are matched with the log by their key alone", _ONE_RUN, ("MATCH_BY_KEY",), refuted=True),
    Case(
        "deletes are decided before the log is at the barrier", _SHORT, ("LOG_BEHIND",), refuted=True, stuck=False
    ),
    Case("a delete hides newer versions of its key too", _ONE_RUN, ("BLIND_DELETE",), refuted=True),
    Case("a position is recorded before the insert", _ONE_RUN, ("POSITION_FIRST",), refuted=True),
    Case(
        "a purge does not look whether the archive still has the row",
        _ACCIDENT, ("ACCIDENT", "NO_PRESENCE"), refuted=True, stuck=False,
    ),
    Case("intents are lost", _ONE_RUN, ("NO_INTENT",), refuted=True),
    Case("a purge that goes on does not read the source's log", _ONE_RUN, ("NO_RECOVERY",), refuted=True),
    Case("purged rows are known by their proven version alone", _SHORT, ("SAME_CONTENT", "BY_VERSION"), refuted=True),
    Case("a key counts once in a batch's log", _TWINS, ("SAME_CONTENT", "TWIN", "ONE_ENTRY"), refuted=True),
    Case("batches of runs that are still purging are sealed", {**_TWO_RUNS, "CRASHES": 1}, ("SEAL_ALL",), refuted=True),
)  # fmt: skip


def search(case: Case) -> Outcome:
    """Search all states of a case, or up to the first violated property.

    :raises StackError: spin or the compiler failed, or the search was not exhaustive.
    """
    with tempfile.TemporaryDirectory(prefix="chista-model-") as folder:
        shutil.copy(MODEL, folder)
        begun = time.monotonic()
        _run(["spin", "-a", *case.defined, MODEL.name], folder)
        optimised = "-O0" if case.refuted else "-O1"
        _run(["gcc", optimised, "-w", "-DSAFETY", "-DCOLLAPSE", "-DNOFAIR", "-o", "pan", "pan.c"], folder)
        printed = _run(["./pan", f"-m{_DEPTH}", *([] if case.stuck else ["-E"])], folder)
        states = re.search(r"(\S+) states, stored", printed)
        errors = re.search(r"errors: (\d+)", printed)
        if states is None or errors is None or "max search depth too small" in printed:
            raise StackError(f"the search of {case.what} was not exhaustive:\n{printed}")
        violated, story = "", []
        if errors.group(1) != "0":
            violated = next(line for line in printed.splitlines() if line.startswith("pan:1:"))
            told = _run(["spin", "-k", f"{MODEL.name}.trail", *case.defined, MODEL.name], folder)
            story = [line.strip() for line in told.splitlines() if _STORY.fullmatch(line)]
        return Outcome(case, int(float(states.group(1))), time.monotonic() - begun, violated, story)


def check(
    cases: Iterable[Case], tell: Callable[[str], None] = print, *, stories: bool = False
) -> list[Outcome]:
    """Search the cases, two at once, and tell what was found; return what was not expected.

    :param stories: tell the steps to each violated property, not only to those that were not expected.
    """
    surprises = []
    with ThreadPoolExecutor(2) as pool:
        for outcome in pool.map(search, cases):
            tell(str(outcome))
            if outcome.violated and (stories or not outcome.expected):
                for line in [outcome.violated, *outcome.story]:
                    tell(f"    {line}")
            if not outcome.expected:
                surprises.append(outcome)
    return surprises


def _run(command: list[str], folder: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError:
        raise StackError(f"{command[0]} not found; on Debian or Ubuntu: apt-get install spin gcc") from None
    if done.returncode and command[0] != "./pan":
        raise StackError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout
