"""A child process of a worker: runs CPU-bound programs one after the other, and ends with its worker.

Started as ``python -m flower_worker.child <socket>``, so it shares no memory, locks or threads with it.
"""

import os
import signal
import socket
import sys
import threading
from queue import SimpleQueue
from types import FrameType

import msgspec

from flower_engine.log.working import OutcomeKind
from flower_engine.model.sanitise import encode_error
from flower_engine.programs.loading import load_programs
from flower_engine.programs.registry import Registry
from flower_engine.runtime.telemetry import configure_logging
from flower_worker.calling import Done, call_blocking, decode_message, make_arguments, unknown_program
from flower_worker.child_messages import LENGTH_BYTES, STARTED, Finished, Hello, Job, frame


def main(descriptor: int) -> None:
    """Serves jobs until the worker is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave_it_to_the_worker)
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as connection:
        hello = msgspec.msgpack.decode(_read(connection), type=Hello)
        sys.path[:] = hello.path
        configure_logging("worker", hello.log_level)
        registry = load_programs(hello.modules)
        connection.sendall(STARTED)
        jobs: SimpleQueue[Job] = SimpleQueue()
        threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
        while True:
            job = jobs.get()
            connection.sendall(STARTED)
            kind, payload = _run(registry, job)
            connection.sendall(frame(Finished(kind, payload)))


def _run(registry: Registry, job: Job) -> Done:
    try:
        message = decode_message(job.message)
        program = registry.get(message.program)
        if program is None:
            raise unknown_program(message.program)
        arguments = make_arguments(
            program, message, flow=job.flow, task=job.task, attempt=job.attempt, worker=job.worker
        )
    except Exception as error:  # noqa: BLE001 # what is wrong with the job is its outcome
        return OutcomeKind.SUSPENDED, encode_error(error)
    return call_blocking(program, arguments)


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
    main(int(sys.argv[1]))
