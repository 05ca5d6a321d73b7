"""Execute a notebook in a confined kernel, and judge its graded cells from this process."""

import json
import math
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from traitlets import Bool, Enum, Integer, Union
from traitlets.config import Config
from traitlets.config.loader import DeferredConfig

from nbverdict.checks.answers import AnswerError
from nbverdict.checks.assignments import Assignment, AssignmentError, Exercise
from nbverdict.checks.report import Report, Result, Status
from nbverdict.checks.runner import run_checks
from nbverdict.confinement.manager import ConfinedKernelManager
from nbverdict.confinement.provisioner import ConfinedProvisioner
from nbverdict.notebooks.explaining import Handed, other_name, why
from nbverdict.notebooks.release import is_graded_code
from nbverdict.notebooks.repair import STATE
from nbverdict.remote import protocol
from nbverdict.remote.conversation import Conversation, KernelLostError, refuse_lost, why_it_died
from nbverdict.remote.protocol import Reply, Request
from nbverdict.remote.stand_in import KernelAnswer, missing

MOST_WRITTEN = 4 << 20  # characters of one display that is not text, as nbformat writes it: a line for each entry


_MOST_TIMEOUTS = 5  # cells of a notebook that may run out of time, where nbgrader's rules hold


class ExecuteOutside(NotebookClient):
    """Executes a repaired notebook; the source of a graded cell is not run: its exercise is checked from this process.

    Whatever the student's code does to its kernel, the kernel can only answer our calls with data, late, or not at all.
    The score and the report are written by this process after the kernel has answered. After `run`, `reports` has the
    report of each graded cell by name.

    Options are taken from the sections `ExecuteOutside` and `Execute` of a configuration; the latter is nbgrader's own.
    """

    everything = Bool(False, help="Also execute what comes after the last graded cell; nothing there is graded.").tag(
        config=True
    )
    seed = Integer(None, allow_none=True, help="Repeats the inputs of an earlier run; unset, they are new.").tag(
        config=True
    )
    rehearse = Bool(True, help="Refuse a release whose solution does not earn all points when it is graded.").tag(
        config=True
    )
    stock = Union(
        [Bool(), Enum(["nbgrader"])],
        default_value=False,
        help="Run graded code cells without checks in the student's confined kernel. True: a cell earns the number of "
        "points that it shows. 'nbgrader': it is graded as nbgrader does, all points unless it raises an error, prints "
        "to stderr or shows a smaller number. False: refuse such cells.",
    ).tag(config=True)

    def __init__(self, notebook: NotebookNode, assignment: Assignment, config: Config) -> None:
        super().__init__(
            notebook,
            kernel_manager_class=ConfinedKernelManager,
            config=_options(config),
            allow_errors=True,
            on_cell_executed=_add_error,
        )
        self._assignment = assignment
        self._abandoned = False
        self.reports: dict[str, Report] = {}
        self.longest: dict[str, float] = {}

    def abandon(self) -> None:
        """End the execution from another thread: the kernel ends, and what is left of the notebook does not run."""
        self._abandoned = True
        if self.km is not None and self.km.provisioner is not None:
            run_sync(self.km.provisioner.kill)()

    def run(self, folder: Path) -> NotebookNode:
        """Execute the notebook in a copy of a folder, judge its graded cells, and return it."""
        for cell, index in self.graded_cells(folder):
            self._judge(cell, index)
        return self.nb

    def graded_cells(self, folder: Path) -> Generator[tuple[NotebookNode, int], None, None]:
        """Execute the notebook in a copy of a folder, and yield each graded cell, with its place, when its turn comes.

        Until the next one is asked for, `answer_to` gives the answers that the notebook has defined so far.
        """
        nb = self.nb
        self.resources = {"metadata": {"path": str(folder)}}
        state = nb.metadata.get(STATE, {})
        self._handed = Handed(state.get("imports", {}), state.get("parameters", {}))
        self._repairs = tuple(Result(**found) for found in state.get("repairs", ()))
        self._conversation: Conversation | None = None
        # Why nothing of this notebook runs any more.
        self._ended: AnswerError | None = AnswerError(*state["refused"]) if "refused" in state else None
        self._lost: KernelLostError | None = None
        self._out_of_time, self._timeouts, self._first_error = False, 0, ""
        self._unreadable: list[tuple[str, str]] = []  # the source of a cell that is no Python, and why
        self.reports = {}
        graded = [
            index
            for index, cell in enumerate(nb.cells)
            if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade")
        ]
        self._last = graded[-1] if graded and not self.everything else len(nb.cells)
        self.reset_execution_trackers()
        if self._ended:
            yield from self._taken()
            return
        with self.setup_kernel():
            assert self.kc is not None
            about = self.wait_for_reply(self.kc.kernel_info())
            assert about is not None
            nb.metadata["language_info"] = about["content"]["language_info"]
            yield from self._taken()
        self.set_widgets_metadata()

    def answer_to(self, exercise: Exercise) -> KernelAnswer:
        """Return the answer to an exercise, as the notebook's kernel has it now."""
        return KernelAnswer(exercise, self._ask)

    def _taken(self) -> Iterator[tuple[NotebookNode, int]]:
        """Yield graded cells; execute others, or say in their output why they were not executed."""
        for index, cell in enumerate(self.nb.cells):
            if self._abandoned:
                return
            if is_graded_code(cell):
                yield cell, index
            elif cell.cell_type == "code" and index <= self._last:
                self._execute(cell, index)

    def start_new_kernel_client(self) -> Any:
        """Connect to the kernel, make sure that it is a confined one, and prepare it for requests."""
        assert self.km is not None
        provisioner = self.km.provisioner
        if not isinstance(provisioner, ConfinedProvisioner):
            raise RuntimeError(f"the kernel was started by {type(provisioner).__name__}, not confined")
        try:
            client = super().start_new_kernel_client()
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its last words: {provisioner.last_words or 'none'}") from error
        self.log.info(provisioner.confinement.summary())
        self._conversation = Conversation(client, self.km)
        self._conversation.prepare(self._assignment.values, self.startup_timeout)
        return client

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take in what a kernel published, if it can be written to a file of a sensible size."""
        msg["content"] = _writable(msg["content"])
        return super().process_message(msg, cell, cell_index)

    def _execute(self, cell: NotebookNode, index: int) -> None:
        if self._ended or self._out_of_time:
            why = "an earlier cell ran out of time" if self._out_of_time else str(self._ended)
            cell.outputs = [new_output("stream", text=f"Not executed: {why.rstrip('.')}.\n")]
            return
        try:
            self.execute_cell(cell, index, store_history=True)
        except Exception as error:  # the kernel ended, or sent what no kernel sends
            refuse_lost(self.km)
            by_itself = isinstance(error, DeadKernelError)
            self._ended = AnswerError("died", why_it_died(self.km, by_itself=by_itself))
            cell.outputs = [*cell.get("outputs", []), new_output("stream", text=f"{self._ended}\n")]
        # Keep the first error for the reports, and see whether the kernel is still of use after a timeout.
        for output in cell.get("outputs", []):
            if output.output_type == "error" and not self._first_error and not is_graded_code(cell):
                self._first_error = f"{output.ename}: {output.evalue}"[:300] if output.evalue else output.ename
            if output.output_type == "error" and output.ename in ("SyntaxError", "IndentationError", "TabError"):
                what, _, line = str(output.evalue)[:300].rpartition(", line ")
                where = f" in line {line.rstrip(')')}: {what.rpartition(' (')[0]}" if line else f": {output.evalue}"
                self._unreadable.append((cell.source, where))
            if output.get("ename") == self.error_on_timeout["ename"] and not self._out_of_time:
                self._timeouts += 1
                # nbgrader goes on with the next cell; one that runs out of time again and again is given up.
                self._out_of_time = self.stock != "nbgrader" or self._timeouts >= _MOST_TIMEOUTS
                if self._conversation:
                    self._conversation.rouse()
                    self._ended = self._ended or self._conversation.ended

    def _judge(self, cell: NotebookNode, index: int) -> None:
        """Write the report of a graded cell, and show it with the score where nbgrader reads it."""
        name = cell.metadata.nbgrader.grade_id
        shown: list[NotebookNode] = []
        if exercise := self._assignment.exercises.get(name):
            try:
                answer = self.answer_to(exercise)
                report = run_checks(exercise, answer, seed=self.seed, more=self._repairs)
                self.longest[name] = answer.longest
            finally:
                if self._conversation:
                    self._conversation.pause()
            if self._lost:
                raise self._lost
        elif self.stock:
            self._execute(cell, index)
            shown = cell.get("outputs", [])
            report = Report(name, (*self._repairs, self._own_score(cell)), 0)
        else:
            raise AssignmentError(f"nobody has checks for the graded code cell {name!r}")
        if report.max_score != float(cell.metadata.nbgrader.points):
            raise AssignmentError(
                f"the graded cell {name!r} has {cell.metadata.nbgrader.points:g} points, but its checks add up to "
                f"{report.max_score:g}: the release is older than the checks. Run `nbgrader generate_assignment "
                "--force`"
            )
        self.reports[name] = report
        self.code_cells_executed += 1
        cell.execution_count = self.code_cells_executed
        score = new_output("execute_result", data=report.as_output(), execution_count=cell.execution_count)
        cell.outputs = [score, *shown]  # nbgrader takes the first result for the score

    def _ask(self, request: Request, seconds: float) -> Reply:
        """Ask the student's kernel."""
        if self._ended:
            raise self._ended
        assert self._conversation is not None
        try:
            reply = self._conversation.ask(request, seconds)
        except KernelLostError as lost:  # which no check may take for a mistake of the answer
            self._lost, self._ended = lost, AnswerError("died", str(lost))
            raise self._ended from lost
        finally:
            self._ended = self._ended or self._conversation.ended
        if isinstance(reply, protocol.Missing):
            name = request.answer
            for source, problem in self._unreadable:
                if re.search(rf"\b(def|class)\s+{name}\b", source):
                    raise AnswerError("error", f"The cell of {name} has a syntax error{problem}.")
            message = missing(name, reply)
            if not reply.instead and (other := other_name(name, self.nb.cells, self._handed)):
                message += f" {other}"
            if self._first_error and repr(name) not in self._first_error:  # which would say the same once more
                reason = why(self._first_error, self.nb.cells, self._handed)
                message += f" An earlier cell stopped with {self._first_error}" + f" {reason}" * bool(reason)
            raise AnswerError("missing", message)
        if isinstance(reply, protocol.Failed) and (reason := why(reply.error, self.nb.cells, self._handed)):
            return protocol.Failed(f"{reason}\n{reply.error}")  # the first line is shown as the cause
        return reply

    def _raised(self, output: NotebookNode) -> str:
        """Return what a cell raised: the line where it did if that says more, and what stopped an earlier cell."""
        text = f"{output.ename}: {output.evalue}"[:300]
        if not output.evalue:
            plain = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(map(str, output.get("traceback", [])))[:20_000])
            lines = re.findall(r"^-+> *\d+ (.*)$", plain, flags=re.MULTILINE)
            text = f"{output.ename} in the line {lines[-1].strip()[:200]}" if lines else output.ename
        if self._first_error and not text.startswith(self._first_error[:100]):
            text += f". An earlier cell stopped with {self._first_error}"
        return text

    def _own_score(self, cell: NotebookNode) -> Result:
        """Return what a graded cell without checks earns by its own output."""
        points, lenient = float(cell.metadata.nbgrader.points), self.stock == "nbgrader"
        name = "The cell runs without an error" if lenient else "The number of points that this cell shows"

        def result(status: Status, message: str = "", earned: float = 0.0) -> Result:
            return Result(name, status, earned, points, message, inside=True)

        if self._ended:
            return result(self._ended.status, str(self._ended))
        if self._out_of_time:
            return result("timeout", "This cell, or one before it, ran out of time.")
        for output in cell.outputs:
            if output.output_type == "error":
                return result("error", self._raised(output))
            if output.output_type == "stream" and output.name == "stderr":
                return result("error", f"It printed to stderr: {output.text[:300]}")
            if output.output_type == "execute_result":
                shown = str(output.data.get("text/plain", ""))[:300]
                try:
                    earned = float(shown)
                except ValueError:
                    earned = math.nan
                if 0 <= earned <= points:
                    message = "" if earned == points else f"It showed {shown}."
                    return result("passed" if earned == points else "wrong", message, earned)
                if lenient and not earned > points:  # no number, or a negative one
                    return result("passed", earned=points)
                return result("wrong", f"It showed {shown}, which is no number from 0 to {points:g}.")
        if lenient:
            return result("passed", earned=points)
        return result("wrong", f"It showed nothing; its last line must be a number from 0 to {points:g}.")


def option(config: Config, name: str) -> Any:
    """Return an option of ExecuteOutside; on a command line it is still text, of which traitlets makes its value."""
    trait = ExecuteOutside.class_traits()[name]
    value = config.ExecuteOutside.get(name, trait.default())
    return value.get_value(trait) if isinstance(value, DeferredConfig) else value


def _options(config: Config) -> Config:
    """Return a configuration whose section `ExecuteOutside` has what the section `Execute` says, too."""
    names = ExecuteOutside.class_trait_names(config=True)
    options = Config()
    for section in ("Execute", "ExecuteOutside"):
        found = config.get(section, {})
        # Functions are for nbgrader's own commands.
        options.ExecuteOutside.update({n: found[n] for n in names if n in found and not callable(found[n])})
    options.ConfinedProvisioner = config.ConfinedProvisioner
    return options


def _add_error(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """Add the error with which a cell ended to its outputs, where it has published none: after a timeout."""
    reply = execute_reply["content"]
    if reply["status"] != "error" or any(output.get("ename") == reply["ename"] for output in cell.outputs):
        return
    traceback = reply["traceback"] or ["ERROR: An error occurred while showtraceback was disabled"]
    cell.outputs.append(new_output("error", ename=reply["ename"], evalue=reply["evalue"], traceback=traceback))


def _writable(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a message without lone surrogates, and without displays that grow out of bounds.

    A nested display takes a line for each entry, with as many spaces as it is deep: a hundred times what was sent.
    """
    for part in ("data", "metadata"):
        found: dict[str, Any] = content[part] if isinstance(content.get(part), dict) else {}
        for name in [name for name, value in found.items() if _written(value) > MOST_WRITTEN]:
            del found[name]
            if part == "data":
                left_out = f"Left out: {name}, more than {MOST_WRITTEN >> 20} MiB when it is written."
                found["text/plain"] = f"{left_out}\n{found.get('text/plain', '')}"
    text = json.dumps(content, ensure_ascii=False)
    whole = text.encode("utf-8", "replace")
    return content if whole.decode() == text else json.loads(whole)


def _written(value: object) -> int:
    """Return how many characters a value takes as indented JSON, or more than `MOST_WRITTEN` once it is known to."""
    if isinstance(value, str):
        return 0  # it is text, which other bounds hold
    total, waiting = 0, [(value, 1)]
    while waiting and total <= MOST_WRITTEN:
        one, depth = waiting.pop()
        total += depth + (len(one) if isinstance(one, str) else 8)
        if isinstance(one, dict):
            total += sum(map(len, map(str, one)))
            waiting += [(part, depth + 1) for part in one.values()]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
    return total
