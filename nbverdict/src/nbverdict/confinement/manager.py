"""How a Jupyter client starts a confined kernel of this Python, and how it learns that the kernel is ready."""

import sys
from contextlib import suppress
from queue import Empty
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

from nbverdict.clock import LONGEST_TURN, Clock

MOST_MESSAGE = 16 << 20  # bytes of one message from a kernel; the figures of a notebook have less than 1 MiB each
_SPEC = KernelSpec(
    argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    display_name="Python 3, confined",
    language="python",
    metadata={"kernel_provisioner": {"provisioner_name": "confined-provisioner"}},
)


class PatientChannel(AsyncZMQSocketChannel):
    """Waits by a `Clock`."""

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override]
        """Return the next message; raise queue.Empty if none comes in so many seconds."""
        left = limit = float("inf") if timeout is None else timeout
        clock = Clock()
        while True:
            with suppress(Empty):
                return await super().get_msg(min(max(left, 0), LONGEST_TURN))
            left = limit - clock.seconds()
            if left <= 0:
                raise Empty


class PromptKernelClient(AsyncKernelClient):
    """Learns from the kernel itself that it is ready; the base class waits for a fifth of a second of silence."""

    shell_channel_class = Type(PatientChannel)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel answers and what it publishes arrives; raise RuntimeError if it does not answer."""
        clock = Clock(2 * LONGEST_TURN)  # a turn waits for two messages
        while clock.seconds() < (timeout or float("inf")):
            asked = self.kernel_info()
            with suppress(Empty):
                await self.get_shell_msg(timeout=LONGEST_TURN)
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
