"""A child process of a worker: runs CPU-bound programs one after the other, and ends with its worker.

Started as ``python -m flower_worker.child <socket>``, so it shares no memory, locks or threads with it.
"""

import contextvars
import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from queue import SimpleQueue
from types import FrameType

import msgspec

from flower_engine.blobs.blob import access
from flower_engine.blobs.blob_stores import BlobStores
from flower_engine.blobs.patience import patiently
from flower_engine.model.values.result_json import MAX_RESULT_BYTES
from flower_engine.programs.attempt_outcomes import (
    Done,
    Running,
    Tell,
    context_of,
    failed,
    make_arguments,
    refused,
)
from flower_engine.programs.code_image import Image, import_from
from flower_engine.programs.context import Progress, context_at_work
from flower_engine.programs.program_modules import load_what_imports
from flower_engine.programs.registry import Registry
from flower_engine.runtime.process_forks import hide_socket, set_copies_apart
from flower_engine.runtime.telemetry import attempt_at_work, configure_logging
from flower_engine.secrets import learn_secrets
from flower_engine.traces.user_context import begin_attempt
from flower_worker.child_messages import (
    LENGTH_BYTES,
    STARTED,
    Finished,
    Hello,
    Importing,
    Job,
    Progressed,
    Ready,
    Transferring,
    frame,
)
from flower_worker.program_call import call_blocking, decode_message, unknown_program
from flower_worker.task_logs.in_child import ChildCapture

_log = logging.getLogger(__name__)
_TELL_SECONDS = 0.2  # between two frames of progress


def main(descriptor: int) -> None:
    """Serves jobs until the worker is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave_it_to_the_worker)
    os.set_inheritable(descriptor, False)
    set_copies_apart()
    with socket.socket(fileno=descriptor) as connection:
        hide_socket(connection)
        hello = msgspec.msgpack.decode(_read(connection), type=Hello)
        sys.path[:] = hello.path
        capture = ChildCapture(hello.token, hello.console) if hello.token else None
        configure_logging(
            "worker", hello.log_level, capture.console if capture else None, form=hello.log_format
        )
        if capture is not None:
            capture.install()
        import_from(hello.image)
        sys.meta_path.insert(1, Image(hello.modules, hello.since).finder)  # says what is imported late
        served_from = hello.blobs
        stores: BlobStores | None = None
        if served_from is not None:
            # The worker begins a store where none is: it has met it, and each child is another process.
            stores = BlobStores(served_from.names, served_from.api_url, served_from.token, begins=False)
            access.set(stores)
        most_bytes = MAX_RESULT_BYTES if served_from is None else served_from.most_bytes
        registry, problems = load_what_imports(
            hello.modules, lambda module: connection.sendall(frame(Importing(module)))
        )
        served = tuple(program.name for program in registry)
        connection.sendall(frame(Ready(served, tuple(problems))))
        jobs: SimpleQueue[Job] = SimpleQueue()
        threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
        while True:
            job = jobs.get()
            if capture is not None:
                capture.begin()
            connection.sendall(STARTED)
            teller = Teller(connection)
            # What an attempt sets ends with it.
            done = contextvars.copy_context().run(_run, registry, job, teller.tell, most_bytes)
            if done.blobs and stores is not None:
                done = _stored(done, stores, teller)
            if capture is not None:
                capture.end()
            teller.end(Finished(done.kind, done.payload, done.number))


class Teller:
    """Tells the worker of progress, now and then: a program may tell it in every turn of a loop."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # a program may have threads of its own
        self._told_at = -_TELL_SECONDS
        self._untold: Progress | None = None
        self._waits = False  # a timer will tell what is told too soon after the last time
        self._ended = False

    def tell(self, progress: Progress) -> None:
        with self._lock:
            self._untold = progress
            left_seconds = self._told_at + _TELL_SECONDS - time.monotonic()
            if left_seconds <= 0:
                self._send()
            elif not self._waits:
                self._waits = True
                timer = threading.Timer(left_seconds, self._tell_late)
                timer.daemon = True
                timer.start()

    def transferring(self, what: str) -> None:
        """Tells what is brought to a store of blobs now."""
        with self._lock:
            self._connection.sendall(frame(Transferring(what)))

    def end(self, finished: Finished) -> None:
        """Tells the last progress and what came of the job; a thread left over tells nothing more."""
        with self._lock:
            self._send()
            self._ended = True
            self._connection.sendall(frame(finished))

    def _tell_late(self) -> None:
        with self._lock:
            self._waits = False
            self._send()

    def _send(self) -> None:
        if self._untold is not None and not self._ended:
            self._connection.sendall(frame(Progressed(self._untold)))
            self._untold = None
            self._told_at = time.monotonic()


def _stored(done: Done, stores: BlobStores, teller: Teller) -> Done:
    """The outcome, now that the blobs of its result are stored; it waits for a store that is away."""
    try:
        for blob in done.blobs:
            what = f"stores a Blob ({blob.size} bytes) in {stores.reading(blob.ref.store)}"
            teller.transferring(what)
            patiently(_log, what, partial(stores.put, blob), teller.transferring)
    except BaseException as error:  # noqa: BLE001 # it never takes it
        return failed(error, ())
    finally:
        teller.transferring("")
    return done._replace(blobs=())


def _run(registry: Registry, job: Job, tell: Tell, most_bytes: int) -> Done:
    learn_secrets(job.secrets)
    attempt_at_work.set(f"flow {job.flow} task {job.task} attempt {job.attempt}")
    begin_attempt(job.flow, job.task, job.attempt)
    try:
        message = decode_message(job.message)
        program = registry.get(message.program)
        if program is None:
            raise unknown_program(message.program)
        running = Running(job.flow, job.task, job.attempt, job.worker, job.progress, tell)
        context_at_work.set(functools.partial(context_of, message, running))
        arguments = make_arguments(program, message, running, job.provenance)
    except BaseException as error:  # noqa: BLE001 # what is wrong with the job is its outcome
        return refused(error)
    return call_blocking(program, message, arguments, most_bytes)


def _receive(connection: socket.socket, jobs: "SimpleQueue[Job]") -> None:
    """Takes jobs in; ends the process when the worker is gone, whatever the program is doing."""
    while True:
        try:
            jobs.put(msgspec.msgpack.decode(_read(connection), type=Job))
        except OSError:
            os._exit(1)


def _read(connection: socket.socket) -> bytes:
    length = int.from_bytes(_read_exactly(connection, LENGTH_BYTES), "big")
    return _read_exactly(connection, length)


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    read = bytearray()
    while len(read) < count:
        part = connection.recv(count - len(read))
        if not part:
            raise ConnectionError("the worker is gone")
        read += part
    return bytes(read)


def _leave_it_to_the_worker(_number: int, _frame: FrameType | None) -> None:
    """A signal for the whole group (Ctrl-C, a service manager's stop) is the worker's to act on."""


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except ConnectionError:  # the worker is gone: nobody is left to tell, and its log has ended
        os._exit(1)
