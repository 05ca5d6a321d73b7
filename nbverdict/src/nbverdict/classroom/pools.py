"""Who executes submissions: this process, several on this machine, or a Dask cluster."""

import concurrent.futures
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from nbverdict.confinement.layers import LINUX

RETRIES = 2  # of a submission whose worker was lost
_HELD_BACK = {signal.SIGINT, signal.SIGTERM}
_P = ParamSpec("_P")
_T = TypeVar("_T")


class PoolError(RuntimeError):
    """There is nobody to execute submissions; the message says what to do."""


class WorkerLost(PoolError):
    """A process of this machine that executed submissions has ended; a new pool may continue."""


class _Workers(concurrent.futures.ProcessPoolExecutor):
    """Processes that are forked from this one at the first submission, so that they share what it has imported.

    Where a process cannot be forked, each is started anew. `prepare` is called before.
    """

    def __init__(self, jobs: int, prepare: Callable[[], None]) -> None:
        context = multiprocessing.get_context("fork" if LINUX else "spawn")
        super().__init__(jobs, mp_context=context, initializer=_follow)
        self._prepare: Callable[[], None] | None = prepare

    def submit(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> concurrent.futures.Future[_T]:
        """Schedule a call; Ctrl-C waits until each of the processes has a handler of its own."""
        if self._prepare:
            self._prepare()
            self._prepare = None
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK) if LINUX else set()
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            if LINUX:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def pool(
    jobs: int, scheduler: str | None = None, *, prepare: Callable[[], None] = lambda: None, wait: int = 30
) -> Iterator[concurrent.futures.Executor]:
    """Yield an executor of `jobs` processes, or of the cluster behind a scheduler.

    `prepare` does what such processes share; it is called before the first is started, if any is.

    However the block ends, no process of ours is left, and the workers of a cluster stop working for us. Raises
    PoolError if Dask is not installed, or if the scheduler or a worker does not answer within `wait` seconds;
    WorkerLost if one of our own processes ends. A lost worker of a cluster costs a retry and raises nothing.
    """
    if scheduler:
        yield from _cluster(scheduler, wait)
    else:
        executor = _Workers(jobs, prepare)
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


def _follow() -> None:
    """Make this worker end with the grader, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if LINUX:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
    threading.Thread(target=_end_with_the_grader, daemon=True).start()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # what it compares is small, and the kernels need the processors


def _end_with_the_grader() -> None:
    grader = multiprocessing.parent_process()
    assert grader is not None
    grader.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _cluster(scheduler: str, wait: int) -> Iterator[concurrent.futures.Executor]:
    try:
        import distributed
    except ImportError:
        raise PoolError("--scheduler needs Dask: pip install 'nbverdict[dask]'") from None
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
