"""The process that several processes find each other by, run as a script.

    python coordinator.py ADDRESS PROCESSES HEARTBEAT LINGER

JAX would run this service in process 0, whose death then aborts all others at once, by a stack of
native code. Here it outlives process 0 for as long as the others need to say what has happened.
Nothing of keraslike or JAX is imported, so that it starts at once.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from jaxlib import _jax  # `jax_internals.service_elsewhere` says what is relied on

_ESTABLISHED = "01"


def wait_until_free(port: int, seconds: float) -> None:
    """Waits until the service of a previous job has ended, since two could listen on one port."""
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                trial.bind(("", port))
                return
        if time.monotonic() > until:
            raise OSError(f"Port {port} is in use.")
        time.sleep(0.1)


def is_connected(port: int) -> bool:
    """Whether a port of this process has a connection; true if the system does not tell.

    A connection of another program may use the same port number at its own end."""
    try:
        tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
        own = set()
        for file in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # a file that was open only during the listing
                own.add(os.readlink(file))
    except OSError:
        return True
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return any(
        row[3] == _ESTABLISHED
        and int(row[1].rpartition(":")[2], 16) == port
        and f"socket:[{row[9]}]" in own
        for row in rows
    )


def serve(address: str, count: int, heartbeat: int, linger: float) -> None:
    """Serves until process 0 has ended, which closes standard input, and all others have
    disconnected: JAX aborts a process that finds no service when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the processes that compute
    port = int(address.rpartition(":")[2])
    wait_until_free(port, linger)
    # "recoverable": what the service does about a lost process, `watch.py` does.
    service = _jax.get_distributed_runtime_service(
        address, count, heartbeat_timeout=heartbeat, shutdown_timeout=10, recoverable=True
    )
    print("ready", flush=True)
    sys.stdin.read()
    until = time.monotonic() + linger
    time.sleep(1)
    while time.monotonic() < until and is_connected(port):
        time.sleep(0.2)
    service.shutdown()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
