"""Who executes submissions: this process, several on this machine, or a Dask cluster."""

import concurrent.futures
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autograder.confinement import child

RETRIES = 2  # of a submission whose worker was lost


class PoolError(RuntimeError):
    """There is nobody to execute submissions; the message says what to do."""


@contextmanager
def pool(jobs: int, scheduler: str | None = None, *, wait: int = 30) -> Iterator[concurrent.futures.Executor | None]:
    """Yield an executor of `jobs` processes or of the cluster behind a scheduler; None for one job, which needs none.

    Whatever ends the block, no process of ours is left, and those of a cluster do nothing more for us. Raises PoolError
    if Dask is not installed, or if the scheduler does not answer within `wait` seconds.
    """
    if scheduler:
        yield from _cluster(scheduler, wait)
    elif jobs == 1:
        yield None
    else:
        executor = concurrent.futures.ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_follow, initargs=(os.getpid(),)
        )
        try:
            yield executor
        except concurrent.futures.BrokenExecutor:
            message = "a process that executes submissions was lost; what was graded is recorded. Run again"
            raise PoolError(f"{message}, with fewer --jobs if memory was short.") from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _follow(grader: int) -> None:
    """Make this worker end with the grader, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        child.die_with_parent(signal.SIGTERM)
        if os.getppid() != grader:
            sys.exit(1)


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
    with client:
        yield client.get_executor(retries=RETRIES, pure=False)
