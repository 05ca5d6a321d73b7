"""Asking a student's kernel, and what to do where it is late, dead, or does not stop when it is interrupted."""

import itertools
from contextlib import suppress
from typing import Any

import zmq
from jupyter_core.utils import run_sync

from nbverdict.checks.answers import AnswerError, too_long
from nbverdict.clock import Clock
from nbverdict.remote import protocol
from nbverdict.remote.protocol import Reply, Request

_AFTER_INTERRUPT = 3.0  # seconds until a kernel that does not stop is ended
_HAND = '__import__("nbverdict.remote.kernel", fromlist=["SESSION"]).SESSION'


class KernelLostError(RuntimeError):
    """A kernel has ended through no doing of its notebook; the submission is to be graded again."""


class Conversation:
    """Requests to one kernel, on a line of their own beside a Jupyter client's.

    While the kernel answers on that line, it executes nothing else; `pause` lets it. `ended` says why it no longer
    answers; None while it does.
    """

    def __init__(self, client: Any, manager: Any) -> None:
        self._client, self._manager = client, manager
        # The sockets themselves: a turn of an event loop for each message would take longer than most calls.
        self._shell: zmq.Socket[bytes] = zmq.Socket.shadow(client.shell_channel.socket.underlying)
        self._iopub: zmq.Socket[bytes] = zmq.Socket.shadow(client.iopub_channel.socket.underlying)
        # Of the manager's context, which bounds each message, and closes its sockets when the kernel has ended.
        self._line: zmq.Socket[bytes] = manager.context.socket(zmq.PAIR, socket_class=zmq.Socket)
        self._poller = zmq.Poller()
        for channel in (self._shell, self._iopub, self._line):
            self._poller.register(channel, zmq.POLLIN)
        self._serving: str | None = None  # the message that made the kernel listen on the line
        self._numbers = itertools.count(1)
        self.ended: AnswerError | None = None

    def prepare(self, values: str, seconds: float) -> None:
        """Let the kernel listen, and know the assignment's own values, before any line of the student's runs.

        Raises RuntimeError if the kernel cannot.
        """
        inside, outside = self._manager.provisioner.line
        found = self._evaluate(f"[{_HAND}.define({values!r}), {_HAND}.listen({inside!r})][1]", seconds)
        if found["status"] != "ok":
            raise RuntimeError(f"a kernel cannot listen for calls: {found.get('ename')}: {found.get('evalue')}")
        self._line.connect(outside or found["data"]["text/plain"].strip("'"))

    def ask(self, request: Request, seconds: float) -> Reply:
        """Return the kernel's reply; raise AnswerError if there is none in time, or none that can be read.

        Raises KernelLostError where the kernel was ended by a failure of ours.
        """
        if self.ended:
            raise self.ended
        try:
            self._serving = self._serving or self._execute(f"{_HAND}.serve()")
            number = str(next(self._numbers)).encode()
            self._line.send_multipart([number, protocol.to_json(request).encode()], zmq.NOBLOCK)
            return protocol.reply_from(self._answered(self._serving, number, seconds))
        except (AnswerError, KernelLostError):
            raise
        except TimeoutError:
            raise AnswerError("timeout", too_long(request.answer, seconds)) from None
        except Exception as error:  # the reply is not one that `nbverdict.remote.kernel` gives
            raise AnswerError("error", "The kernel gave no readable reply; its own workings were changed.") from error

    def pause(self) -> None:
        """Let the kernel execute cells again; it listens on the line at the next request."""
        if self._serving and not self.ended:
            with suppress(AnswerError, TimeoutError, zmq.Again):
                self._line.send_multipart([b"0", b""], zmq.NOBLOCK)
                self._answered(self._serving, None, _AFTER_INTERRUPT)
        self._serving = None

    def rouse(self) -> None:
        """See whether a kernel whose cell ran out of time answers again; if not, interrupt it and finally end it."""
        with suppress(AnswerError, TimeoutError):
            self._evaluate("1", _AFTER_INTERRUPT)

    def _evaluate(self, expression: str, seconds: float) -> Any:
        """Evaluate an expression in the kernel and return what it sent; errors are those of `_answered`."""
        return self._answered(self._execute(expression), None, seconds)

    def _execute(self, expression: str) -> str:
        return str(
            self._client.execute(
                "", silent=True, store_history=False, user_expressions={"reply": expression}, allow_stdin=False
            )
        )

    def _answered(self, asked: str, number: bytes | None, seconds: float) -> Any:
        """Wait for what comes on the line with this number, or else for what came of the expression `asked`.

        If it is late, interrupt the kernel and raise TimeoutError; if that does not help, end the kernel and raise
        AnswerError.
        """
        manager = self._manager
        clock, limit, late = Clock(), seconds, False
        while True:
            ready = dict(self._poller.poll(200))
            if self._iopub in ready:  # output during a call belongs to no cell
                self._iopub.recv_multipart(zmq.NOBLOCK)
            found = None
            if self._line in ready:
                told, *content = self._line.recv_multipart(zmq.NOBLOCK)
                if told == number and len(content) == 1:
                    found = content[0]
            if self._shell in ready:
                with suppress(Exception):  # not a valid message: a dozen kinds, for a thousand ways
                    _, message = self._client.session.recv(self._shell)
                    if message["parent_header"].get("msg_id") == asked:
                        self._serving = None  # whatever it evaluated has ended
                        found = found or message["content"]["user_expressions"]["reply"]
            if found is not None:
                if late:
                    raise TimeoutError
                return found
            if clock.seconds() > limit:
                if late:
                    run_sync(manager.shutdown_kernel)(now=True)
                    self.ended = AnswerError("timeout", "A call did not end, not even when it was interrupted.")
                    raise self.ended
                clock, limit, late = Clock(), _AFTER_INTERRUPT, True
                run_sync(manager.interrupt_kernel)()
            elif not ready and not run_sync(manager.is_alive)():
                refuse_lost(manager)
                self.ended = AnswerError("died", why_it_died(manager))
                raise self.ended


def refuse_lost(manager: Any) -> None:
    """Raise KernelLostError if an ended kernel was ended by a failure of ours."""
    if failure := getattr(manager.provisioner, "failure", None):
        raise KernelLostError(failure)


def why_it_died(manager: Any, *, by_itself: bool = True) -> str:
    """Return what is known of the end of a kernel, as a sentence; `by_itself` is False if a client gave it up."""
    provisioner = getattr(manager, "provisioner", None)
    if reason := getattr(provisioner, "reason", None):
        return f"The notebook's process was ended: {reason}."
    if not by_itself:
        return "The notebook's process sent messages that no kernel sends."
    return "The notebook's process ended by itself, for example by os._exit or a crash in compiled code."
