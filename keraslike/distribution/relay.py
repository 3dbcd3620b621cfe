"""The way from this process to the service by which several find each other.

JAX's client ends its process by a stack of native code as soon as its connection to the service
breaks, and cannot be told to call Python instead. So it is connected to this thread, which passes
on what either side sends; when the service is gone the client hears nothing, and `lost` is called.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SECONDS = 10.0  # to connect
_BYTES = 1 << 16
_HERE = "127.0.0.1"


class Relay(threading.Thread):
    """Passes on what a client and the service at `address` (`"host:port"`) send each other."""

    def __init__(self, address: str):
        super().__init__(name="keraslike-relay", daemon=True)
        host, _, port = address.rpartition(":")
        self._service = host.strip("[]"), int(port)
        self._server = socket.create_server((_HERE, 0))
        self.address = f"{_HERE}:{self._server.getsockname()[1]}"
        self.lost: Callable[[], Any] | None = None  # before it is set a client may connect anew

    def run(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            service = socket.create_connection(self._service, _SECONDS)
        except OSError:
            client.close()  # which tries again
            return
        service.settimeout(None)
        for one in (client, service):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        left = threading.Event()  # the client has closed its side
        args = client, service, left
        threading.Thread(target=self._from_client, args=args, daemon=True).start()
        _pass(service, client)
        if self.lost is None or left.is_set():
            client.close()
        else:
            self.lost()

    def _from_client(self, client: socket.socket, service: socket.socket, left: Any) -> None:
        if _pass(client, service):
            left.set()
        with contextlib.suppress(OSError):
            service.shutdown(socket.SHUT_RDWR)


def _pass(source: socket.socket, target: socket.socket) -> bool:
    """Until one of the two is closed; whether it was the source."""
    while True:
        try:
            data = source.recv(_BYTES)
        except OSError:
            return True
        if not data:
            return True
        try:
            target.sendall(data)
        except OSError:
            return False


@contextlib.contextmanager
def without_proxy() -> Iterator[None]:
    """Within the block gRPC asks no proxy of the environment for a connection to a relay."""
    name = "no_grpc_proxy"
    before = os.environ.get(name)
    known = os.environ.get("no_proxy", "") if before is None else before
    os.environ[name] = f"{known},{_HERE}" if known else _HERE
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
