"""How nbgrader executes a submission: in a confined kernel, with the graded cells judged from this process."""

import json
import sys
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

import nbformat
import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Any as Any_
from traitlets import Bool, Integer, Type

from autograder.answers import AnswerError
from autograder.confinement.guard import LONGEST_TURN
from autograder.confinement.provisioner import ConfinedProvisioner
from autograder.exercises import EXERCISES, Exercise
from autograder.grading import run_checks
from autograder.kernel import MIME
from autograder.remote import KernelAnswer
from autograder.report import Result
from autograder.submission import STATE

MOST_MESSAGE = 16 << 20  # bytes of one message from a kernel; the figures of a notebook have less than 1 MiB each
_AFTER_INTERRUPT = 3.0  # seconds until a kernel that does not stop is ended
_SPEC = KernelSpec(
    argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    display_name="Python 3, confined",
    language="python",
    metadata={"kernel_provisioner": {"provisioner_name": "confined-provisioner"}},
)


class PromptKernelClient(AsyncKernelClient):
    """Knows that a kernel is ready from its own word; its base waits for a fifth of a second of silence."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel answers, and when what it publishes arrives; raise RuntimeError if it does not."""
        deadline = monotonic() + (timeout or float("inf"))
        while monotonic() < deadline:
            asked = self.kernel_info()
            with suppress(Empty):
                await self.get_shell_msg(timeout=1)
                while True:  # until it publishes that it is idle again, after which it is silent
                    said = await self.get_iopub_msg(timeout=0.05)
                    if (said["parent_header"].get("msg_id"), said["content"].get("execution_state")) == (asked, "idle"):
                        return
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel did not reply in {timeout:g} seconds")


class ConfinedKernelManager(AsyncKernelManager):
    """Starts this Python, confined, whatever kernel a notebook, a home folder or the environment names."""

    client_factory = Type(PromptKernelClient)

    @property
    def kernel_spec(self) -> KernelSpec:
        """This Python's kernel."""
        return _SPEC

    def _context_default(self) -> zmq.asyncio.Context:
        context = super()._context_default()
        context.setsockopt(zmq.MAXMSGSIZE, MOST_MESSAGE)  # a larger message never enters this process
        return context


class ExecuteOutside(Execute):  # type: ignore[misc]  # nbgrader has no types
    """Executes a submission; the source of a graded cell is not run: its exercise is checked from here.

    What a student's kernel does to itself is its own affair: here it can only answer calls with data, late, or not at
    all. The score and the report are written by this process after the kernel has answered.
    """

    everything = Bool(False, help="Execute what comes after the last graded cell, too: nothing there is graded.").tag(
        config=True
    )
    seed = Integer(None, allow_none=True, help="Repeats the inputs of an earlier run; fresh ones without.").tag(
        config=True
    )
    executed = Any_(None, help="Notebooks by name that were executed already, or the error that prevented it.").tag(
        config=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("kernel_manager_class", ConfinedKernelManager)
        super().__init__(*args, **kwargs)
        self._ended: AnswerError | None = None  # why nothing of this notebook runs any more
        self._out_of_time = False
        self._first_error = ""

    def preprocess(self, nb: NotebookNode, resources: Any = None, km: Any = None) -> tuple[NotebookNode, ResourcesDict]:
        """Execute a notebook and judge its graded cells, or take it from those that were executed already."""
        if isinstance(self.executed, Exception):
            raise self.executed
        if self.executed is not None:
            return nbformat.reads(self.executed[resources["nbgrader"]["notebook"]], as_version=4), resources
        state = nb.metadata.get(STATE, {})
        self._repairs = tuple(Result(**found) for found in state.get("repairs", ()))
        self._out_of_time, self._first_error = False, ""
        self._ended = AnswerError(*state["refused"]) if "refused" in state else None
        graded = [index for index, cell in enumerate(nb.cells) if graded_exercise(cell)]
        self._last = graded[-1] if graded and not self.everything else len(nb.cells)
        if self._ended:
            for index, cell in enumerate(nb.cells):
                self.preprocess_cell(cell, resources, index)
            return nb, resources
        nb, resources = super().preprocess(nb, resources, km)
        return nb, resources

    async def async_start_new_kernel_client(self) -> Any:
        """Connect to the kernel, make sure that it is a confined one, and put our hand into it."""
        provisioner = self.km.provisioner
        if not isinstance(provisioner, ConfinedProvisioner):
            raise RuntimeError(f"the kernel was started by {type(provisioner).__name__}, not confined")
        try:
            client = await super().async_start_new_kernel_client()
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its last words: {provisioner.last_words or 'none'}") from error
        self.log.info(provisioner.confinement.summary())
        # Before any line of the student's, and before the clock of any call.
        found = await self._converse('__import__("autograder.kernel")', self.startup_timeout)
        if found["status"] != "ok":
            raise RuntimeError(f"a kernel cannot import autograder.kernel: {found.get('evalue')}")
        return client

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        """Judge a graded cell; execute another, or say in its output why it was not executed."""
        if exercise := graded_exercise(cell):
            self._judge(cell, exercise)
        elif cell.cell_type != "code" or index > self._last:
            pass
        elif self._ended or self._out_of_time:
            why = "an earlier cell ran out of time" if self._out_of_time else str(self._ended)
            cell.outputs = [new_output("stream", text=f"Not executed: {why.rstrip('.')}.\n")]
        else:
            try:
                cell, resources = super().preprocess_cell(cell, resources, index)
            except Exception as error:  # the kernel ended, or sent what no kernel sends
                self._ended = AnswerError("died", self._why_it_died(error))
                cell.outputs = [*cell.get("outputs", []), new_output("stream", text=f"{self._ended}\n")]
            self._look_at(cell)
        return cell, resources

    def _look_at(self, cell: NotebookNode) -> None:
        """Keep the first error for the reports, and see whether the kernel is still of use after a timeout."""
        for output in cell.get("outputs", []):
            if output.output_type == "error" and not self._first_error:
                self._first_error = f"{output.ename}: {output.evalue}"[:300] if output.evalue else output.ename
            if output.get("ename") == self.error_on_timeout["ename"] and not self._out_of_time:
                self._out_of_time = True
                with suppress(AnswerError, TimeoutError):
                    run_sync(self._converse)("1", _AFTER_INTERRUPT)

    def _judge(self, cell: NotebookNode, exercise: Exercise) -> None:
        report = run_checks(exercise, KernelAnswer(exercise, self._request), seed=self.seed, more=self._repairs)
        data, metadata = report.as_output()
        self.code_cells_executed += 1
        cell.execution_count = self.code_cells_executed
        cell.outputs = [
            new_output("execute_result", data=data, metadata=metadata, execution_count=cell.execution_count)
        ]

    def _request(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask `autograder.kernel` in the student's kernel."""
        if self._ended:
            raise self._ended
        expression = f'__import__("autograder.kernel", fromlist=["serve"]).serve({json.dumps(request)!r})'
        try:
            reply = json.loads(run_sync(self._converse)(expression, seconds)["data"][MIME])
            if not isinstance(reply, dict):
                raise TypeError
        except AnswerError:
            raise
        except TimeoutError:
            message = f"A call of {request['name']} took longer than {seconds:g} s. Is there a loop that never ends?"
            raise AnswerError("timeout", message) from None
        except Exception as error:  # whatever stands there, it is not what our hand gives
            raise AnswerError("error", "The kernel gave no readable reply; its own workings were changed.") from error
        if reply.get("missing") and self._first_error:
            message = f"{request['name']} is not defined when the check runs: an earlier cell stopped with "
            raise AnswerError("missing", message + self._first_error)
        return reply

    async def _converse(self, expression: str, seconds: float) -> Any:
        """Evaluate an expression in the kernel and return what it sent.

        When late, interrupt it, and raise TimeoutError; if that does not help, end the kernel, and raise AnswerError.
        """
        client, manager = self.kc, self.km
        expressions = {"reply": expression}
        asked = client.execute("", silent=True, store_history=False, user_expressions=expressions, allow_stdin=False)
        left, before, late = seconds, monotonic(), False
        poller = zmq.asyncio.Poller()
        for channel in client.shell_channel, client.iopub_channel:
            poller.register(channel.socket, zmq.POLLIN)
        while True:
            with suppress(Empty, ValueError, TypeError, KeyError):  # no message, whatever it is
                ready = dict(await poller.poll(200))
                if client.iopub_channel.socket in ready:  # prints during a call are nobody's output
                    await client.iopub_channel.get_msg(timeout=0)
                if client.shell_channel.socket in ready:
                    message = await client.shell_channel.get_msg(timeout=0)
                    if message["parent_header"].get("msg_id") == asked:
                        if late:
                            raise TimeoutError
                        return message["content"]["user_expressions"]["reply"]
            now = monotonic()
            left, before = left - min(now - before, LONGEST_TURN), now
            if left < 0:
                if late:
                    await manager.shutdown_kernel(now=True)
                    self._ended = AnswerError("timeout", "A call did not end, not even when it was interrupted.")
                    raise self._ended
                late, left = True, _AFTER_INTERRUPT
                await manager.interrupt_kernel()
            elif not await manager.is_alive():
                self._ended = AnswerError("died", self._why_it_died())
                raise self._ended

    def _why_it_died(self, error: Exception | None = None) -> str:
        """Return what is known of the end of the kernel, as a sentence."""
        provisioner = getattr(self.km, "provisioner", None)
        if reason := getattr(provisioner, "reason", None):
            return f"The notebook's process was ended: {reason}."
        if error and not isinstance(error, DeadKernelError):
            return "The notebook's process sent messages that no kernel sends."
        return "The notebook's process ended by itself, for example by os._exit or a crash in compiled code."


def graded_exercise(cell: NotebookNode) -> Exercise | None:
    """Return the exercise of a cell; its marks are those of the release, see `autograder.submission`."""
    marks = cell.metadata.get("nbgrader", {})
    return EXERCISES.get(marks.get("grade_id", "")) if marks.get("grade") and cell.cell_type == "code" else None
