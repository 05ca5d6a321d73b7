"""Asking a student's kernel, and what to do where it is late, dead, or does not stop when it is interrupted."""

from contextlib import suppress
from time import monotonic
from typing import Any

import zmq
from jupyter_core.utils import run_sync

from autograder.checking.answers import AnswerError
from autograder.confinement.guard import LONGEST_TURN
from autograder.remote import protocol
from autograder.remote.kernel import MIME
from autograder.remote.protocol import Reply, Request

_AFTER_INTERRUPT = 3.0  # seconds until a kernel that does not stop is ended
_HAND = "autograder.remote.kernel"


class Conversation:
    """Requests to one kernel through a Jupyter client. `ended` says why it no longer answers; None while it does."""

    def __init__(self, client: Any, manager: Any) -> None:
        self._client, self._manager = client, manager
        self.ended: AnswerError | None = None

    def prepare(self, values: str, seconds: float) -> None:
        """Import what answers requests, with the assignment's own values, before any line of the student's runs.

        Raises RuntimeError if the kernel cannot.
        """
        call = f'__import__("{_HAND}", fromlist=["prepare"]).prepare({values!r})'
        found = self._evaluate(call, seconds)
        if found["status"] != "ok":
            raise RuntimeError(f"a kernel cannot import {_HAND}: {found.get('ename')}: {found.get('evalue')}")

    def ask(self, request: Request, seconds: float) -> Reply:
        """Return the kernel's reply; raise AnswerError if there is none in time, or none that can be read."""
        if self.ended:
            raise self.ended
        call = f'__import__("{_HAND}", fromlist=["serve"]).serve({protocol.to_json(request)!r})'
        try:
            return protocol.reply_from(self._evaluate(call, seconds)["data"][MIME])
        except AnswerError:
            raise
        except TimeoutError:
            message = f"A call of {request.answer} took longer than {seconds:g} s. Is there a loop that never ends?"
            raise AnswerError("timeout", message) from None
        except Exception as error:  # the reply is not one that `autograder.remote.kernel` gives
            raise AnswerError("error", "The kernel gave no readable reply; its own workings were changed.") from error

    def rouse(self) -> None:
        """See whether a kernel whose cell ran out of time answers again; if not, interrupt it and finally end it."""
        with suppress(AnswerError, TimeoutError):
            self._evaluate("1", _AFTER_INTERRUPT)

    def _evaluate(self, expression: str, seconds: float) -> Any:
        """Evaluate an expression in the kernel and return what it sent.

        If it is late, interrupt it and raise TimeoutError; if that does not help, end the kernel and raise AnswerError.
        """
        client, manager = self._client, self._manager
        expressions = {"reply": expression}
        asked = client.execute("", silent=True, store_history=False, user_expressions=expressions, allow_stdin=False)
        left, before, late = seconds, monotonic(), False
        # The sockets themselves: a turn of an event loop for each message would take longer than most calls.
        shell: zmq.Socket[bytes] = zmq.Socket.shadow(client.shell_channel.socket.underlying)
        iopub: zmq.Socket[bytes] = zmq.Socket.shadow(client.iopub_channel.socket.underlying)
        poller = zmq.Poller()
        poller.register(shell, zmq.POLLIN)
        poller.register(iopub, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(200))
            if iopub in ready:  # output during a call belongs to no cell
                iopub.recv_multipart(zmq.NOBLOCK)
            if shell in ready:
                with suppress(ValueError, TypeError, KeyError):  # not a valid message
                    _, message = client.session.recv(shell)
                    if message["parent_header"].get("msg_id") == asked:
                        if late:
                            raise TimeoutError
                        return message["content"]["user_expressions"]["reply"]
            now = monotonic()
            left, before = left - min(now - before, LONGEST_TURN), now
            if left < 0:
                if late:
                    run_sync(manager.shutdown_kernel)(now=True)
                    self.ended = AnswerError("timeout", "A call did not end, not even when it was interrupted.")
                    raise self.ended
                late, left = True, _AFTER_INTERRUPT
                run_sync(manager.interrupt_kernel)()
            elif not ready and not run_sync(manager.is_alive)():
                self.ended = AnswerError("died", why_it_died(manager))
                raise self.ended


def why_it_died(manager: Any, *, by_itself: bool = True) -> str:
    """Return what is known of the end of a kernel, as a sentence; `by_itself` is False if a client gave it up."""
    provisioner = getattr(manager, "provisioner", None)
    if reason := getattr(provisioner, "reason", None):
        return f"The notebook's process was ended: {reason}."
    if not by_itself:
        return "The notebook's process sent messages that no kernel sends."
    return "The notebook's process ended by itself, for example by os._exit or a crash in compiled code."
