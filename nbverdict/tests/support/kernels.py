"""Confined kernels for tests."""

import json
import os
import queue
import textwrap
import time
from pathlib import Path
from typing import Any, cast

import psutil
from jupyter_client.manager import KernelManager
from traitlets.config import Config

from nbverdict.confinement.warm import Warm

MODES = {
    "bubblewrap": ("bubblewrap", "landlock", "seccomp", "uid"),
    "unshare": ("unshare", "landlock", "seccomp", "uid"),
    "landlock": ("landlock", "seccomp", "uid"),
}


class Kernel:
    """A confined kernel that answers code with (status, text)."""

    def __init__(self, folder: Path, mechanisms: tuple[str, ...], **traits: Any) -> None:
        config = Config(ConfinedProvisioner={"mechanisms": list(mechanisms), **traits})
        self.manager = KernelManager(kernel_name="python3", config=config)
        spec = self.manager.kernel_spec
        assert spec is not None
        spec.metadata["kernel_provisioner"] = {"provisioner_name": "confined-provisioner"}
        self.manager.start_kernel(cwd=str(folder))
        self.provisioner = cast("Any", self.manager.provisioner)
        self.private = Path(self.provisioner._private)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, timeout: float = 40, interrupt_after: float = 1e9) -> tuple[str, str]:
        said: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] not in ("status", "execute_input"):
                said.append(content.get("text") or json.dumps(content.get("data", content.get("traceback"))))

        code = textwrap.dedent(code)
        request = self.client.execute(code)
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < timeout:
            if now > interrupt_after:
                self.manager.interrupt_kernel()
                interrupt_after = 1e9
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                if not self.manager.is_alive():
                    return "died", "".join(said)
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                while (reply := self.client.get_shell_msg(timeout=5))["parent_header"].get("msg_id") != request:
                    pass  # an answer to wait_for_ready
                return reply["content"]["status"], "".join(said)
            hook(message)
        return "timeout", "".join(said)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def named(name: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[0] == name]


def opens(place: str) -> bool:
    try:
        os.close(os.open(place, os.O_RDONLY))
    except OSError:
        return False
    return True


def expect_nothing_runs(preload: list[str]) -> None:
    """Expect of a warm process with these modules that it runs no thread and no process, and ends with its owner."""
    warm = Warm(preload, {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "HOME": "/nonexistent", "MPLCONFIGDIR": "/tmp"})
    warm.start()
    process = psutil.Process(warm._process.pid)
    try:
        warm.fork({"log": os.devnull}).wait()  # it has imported everything before it forks
        assert process.num_threads() == 1
        assert process.children() == []
    finally:
        warm.close()
    assert warm._process.returncode == 0
