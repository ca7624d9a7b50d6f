"""Serve IMAP from a filled, encrypted store for measurements, and measure it. One process serves, another asks.

usage: imap_ours.py serve DIR COUNT PORTFILE   (fills on the first run; TLS; prints its pid)
       imap_ours.py ops PORTFILE [REPS]        one client, one operation at a time
       imap_ours.py cmds PORTFILE CONNS SECONDS COMMAND
       imap_ours.py idle PORTFILE CONNS        memory per IDLE connection, delay to EXISTS
       imap_ours.py append PORTFILE COUNT
"""

import asyncio
import base64
import json
import os
import random
import re
import resource
import select
import socket
import ssl
import statistics as st
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))


def msg(i, size=0):
    w = random.Random(i)
    words = " ".join(
        w.choice(("patient", "radiologie", "analyse", "compte", "rendu", "ordonnance", "suivi", "resultat"))
        for _ in range(150)
    )
    text = "\r\n".join(words[k : k + 70] for k in range(0, len(words), 70))
    att = base64.encodebytes(w.randbytes(size or 900)).replace(b"\n", b"\r\n").decode()
    return (
        f"Received: from mx.sender.test by gw.example.test with ESMTPS id {i}; Mon, 02 Mar 2026 10:00:00 +0100\r\n"
        f"From: =?utf-8?q?Dr_H=C3=A9l=C3=A8ne_{i % 97}?= <dr{i % 97}@sender.test>\r\nTo: Cabinet <user@example.test>, Copie <copie{i % 7}@example.test>\r\n"
        f"Subject: Compte rendu {i} {w.randrange(10**9)}\r\nDate: Mon, 02 Mar 2026 10:{i % 60:02d}:{i // 60 % 60:02d} +0100\r\n"
        f"Message-ID: <{i}.{w.randrange(10**12)}@sender.test>\r\nIn-Reply-To: <{i - 1}@sender.test>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b{i}\r\n"
        f"Content-Type: application/pdf; name=cr{i}.pdf\r\nContent-Disposition: attachment; filename=cr{i}.pdf\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{att}--b{i}--\r\n"
    ).encode()


async def serve(folder, count, portfile):
    from mailboxes import heap
    from mailboxes.anatomy import dissect, pack
    from mailboxes.blobs import FileBlobs
    from mailboxes.collector import settle
    from mailboxes.store import NewMessage
    from tests import stores
    from tests.mailboxes.imap import harness

    heap.shape()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blobs").mkdir(exist_ok=True)
    fresh = not (folder / "imap.db").exists()
    url = f"sqlite:///{folder}/imap.db"
    from mailboxes.imap.content import Cache
    from mailboxes.imap.indexes import Indexes
    from mailboxes.imap.ports import Limits, Service
    from mailboxes.imap.server import ImapServer

    pki = harness.make_pki(folder)
    async with stores.opened(url, blobs=FileBlobs(folder / "blobs", ThreadPoolExecutor(2))) as store:
        people = harness.People()
        for n in range(1, 22):
            people.boxes[f"u{n}@op-a.mssante.test"] = n
        if fresh:
            await store.committer.run(lambda unit: [store.provision(unit, n, 0) for n in range(1, 22)])
            inbox = await store.folder(1, "INBOX")
            for start in range(0, count, 500):
                await store.append(
                    1,
                    inbox.id,
                    [
                        NewMessage(m, pack(dissect(m)), "", 1772442000 + i)
                        for i in range(start, min(start + 500, count))
                        for m in [msg(i)]
                    ],
                )
            big = await store.create_folder(1, "big")
            m = msg(1, int(10485760 * 54 / 74))
            await store.append(1, big.id, [NewMessage(m, pack(dissect(m)), "", 1772442000)])
            for n in range(2, 22):
                box = await store.folder(n, "INBOX")
                await store.append(
                    n,
                    box.id,
                    [NewMessage(m, pack(dissect(m)), "", 1772442000 + i) for i in range(100) for m in [msg(i)]],
                )
        service = Service(
            store=store,
            authenticator=people,
            standings=people,
            gate=harness.VirusGate(),
            indexes=Indexes(store),
            cache=Cache(store),
            clock=time.time,
            certificate=harness.facts,
            limits=Limits(per_ip=10000, per_account=10000),
            tls=pki.server,
        )
        server = ImapServer(service)
        port = await server.listen("127.0.0.1", 0, tls=pki.server)
        Path(portfile).write_text(json.dumps({"port": port, "ca": str(pki.ca), "pid": os.getpid()}), encoding="utf-8")
        settle()
        await asyncio.Event().wait()


class Client:
    """One connection that counts octets and leaves the answers unread: what is timed is the server."""

    def __init__(self, info):
        self.socket = socket.create_connection(("127.0.0.1", info["port"]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = info.get("context") or ssl.create_default_context(cafile=info["ca"])
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost" if context.check_hostname else None)
        self.buffer = b""
        self.commands = 0
        self.last = b""
        self.line()

    def line(self):
        while b"\n" not in self.buffer:
            read = self.socket.recv(65536)
            if not read:
                raise EOFError
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def command(self, text):
        """Octets answered, and the word of the tagged reply."""
        self.commands += 1
        tag = b"t%d" % self.commands
        self.socket.sendall(tag + b" " + text + b"\r\n")
        octets, tail = 0, self.buffer
        while True:
            last = tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]
            if tail.endswith(b"\n") and last.startswith(tag + b" "):
                self.buffer, self.last = b"", last
                return octets, last.split()[1]
            read = self.socket.recv(1 << 20)
            if not read:
                raise EOFError
            octets += len(read)
            tail = (tail + read)[-8192:] if len(read) < 8192 else read[-8192:]

    def login(self, user="u1@op-a.mssante.test"):
        assert self.command(b"LOGIN %s secret" % user.encode())[1] == b"OK", self.last


def many(info):
    """For many connections: one context, which makes of each a handshake without the authorities read again."""
    context = ssl.create_default_context(cafile=info["ca"])
    context.check_hostname = False
    return {**info, "context": context}


WHOLE = (
    b"FETCH 1:* (UID FLAGS)",
    b"FETCH 1:* (UID FLAGS ENVELOPE)",
    b"UID FETCH 1:* BODY.PEEK[HEADER]",
    b"FETCH 1:* BODYSTRUCTURE",
    b"FETCH 1:* BODY.PEEK[]",
    b'SEARCH TEXT "zzzznothing"',
    b'SEARCH SUBJECT "rendu 4242"',
    b"SEARCH UNSEEN SINCE 1-Jan-2020",
    b"SORT (SUBJECT) UTF-8 ALL",
    b"THREAD REFERENCES UTF-8 ALL",
)


def ops(info, rounds):
    measured = {}

    def timed(client, name, command):
        start = time.perf_counter()
        octets, word = client.command(command)
        measured.setdefault(name, []).append((time.perf_counter() - start, octets, word))

    for number in range(rounds):
        client = Client(info)
        client.login()
        timed(client, "select 10k", b"SELECT INBOX")
        for command in WHOLE:
            timed(client, command.decode(), command)
        timed(client, "store 1", b"STORE %d +FLAGS (\\Flagged)" % (100 + number))
        client.command(b"SELECT big")
        timed(client, "fetch 10 MiB body", b"FETCH 1 BODY.PEEK[]")
        client.socket.close()
    for name, seen in measured.items():
        first, median = seen[0][0] * 1e3, st.median(seconds for seconds, _, _ in seen) * 1e3
        _, octets, word = seen[0]
        print(
            f"{name:34s} first {first:9.1f} ms  median {median:9.1f} ms  {octets / 1048576:8.2f} MiB  {word.decode()}"
        )


def cmds(info, connections, seconds, command):
    info, rates = many(info), []
    for _ in range(3):
        clients = {}
        for number in range(connections):
            client = Client(info)
            client.login(f"u{number % 20 + 2}@op-a.mssante.test")
            client.command(b"SELECT INBOX")
            clients[client.socket.fileno()] = client
        poll, answered = select.epoll(), 0
        for client in clients.values():
            client.buffer = b""
            poll.register(client.socket, select.EPOLLIN)
            client.socket.sendall(b"x " + command + b"\r\n")
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            for handle, _ in poll.poll(1):
                client = clients[handle]
                client.buffer = (client.buffer + client.socket.recv(1 << 18))[-4096:]
                if client.buffer.startswith(b"x ") or b"\nx " in client.buffer:
                    client.buffer = b""
                    answered += 1
                    client.socket.sendall(b"x " + command + b"\r\n")
        rates.append(answered / (time.perf_counter() - start))
        for client in clients.values():
            client.socket.close()
        time.sleep(0.3)
    spread = f"({min(rates):.0f}-{max(rates):.0f})"
    print(f"{command.decode():40s} conns {connections:3d}: {st.median(rates):8.0f} cmd/s {spread}")


def memory(pid):
    """KiB of this process, its share of what others hold too."""
    return int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8"))[1])


def idle(info, connections):
    info = many(info)
    before, clients, start = memory(info["pid"]), [], time.perf_counter()
    for number in range(connections):
        client = Client(info)
        client.login(f"u{number % 20 + 2}@op-a.mssante.test")
        client.command(b"SELECT INBOX")
        client.socket.sendall(b"i IDLE\r\n")
        client.buffer = b""
        client.line()
        clients.append(client)
    seconds = time.perf_counter() - start
    time.sleep(1)
    each = (memory(info["pid"]) - before) / connections
    print(f"{connections} IDLE connections in {seconds:.1f} s: {each:.1f} KiB each")
    delays, message = [], msg(7)
    for number in range(0, connections, max(1, connections // 40)):
        client, writer = clients[number], Client(info)
        writer.login(f"u{number % 20 + 2}@op-a.mssante.test")
        client.socket.settimeout(20)
        client.buffer = b""
        start = time.perf_counter()
        writer.command(b"APPEND INBOX {%d+}\r\n" % len(message) + message)
        client.line()
        delays.append(time.perf_counter() - start)
        writer.socket.close()
        for other in clients[number % 20 :: 20]:  # the others of that mailbox, who are told as well
            if other is not client:
                other.buffer = b""
                other.socket.settimeout(20)
                other.line()
        time.sleep(0.05)
    delays.sort()
    half, most = delays[len(delays) // 2] * 1e3, delays[int(len(delays) * 0.95)] * 1e3
    print(f"APPEND start .. EXISTS: p50 {half:.1f} ms p95 {most:.1f} ms")


def append(info, count):
    client = Client(info)
    client.login("u21@op-a.mssante.test")
    start = time.perf_counter()
    for number in range(count):
        message = msg(number)
        word = client.command(b"APPEND INBOX {%d+}\r\n" % len(message) + message)[1]
        assert word == b"OK", client.last
    print(f"APPEND: {count / (time.perf_counter() - start):.0f}/s on one connection")


def main(words):
    if words[0] == "serve":
        asyncio.run(serve(words[1], int(words[2]), words[3]))
        return
    info = json.loads(Path(words[1]).read_text(encoding="utf-8"))
    if words[0] == "ops":
        ops(info, int(words[2]) if len(words) > 2 else 3)
    elif words[0] == "cmds":
        cmds(info, int(words[2]), float(words[3]), words[4].encode())
    elif words[0] == "idle":
        idle(info, int(words[2]))
    elif words[0] == "append":
        append(info, int(words[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
