"""The process that several processes find each other by, run as a script.

    python coordinator.py ADDRESS PROCESSES HEARTBEAT LINGER

JAX would run this service in process 0, whose death then aborts all others at once, by a stack of
native code. Here it outlives process 0 for as long as the others need to say what has happened.
Nothing of keraslike or JAX is imported, so that it starts at once.
"""

import signal
import sys
import time

from jaxlib import _jax  # `jax_internals.service_elsewhere` says what is relied on


def serve(address: str, count: int, heartbeat: int, linger: float) -> None:
    """Serves until standard input says `done`, or for a while after it was closed without."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the processes that compute
    # "recoverable": what the service does about a lost process, `watch.py` does.
    service = _jax.get_distributed_runtime_service(
        address, count, heartbeat_timeout=heartbeat, shutdown_timeout=10, recoverable=True
    )
    print("ready", flush=True)
    if sys.stdin.readline().strip() != "done":
        time.sleep(linger)
    service.shutdown()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
