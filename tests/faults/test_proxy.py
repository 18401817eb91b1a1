"""The injector first: every fault is one, and ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import DELAY_S, Fault, Proxy

ASKED = b"ping" * 8


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a service that repeats what it hears."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_repeat, args=(listener,), daemon=True).start()
    proxy = Proxy(f"127.0.0.1:{listener.getsockname()[1]}")
    yield proxy
    proxy.close()
    listener.close()


def _repeat(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while said := connection.recv(1024):
                connection.sendall(said)
        except OSError:
            return


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.6)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(ASKED)
    return connection.recv(1024)


def test_without_a_fault_it_forwards(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        assert ask(connection) == ASKED
    assert proxy.hurt == 0


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.RESET])
def test_connections_are_cut_and_new_ones_fail(proxy: Proxy, fault: Fault) -> None:
    with connected(proxy) as old:
        assert ask(old) == ASKED
        with proxy.fault(fault):
            with pytest.raises(ConnectionError):
                ask(old)
            with pytest.raises(ConnectionError), connected(proxy) as new:
                ask(new)
    assert proxy.hurt
    with connected(proxy) as again:
        assert ask(again) == ASKED


def test_what_is_held_while_it_hangs_is_delivered_when_it_heals(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        assert ask(connection) == ASKED
        with proxy.fault(Fault.HANGS), pytest.raises(TimeoutError):
            ask(connection)
        assert connection.recv(1024) == ASKED
    assert proxy.hurt


def test_slow_is_slower_by_as_much_as_it_says(proxy: Proxy) -> None:
    with connected(proxy) as connection, proxy.fault(Fault.SLOW):
        started = time.monotonic()
        assert ask(connection) == ASKED
        assert time.monotonic() - started >= DELAY_S


def test_garbage_is_not_what_was_said(proxy: Proxy) -> None:
    with connected(proxy) as connection, proxy.fault(Fault.GARBAGE):
        said = ask(connection)
    assert said
    assert said != ASKED[: len(said)]
