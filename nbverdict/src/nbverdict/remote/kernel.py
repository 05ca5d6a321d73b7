"""The grader's code in a student's kernel: calls the answer there and sends back, as data, what it returned.

Nothing is decided here, and nothing from here is trusted: the student's code may change every line of it. What it says
is read by `nbverdict.remote.stand_in`, in the grader's process.
"""

import io
import itertools
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import zmq
from IPython import get_ipython

from nbverdict.checks.answers import explain, items_of, named_error, nearest, not_callable, unwritten, usual_settings
from nbverdict.remote import protocol
from nbverdict.remote.protocol import Mark, Reply, Request
from nbverdict.remote.wire import Held, decode, encode, plain_text


class Session:
    """What the grader's side keeps in one kernel, from the first request to the last."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}  # classes of the assignment's own, by name
        self.held = Held()
        self.instances: dict[int, Any] = {}
        self.graphs: dict[int, tuple[dict[int, Any], list[Any]]] = {}  # call -> learned inputs by number, results
        self.line: zmq.Socket[bytes] | None = None  # the socket on which requests come
        self._numbers = itertools.count()

    def define(self, values: str) -> None:
        """Define the assignment's own classes, from the source of its `values.py`."""
        where = Path(__file__).with_name("values.py")  # so that its lines are not taken for the student's
        exec(compile(values, where, "exec"), self.values)

    def listen(self, address: str) -> str:
        """Open a socket for requests, and return its address, in which a port is a number."""
        line: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PAIR)
        line.linger = 0
        line.bind(address)
        self.line = line
        sys.path.append(os.getcwd())  # modules that a student hands in; last, so that they hide nothing
        # exit() and its like would stop the kernel's loop a tenth of a second later, amid whatever runs then.
        get_ipython().unobserve_all("exit_now")
        return str(line.getsockopt_string(zmq.LAST_ENDPOINT))

    def serve(self) -> None:
        """Answer requests with the names of the student's notebook, until one is empty.

        A call of the answer takes as long as its own work: what a kernel does around a cell is done once for all calls.
        """
        assert self.line is not None
        while True:
            with suppress(KeyboardInterrupt):  # it came too late for the call that it was for
                number, request = self.line.recv_multipart()
                if not request:
                    return
                self.line.send_multipart([number, self.reply_to(request).encode()])

    def reply_to(self, request: str | bytes) -> str:
        """Do what the grader asks, and return the reply; requests and replies are JSON."""
        return protocol.to_json(self._reply(protocol.request_from(request)))

    def _reply(self, asked: Request) -> Reply:
        name, namespace = asked.answer, get_ipython().user_ns
        if name not in namespace:
            return protocol.Missing(nearest(name, namespace))
        answer = namespace[name]
        if not callable(answer):
            return protocol.Failed(plain_text(not_callable(name, answer)))
        try:
            with usual_settings():
                return _WORK[type(asked)](self, answer, asked)
        except BaseException as error:  # an interrupt too: the grader knows whether it sent one
            return protocol.Failed(plain_text(explain(name, error)), unwritten(error), named_error(error))

    def construct(self, answer: Any, asked: protocol.Construct) -> Reply:
        """Call the answer and keep what it made here."""
        number = next(self._numbers)
        args, kwargs = (decode(data, values=self.values, held=self.held) for data in (asked.args, asked.kwargs))
        self.instances[number] = answer(*args, **kwargs)
        return protocol.Constructed(number)

    def length(self, answer: Any, asked: protocol.Length) -> Reply:
        """Return the length of an object that was made here."""
        return protocol.Returned(encode(len(self.instances[asked.instance])))

    def items(self, answer: Any, asked: protocol.Items) -> Reply:
        """Return items of an object that was made here."""
        return protocol.Returned(encode(items_of(self.instances[asked.instance], asked.indices, asked.workers)))

    def call(self, answer: Any, asked: protocol.Call) -> Reply:
        """Call the answer; return its result, and keep its graph for `backward`."""
        inputs: dict[int, Any] = {}
        learned: dict[int, Any] = {}

        def keep(value: Any, mark: Mark) -> Any:
            inputs.setdefault(mark.number, value)
            if mark.learned:
                learned[mark.number] = inputs[mark.number].requires_grad_()
            return inputs[mark.number]

        args, kwargs = (decode(data, keep, values=self.values, held=self.held) for data in (asked.args, asked.kwargs))
        if asked.printed:
            said = io.StringIO()
            with redirect_stdout(said):
                answer(*args, **kwargs)
            return protocol.Called(encode(said.getvalue()), next(self._numbers))
        result = answer(*args, **kwargs)
        number = next(self._numbers)
        results: list[Any] = []

        def mark(tensor: Any) -> Mark | None:
            if not getattr(tensor, "requires_grad", False):  # an array has no gradient
                return None
            results.append(tensor)
            return Mark(len(results) - 1, learned=True)

        value = encode(result, mark, items=asked.items)
        if results:
            self.graphs[number] = learned, results
        return protocol.Called(value, number)

    def backward(self, answer: Any, asked: protocol.Backward) -> Reply:
        """Return the gradients of the learned inputs of an earlier call."""
        import torch  # where there are gradients, it has been imported

        learned, results = self.graphs[asked.call]
        try:
            found = torch.autograd.grad(
                [results[i] for i in asked.gradients],
                list(learned.values()),
                [decode(gradient) for gradient in asked.gradients.values()],
                retain_graph=True,
                allow_unused=True,
            )
        except RuntimeError as error:  # the answer's operations allow no gradient; the check explains it
            return protocol.NoGradients(plain_text(str(error)))
        return protocol.Gradients({i: encode(gradient) for i, gradient in zip(learned, found, strict=True)})


_WORK: dict[type[Request], Callable[[Session, Any, Any], Reply]] = {
    protocol.Construct: Session.construct,
    protocol.Length: Session.length,
    protocol.Items: Session.items,
    protocol.Call: Session.call,
    protocol.Backward: Session.backward,
}
SESSION = Session()  # of the kernel that imports this module
