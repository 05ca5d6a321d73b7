"""Waiting for a kernel, by a clock that halts with the machine."""

import asyncio
from queue import Empty

import pytest

from nbverdict.confinement.manager import PatientChannel, PromptKernelClient


class Halting:
    """A socket that has a message in its n-th turn; in each, the machine is halted for an hour."""

    def __init__(self, monkeypatch, last):
        self.turns, self.last, self.now = 0, last, 0.0
        monkeypatch.setattr("nbverdict.clock.monotonic", lambda: self.now)

    async def poll(self, milliseconds):
        self.turns, self.now = self.turns + 1, self.now + 3600
        return self.turns == self.last


def test_a_halted_machine_costs_no_cell_its_time(monkeypatch):
    channel = PatientChannel.__new__(PatientChannel)  # which asks for a socket of ZeroMQ's
    socket = channel.socket = Halting(monkeypatch, last=20)
    monkeypatch.setattr(channel, "_recv", lambda: asyncio.sleep(0, "a message"))
    assert asyncio.run(channel.get_msg(timeout=60)) == "a message"
    assert socket.turns == 20
    socket = channel.socket = Halting(monkeypatch, last=None)
    with pytest.raises(Empty):
        asyncio.run(channel.get_msg(timeout=60))
    assert socket.turns == 60  # each counts a second


def test_a_halted_machine_costs_no_kernel_its_start(monkeypatch):
    client, asked = PromptKernelClient(), []
    socket = Halting(monkeypatch, last=None)

    async def late(timeout):
        await socket.poll(timeout)
        if socket.turns < 10:
            raise Empty

    said = {"parent_header": {"msg_id": "asked"}, "content": {"execution_state": "idle"}}
    monkeypatch.setattr(client, "kernel_info", lambda: asked.append(1) or "asked")
    monkeypatch.setattr(client, "get_shell_msg", late)
    monkeypatch.setattr(client, "get_iopub_msg", lambda timeout: asyncio.sleep(0, said))
    monkeypatch.setattr(client, "is_alive", lambda: asyncio.sleep(0, True))
    asyncio.run(client.wait_for_ready(timeout=60))
    assert len(asked) == 10
    socket.turns = -1000
    with pytest.raises(RuntimeError, match="did not reply in 60 seconds"):
        asyncio.run(client.wait_for_ready(timeout=60))
