"""Who executes submissions: this process, several on this machine, or a Dask cluster."""

import concurrent.futures
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autograder.confinement.provisioner import use_warm, warm_lines
from autograder.confinement.warm import use_threads
from autograder.notebooks.work import cores

RETRIES = 2  # of a submission whose worker was lost


class PoolError(RuntimeError):
    """There is nobody to execute submissions; the message says what to do."""


class WorkerLost(PoolError):
    """A process of this machine that executed submissions has ended; a new pool may continue."""


@contextmanager
def pool(jobs: int, scheduler: str | None = None, *, wait: int = 30) -> Iterator[concurrent.futures.Executor | None]:
    """Yield an executor of `jobs` processes or of the cluster behind a scheduler; None for one job.

    However the block ends, no process of ours is left, and the workers of a cluster stop working for us. Raises
    PoolError if Dask is not installed, or if the scheduler or a worker does not answer within `wait` seconds;
    WorkerLost if one of our own processes ends. A lost worker of a cluster costs a retry and raises nothing.
    """
    if scheduler:
        yield from _cluster(scheduler, wait)
    elif jobs == 1:
        yield None
    else:
        # More threads than processors wait for each other, most of them at full speed.
        env = {"OMP_NUM_THREADS": str(max(1, cores() // jobs)), **os.environ}
        context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        executor = concurrent.futures.ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_follow, initargs=(env, warm_lines())
        )
        try:
            yield executor
        except concurrent.futures.BrokenExecutor:
            message = "a process that executes submissions was lost; what was graded is recorded. Run again"
            raise WorkerLost(f"{message}, with fewer --jobs if memory was short.") from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _follow(env: dict[str, str], lines: Mapping[Any, Any]) -> None:
    """Make this worker end with the grader, leave Ctrl-C to it, and use its environment and its warm processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it may have been born with Ctrl-C held back
    threading.Thread(target=_end_with_the_grader, daemon=True).start()
    os.environ.clear()
    os.environ.update(env)
    use_threads()
    use_warm(lines)


def _end_with_the_grader() -> None:
    grader = multiprocessing.parent_process()
    assert grader is not None
    grader.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _cluster(scheduler: str, wait: int) -> Iterator[concurrent.futures.Executor]:
    try:
        import distributed
    except ImportError:
        raise PoolError("--scheduler needs Dask: pip install 'multiview-vae-lab[dask]'") from None
    try:
        client: Any = distributed.Client(scheduler, timeout=wait)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PoolError(f"no Dask scheduler answers at {scheduler}: {reason}") from None
    for name in ("distributed.client", "distributed.batched", "distributed.core", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # our own messages say it in a line
    with client:
        try:
            client.wait_for_workers(1, timeout=wait)
        except TimeoutError:
            raise PoolError(f"the scheduler has no worker; start one with: dask worker {scheduler}") from None
        try:
            yield client.get_executor(retries=RETRIES, pure=False)
        except concurrent.futures.CancelledError:
            raise PoolError(f"lost the scheduler at {scheduler}; what was graded is recorded. Run again.") from None
