"""How a connection is closed under a client that is still sending."""

from __future__ import annotations

import asyncio
import socket
import struct

from autotune.service.lingering import DROPPED_BYTES, LingeringTransport

SENDING = b"POST"


async def connected() -> tuple[asyncio.Transport, socket.socket, asyncio.Server]:
    """Give both ends of a connection: the one of an event loop, and a plain one."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Taking(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            taken.set_result(transport)

    server = await loop.create_server(Taking, "127.0.0.1", 0)
    client = socket.create_connection(server.sockets[0].getsockname())
    return await taken, client, server


def lingering(
    transport: asyncio.Transport, *, linger_s: float = 30.0, sends: bool = True
) -> LingeringTransport:
    return LingeringTransport(transport, asyncio.get_running_loop(), linger_s, lambda: sends)


def test_a_client_that_is_gone_already_is_let_go_without_a_fault() -> None:
    async def close() -> None:
        transport, client, server = await connected()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # a reset, which the loop has not seen yet
        closing = lingering(transport)
        closing.close()
        assert closing.is_closing()
        closing.ended()
        server.close()
        await server.wait_closed()

    asyncio.run(close())


def test_who_still_sends_reads_the_answer_and_is_cut_off_after_so_many_bytes() -> None:
    async def close() -> bytes:
        transport, client, server = await connected()
        closing = lingering(transport)
        closing.write(b"answer")
        closing.close()
        client.settimeout(10)
        read = await asyncio.to_thread(client.recv, 100)
        assert await asyncio.to_thread(client.recv, 100) == b""  # the service says no more, and still reads
        client.sendall(SENDING)
        closing.drop(DROPPED_BYTES + 1)
        assert transport.is_closing()
        closing.ended()
        client.close()
        server.close()
        await server.wait_closed()
        return read

    assert asyncio.run(close()) == b"answer"


def test_who_has_nothing_more_to_send_is_closed_at_once() -> None:
    async def close() -> None:
        transport, client, server = await connected()
        lingering(transport, sends=False).close()
        assert transport.is_closing()
        client.close()
        server.close()
        await server.wait_closed()

    asyncio.run(close())
