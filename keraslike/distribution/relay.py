"""The connection from this process to the service by which several processes find each other.

JAX's client aborts its process as soon as its connection to the service breaks, and cannot be told
to call Python instead. It is therefore connected to a thread of this module, which forwards the
data of both sides. When the service is lost the client's connection stays open, and `lost` is
called.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SECONDS = 10.0  # the timeout for connecting
_BYTES = 1 << 16
_HERE = "127.0.0.1"


class Relay(threading.Thread):
    """Forwards the data between a client and the service at `address` (`"host:port"`)."""

    def __init__(self, address: str):
        super().__init__(name="keraslike-relay", daemon=True)
        host, _, port = address.rpartition(":")
        self._service = host.strip("[]"), int(port)
        self._server = socket.create_server((_HERE, 0))
        self.address = f"{_HERE}:{self._server.getsockname()[1]}"
        self.lost: Callable[[], Any] | None = None  # until it is set a client may reconnect

    def run(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            service = socket.create_connection(self._service, _SECONDS)
        except OSError:
            client.close()  # the client then retries
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
    """Forwards data until one of the two is closed; returns whether it was the source."""
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
    """Within the block gRPC connects to a relay without the proxy that the environment names."""
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
