"""`regulars serve --workers N`: N collectors on one port, and a process above them that only watches.

Each worker has a listening socket of its own, between which the kernel spreads connections. The sockets belong to the
process above: what waits in that of a worker that died is answered by the one that takes its place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import structlog

from collector.app import Post, configure_logging, run
from collector.cli.trouble import Trouble, explain_error
from collector.config import Config

WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
RESTART_PAUSE_S = 1.0  # so that a worker that cannot live does not take the machine with it
LOOK_S = 0.1
STRAGGLING_S = 5.0  # beyond the grace that workers give themselves

log = structlog.get_logger()


@dataclass(slots=True)
class Worker:
    """A place for one worker: its socket, and the process that stands there now (0: nobody)."""

    listening: socket.socket
    pid: int = 0
    ready: int = -1  # the end of a pipe at which the worker says that it listens
    is_ready: bool = False
    due_at: float = 0.0


def supervise(config: Config) -> None:
    """Run `config.workers` workers until SIGINT or SIGTERM. Raises `Trouble` if they cannot even begin."""
    configure_logging(config.log_level)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    workers = [Worker(listening) for listening in _sockets(config)]
    life, lifeline = os.pipe()  # workers hold `life`, only we hold `lifeline`: when we are gone, they notice
    is_up = False
    try:
        while True:
            _fill(config, workers, life, lifeline)
            caught = signal.sigtimedwait(WATCHED, LOOK_S)
            if caught is not None and caught.si_signo != signal.SIGCHLD:
                return
            _hear(workers)
            for worker, status in _ended(workers):
                if not is_up and not worker.is_ready:
                    raise Trouble("a worker could not begin; its own last words say why")
                log.error("worker_died", status=status)
                worker.is_ready, worker.due_at = False, time.monotonic() + RESTART_PAUSE_S
            if not is_up and all(worker.is_ready for worker in workers):
                is_up = True
                _announce(config, workers)
    finally:
        _end(workers, config.shutdown_grace_s + STRAGGLING_S)


def _sockets(config: Config) -> Iterator[socket.socket]:
    """One listening socket for each worker, all at one address."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.create_server((config.host, config.port), family=family) as probe:  # raises if somebody is there
        port = probe.getsockname()[1]
    for _ in range(config.workers):
        yield socket.create_server((config.host, port), family=family, reuse_port=True, backlog=1024)


def _fill(config: Config, workers: list[Worker], life: int, lifeline: int) -> None:
    """Put a process where there is none."""
    for worker in workers:
        if worker.pid or worker.due_at > time.monotonic():
            continue
        ready, says_ready = os.pipe()
        os.set_blocking(ready, False)
        pid = os.fork()
        if not pid:
            os.close(lifeline)
            _work(config, Post(worker.listening, life, says_ready))
        os.close(says_ready)
        worker.pid, worker.ready = pid, ready


def _work(config: Config, post: Post) -> NoReturn:
    """What the forked process does."""
    status = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        run(config, post)
        status = 0
    except Exception as error:
        line = explain_error(error)
        if line is None:
            log.exception("worker_failed")
        else:
            sys.stderr.write(f"regulars: {line}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _hear(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.pid and worker.ready >= 0:
            with contextlib.suppress(BlockingIOError):
                worker.is_ready = os.read(worker.ready, 1) != b""
                os.close(worker.ready)
                worker.ready = -1


def _ended(workers: list[Worker]) -> Iterator[tuple[Worker, int]]:
    """Workers whose process has ended, with its exit status, negative for a signal."""
    for worker in workers:
        if worker.pid:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                worker.pid = 0
                yield worker, os.waitstatus_to_exitcode(status)


def _announce(config: Config, workers: list[Worker]) -> None:
    host = f"[{config.host}]" if ":" in config.host else config.host
    port = workers[0].listening.getsockname()[1]
    sys.stdout.write(f"Regulars listens on http://{host}:{port}{config.prefix}/\n")
    sys.stdout.flush()


def _end(workers: list[Worker], patience_s: float) -> None:
    """Ask all workers to end and wait for them; who does not is ended."""
    for worker in workers:
        worker.listening.close()
        if worker.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
    until = time.monotonic() + patience_s
    left = [worker for worker in workers if worker.pid]
    while left:
        for _ in _ended(left):
            pass
        left = [worker for worker in left if worker.pid]
        if left and time.monotonic() > until:
            for worker in left:
                os.kill(worker.pid, signal.SIGKILL)
        if left:
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_S)
