"""What a grader asks of a student's kernel, and what it may reply: every message, in the order of a grading.

A request names the answer that it is about. `Data` is a value as `nbverdict.remote.wire` writes it. Replies come from
a process that a student controls: their shape is checked when they are read, their content is data.
"""

from typing import Any

import msgspec

Data = Any  # JSON-ready, written and read by `nbverdict.remote.wire`


class Mark(msgspec.Struct, frozen=True):
    """The number by which later messages refer to a tensor or an array.

    Inputs of a call and its results are numbered separately, each from 0. `learned`: it takes part in backward, as an
    input whose gradient will be asked for or as a result that depends on one.
    """

    number: int
    learned: bool


# --- requests --------------------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, tag=True):
    """What every request has."""

    answer: str  # the name of a function or class in the student's notebook


class Construct(Request, frozen=True):
    """Call a class, and keep the object that it makes. Reply: `Constructed`."""

    args: Data
    kwargs: Data


class Length(Request, frozen=True):
    """Ask an object for its length. Reply: `Returned`."""

    instance: int


class Items(Request, frozen=True):
    """Ask an object for the items at these indices. Reply: `Returned`, with a list.

    With workers, these processes read them, as those of a `DataLoader` do, one after the other.
    """

    instance: int
    indices: list[int]
    workers: int = 0


class Call(Request, frozen=True):
    """Call a function. Tensors and arrays carry a `Mark`. Reply: `Called`."""

    args: Data
    kwargs: Data
    items: int = 0  # what is taken of an iterator that it returns, at most
    printed: bool = False  # what it prints is asked for, not what it returns


class Backward(Request, frozen=True):
    """Ask for the gradients of the learned inputs of an earlier call, given those of its results. Reply: `Gradients`,
    or `NoGradients`."""

    call: int
    gradients: dict[int, Data]  # number of a result -> gradient of the loss with respect to it


# --- replies ---------------------------------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True, tag=True):
    """What every reply has: nothing."""


class Constructed(Reply, frozen=True):
    """The object that was made, by its number in the kernel."""

    instance: int


class Returned(Reply, frozen=True):
    """A value of the student's code."""

    value: Data


class Called(Reply, frozen=True):
    """The result of a call; its tensors that depend on learned inputs carry a `Mark`."""

    value: Data
    call: int  # the number by which `Backward` refers to this call


class Gradients(Reply, frozen=True):
    """The gradients of the learned inputs, by number; None where a result does not depend on the input."""

    gradients: dict[int, Data]


class NoGradients(Reply, frozen=True):
    """The answer's own operations allow no gradient, for this reason."""

    problem: str


class Missing(Reply, frozen=True):
    """The notebook does not define the answer, but perhaps something of nearly the same name."""

    instead: str = ""


class Failed(Reply, frozen=True):
    """The student's code raised an error, as described here."""

    error: str
    unwritten: bool = False  # it was what a released stub raises
    raised: tuple[str, str] = ("", "")  # module and name of the exception's class, or of one that it derives from


ANY_REQUEST = Construct | Length | Items | Call | Backward
ANY_REPLY = Constructed | Returned | Called | Gradients | NoGradients | Missing | Failed


def to_json(message: Request | Reply) -> str:
    """Return a message as JSON text."""
    return msgspec.json.encode(message).decode()


def request_from(text: str | bytes) -> Request:
    """Return the request behind JSON text."""
    request: Request = msgspec.json.decode(text, type=ANY_REQUEST)
    return request


def reply_from(text: str | bytes) -> Reply:
    """Return the reply behind JSON text. Raises an exception of some kind for text that is not a reply."""
    reply: Reply = msgspec.json.decode(text, type=ANY_REPLY)
    return reply
