"""A training run that can be resumed: its parts, its generators, and its history, in one file."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from lab_utils.errors import LabError
from nbverdict.files import write_whole


class Stateful(Protocol):
    """A model, an optimiser, a schedule: what can be saved and restored."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class CheckpointError(LabError, RuntimeError):
    """A checkpoint cannot be used; the message says which file, why, and what to do."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers and text, in dicts and lists, with a checksum before them."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_whole(path, hashlib.sha256(buffer.getbuffer()).digest() + buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Return what `save_state` wrote, on the CPU; runs no code from the file.

    Raises FileNotFoundError, and CheckpointError for a file that is cut off or changed.
    """
    content = path.read_bytes()
    checksum, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != checksum:
        raise CheckpointError(f"{path} is damaged: its checksum is wrong. Delete it to start anew.")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


@dataclass(frozen=True)
class Checkpoint:
    """A run of training in one file: its parts, the generators, and the history, from which the epoch follows.

    `settings` says which run it is, in numbers and text; the checkpoint of another run is refused.
    """

    path: Path
    settings: Mapping[str, Any]

    def save(self, history: Sequence[Mapping[str, float]], **parts: Stateful) -> None:
        """Write the state after an epoch, whole or not at all."""
        state = {
            "settings": dict(self.settings),
            "history": [dict(row) for row in history],
            "generators": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }
        save_state(self.path, state)

    def resume(self, **parts: Stateful) -> list[dict[str, float]]:
        """Restore parts and generators from the file and return the history; without a file, change nothing: [].

        Raises CheckpointError if the file is damaged or of another run; then nothing has been changed. Raises it, too,
        if a part does not fit, for example a model of another width; then no part can be used any more.
        """
        try:
            state = load_state(self.path)
        except FileNotFoundError:
            return []
        wanted, found = dict(self.settings), state["settings"]
        different = [name for name in wanted | found if wanted.get(name) != found.get(name)]
        if different or state["parts"].keys() != parts.keys():
            differences = ", ".join(f"{name} {found.get(name)} there, {wanted.get(name)} here" for name in different)
            raise CheckpointError(
                f"{self.path} is of another run ({differences or 'other parts'}). Delete it, or give this run a file "
                "of its own."
            )
        for name, part in parts.items():
            try:
                part.load_state_dict(state["parts"][name])
            except (RuntimeError, ValueError, LookupError) as error:
                problem = f"{self.path} holds another {name} ({error})"
                raise CheckpointError(f"{problem}. Delete it, or give this run a file of its own.") from error
        torch.set_rng_state(state["generators"]["cpu"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["generators"]["cuda"])
        history: list[dict[str, float]] = state["history"]
        return history
