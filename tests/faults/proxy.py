"""A TCP proxy that hurts: it stands before one service and does to its traffic what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from enum import StrEnum
from types import CoroutineType
from typing import Any, Final, TypeVar

T = TypeVar("T")

DELAY_S: Final = 0.3
CHUNK: Final = 65_536
#: SO_LINGER with no time to linger: closing sends RST.
AT_ONCE: Final = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What happens to connections, old and new."""

    NONE = "none"
    REFUSED = "refused"
    HANGS = "hangs"
    SLOW = "+300 ms"
    RESET = "reset"
    GARBAGE = "garbage"


FAULTS: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)


class Proxy:
    """Listens on a port of its own and forwards to `host:port`; runs in a thread of its own.

    What is held while it hangs is delivered when it heals, as by a process that was stopped.
    """

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)
        self._advertised = host.encode() + struct.pack(">i", int(port))
        self._fault = Fault.NONE
        self._random = random.Random(7)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._healthy = self._call(_event())
        #: Bytes held, changed or cut, and connections refused: the proof that it injects.
        self.hurt = 0
        self.port = self._call(self._listen(0))

    @property
    def address(self) -> str:
        """Where clients find the service."""
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """Hurts until left."""
        self._call(self._turn(fault))
        try:
            yield
        finally:
            self._call(self._turn(Fault.NONE))

    def close(self) -> None:
        """Cuts everything and ends."""
        self._call(self._cut())
        self._call(self._stop_listening())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: CoroutineType[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(10)

    async def _turn(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.REFUSED:
            await self._stop_listening()
            self.hurt += await self._refuses()
        elif self._server is None:
            await self._listen(self.port)
        if fault in (Fault.REFUSED, Fault.RESET):
            await self._cut()
        if fault is Fault.HANGS:
            self._healthy.clear()
        else:
            self._healthy.set()

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def _stop_listening(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    async def _refuses(self) -> bool:
        """Tried here, as a client that keeps no connection leaves nothing to count."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    async def _cut(self) -> None:
        self.hurt += len(self._writers)
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                self._pump(reader, back, self._asked), self._pump(there, writer, self._answered)
            )
        except OSError:
            for end in (writer, back):
                _reset(end)
        finally:
            self._writers -= {writer, back}
            for end in (writer, back):
                end.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        treat: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        while chunk := await source.read(CHUNK):
            sink.write(await treat(chunk))
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()

    async def _asked(self, chunk: bytes) -> bytes:
        """A question, on its way to the service."""
        if self._fault is Fault.RESET:
            self.hurt += len(chunk)
            raise ConnectionResetError
        if self._fault is Fault.HANGS:
            self.hurt += len(chunk)
            await self._healthy.wait()
        return chunk

    async def _answered(self, chunk: bytes) -> bytes:
        """An answer, on its way back."""
        # Kafka tells its clients where it is: there, too, they must find the proxy.
        chunk = chunk.replace(
            self._advertised, self._advertised[:-4] + struct.pack(">i", self.port)
        )
        if self._fault is Fault.NONE:
            return chunk
        self.hurt += len(chunk)
        if self._fault is Fault.HANGS:
            await self._healthy.wait()
        if self._fault is Fault.SLOW:
            await asyncio.sleep(DELAY_S)
        if self._fault is Fault.GARBAGE:
            return self._random.randbytes(len(chunk))
        return chunk


def _reset(writer: asyncio.StreamWriter) -> None:
    connected: socket.socket | None = writer.get_extra_info("socket")
    if connected:
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


async def _event() -> asyncio.Event:
    healthy = asyncio.Event()
    healthy.set()
    return healthy
