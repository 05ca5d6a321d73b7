"""Many processes, and many machines: what is lost costs a retry."""

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from nbverdict.classroom.pools import PoolError, pool
from support.classes import POINTS
from support.grading import expect_all, finished, free_port, run, start


def wait_for_port(address, seconds=30):
    """Return when something listens at an address such as tcp://127.0.0.1:80."""
    host, port = address.removeprefix("tcp://").split(":")
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, address
            time.sleep(0.1)


@pytest.fixture
def dask(tmp_path):
    """A function that starts a Dask scheduler or worker as a process of its own."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    processes = []
    with (tmp_path / "dask.log").open("w") as log:

        def run(kind, *words):
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words, "--no-dashboard"]
            streams = {"stdout": log, "stderr": log, "start_new_session": True}
            processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **streams))
            return processes[-1]

        yield run
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def scheduler(dask):
    """The address of a Dask scheduler, and its process."""
    port = free_port()
    return f"tcp://127.0.0.1:{port}", dask("scheduler", "--host", "127.0.0.1", "--port", str(port))


@pytest.fixture
def workers(dask, scheduler):
    """Two workers of that scheduler."""
    words = (scheduler[0], "--nthreads", "1", "--no-nanny", "--death-timeout", "60")
    return [dask("worker", *words) for _ in range(2)]


def test_a_cluster_gives_the_same_and_a_lost_worker_costs_a_retry(course, scheduler, workers):
    process = start(course, "--scheduler", scheduler[0])
    workers[0].kill()
    finished(process, 0)
    expect_all(course)


def test_a_lost_process_of_this_machine_costs_a_retry(course):
    process = start(course, "--jobs", "2")
    grader = psutil.Process(process.pid)
    next(p for p in grader.children() if p.cmdline() == grader.cmdline()).kill()  # a fork of it
    finished(process, 0)
    expect_all(course)


def test_a_missing_scheduler_is_named(course):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(PoolError, match="no Dask scheduler answers at tcp://127"), pool(1, "tcp://127.0.0.1:1", wait=1):
        pass


def test_a_scheduler_without_workers_is_named(scheduler):
    address, _ = scheduler
    wait_for_port(address)
    wanted = f"has no worker; start one with: dask worker {address}"
    with pytest.raises(PoolError, match=wanted), pool(1, address, wait=3):
        pass


def test_a_lost_scheduler_ends_the_run_and_what_was_graded_stays(course, scheduler, workers):
    process = start(course, "--scheduler", scheduler[0])
    scheduler[1].kill()
    said = finished(process, 2)
    assert f"lost the scheduler at {scheduler[0]}" in said
    assert "Traceback" not in said
    recorded = list((course / "grades" / "gauss").glob("*.json"))
    assert 1 <= len(recorded) < len(POINTS)
    assert f"{len(recorded)} of them unchanged" in run(course, "--jobs", "1").stdout
    expect_all(course)


def test_workers_are_forks_that_share_what_was_prepared_and_compare_on_one_thread():
    import torch

    before = torch.get_num_threads()
    try:
        with pool(2, prepare=lambda: torch.set_num_threads(2)) as executor:
            assert executor.submit(torch.get_num_threads).result() == 1
            assert executor.submit(os.getppid).result() == os.getpid()
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
