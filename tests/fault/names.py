"""A name server in a thread that answers what a test says, fails, or keeps silent."""

from __future__ import annotations

import asyncio
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """``mx`` and ``hosts`` are its zone; names in ``failing`` are SERVFAIL; anything else is NXDOMAIN."""

    def __init__(self) -> None:
        self.mx: dict[str, list[tuple[int, str]]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.failing: set[str] = set()
        self.silent = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(
            self._loop.create_datagram_endpoint(lambda: _Protocol(self), local_addr=("127.0.0.1", 0)), self._loop
        )
        transport, _ = started.result(10)
        self.port = int(transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def answer(self, data: bytes) -> bytes | None:
        if self.silent:
            return None
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().removesuffix(".").lower()
        said = dns.message.make_response(query)
        said.flags |= dns.flags.RA
        kind = dns.rdatatype.to_text(question.rdtype)
        if name in self.failing:
            said.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.mx and name not in self.hosts:
            said.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "MX" and name in self.mx:
            texts = [f"{rank} {host if host == '.' else host + '.'}" for rank, host in self.mx[name]]
            said.answer.append(dns.rrset.from_text_list(question.name, 1, "IN", kind, texts))
        elif kind == "A" and name in self.hosts:
            said.answer.append(dns.rrset.from_text_list(question.name, 1, "IN", kind, self.hosts[name]))
        return said.to_wire()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        answer = self._server.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)  # type: ignore[attr-defined]
