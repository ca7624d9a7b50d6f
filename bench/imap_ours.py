"""Serve IMAP from a filled, encrypted store for measurements, and measure it. One process serves, another asks.

usage: imap_ours.py serve DIR COUNT PORTFILE   (fills on the first run; TLS; prints its pid)
       imap_ours.py ops PORTFILE [REPS]        one client, one operation at a time
       imap_ours.py cmds PORTFILE CONNS SECONDS COMMAND
       imap_ours.py idle PORTFILE CONNS        memory per IDLE connection, delay to EXISTS
       imap_ours.py append PORTFILE COUNT
"""

import asyncio, json, os, random, select, socket, ssl, statistics as st, sys, time, base64, resource
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
    from mailboxes.anatomy import dissect, pack
    from mailboxes.blobs import FileBlobs
    from mailboxes.collector import settle
    from mailboxes.store import NewMessage, NoSuchFolder
    from tests import stores
    from tests.mailboxes.imap import harness

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blobs").mkdir(exist_ok=True)
    fresh = not (folder / "imap.db").exists()
    url = f"sqlite:///{folder}/imap.db"
    from mailboxes.imap.content import Cache
    from mailboxes.imap.ports import Limits, Service
    from mailboxes.imap.server import ImapServer
    from mailboxes.imap.indexes import Indexes
    from policies.values import BalType

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
        Path(portfile).write_text(json.dumps({"port": port, "ca": str(pki.ca), "pid": os.getpid()}))
        settle()
        await asyncio.Event().wait()


class C:
    def __init__(s, info, tls=True):
        s.s = socket.create_connection(("127.0.0.1", info["port"]))
        s.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            s.s = (
                ssl.create_default_context(cafile=info["ca"]).wrap_socket(s.s, server_hostname="localhost")
                if info.get("verify", True)
                else info["ctx"].wrap_socket(s.s)
            )
        s.buf = b""
        s.n = 0
        s.line()

    def line(s):
        while b"\n" not in s.buf:
            d = s.s.recv(65536)
            if not d:
                raise EOFError
            s.buf += d
        l, s.buf = s.buf.split(b"\n", 1)
        return l

    def cmd(s, c):
        s.n += 1
        tag = b"t%d" % s.n
        s.s.sendall(tag + b" " + c + b"\r\n")
        tot = 0
        tail = s.buf
        while True:
            i = tail.rfind(b"\n", 0, len(tail) - 1)
            last = tail[i + 1 :]
            if tail.endswith(b"\n") and last.startswith(tag + b" "):
                s.buf = b""
                s.last = last
                return tot, 0, last.split()[1]
            d = s.s.recv(1 << 20)
            if not d:
                raise EOFError
            tot += len(d)
            tail = (tail + d)[-8192:] if len(d) < 8192 else d[-8192:]

    def login(s, u="u1@op-a.mssante.test", p="secret"):
        assert s.cmd(b"LOGIN %s %s" % (u.encode(), p.encode()))[2] == b"OK", s.last


def ops(info, reps):
    res = {}

    def T(name, f):
        t = time.perf_counter()
        b = f()
        res.setdefault(name, []).append((time.perf_counter() - t, b[0], b[2]))

    for rep in range(reps):
        c = C(info)
        c.login()
        T("select 10k", lambda: c.cmd(b"SELECT INBOX"))
        for name in (
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
        ):
            T(name.decode(), lambda: c.cmd(name))
        T("store 1", lambda: c.cmd(b"STORE %d +FLAGS (\\Flagged)" % (100 + rep)))
        c.cmd(b"SELECT big")
        T("fetch 10 MiB body", lambda: c.cmd(b"FETCH 1 BODY.PEEK[]"))
        c.s.close()
    for k, v in res.items():
        x = [q[0] for q in v]
        print(
            f"{k:34s} first {x[0] * 1e3:9.1f} ms  median {st.median(x) * 1e3:9.1f} ms  {v[0][1] / 1048576:8.2f} MiB  {v[0][2].decode()}"
        )


def cmds(info, conns, secs, cmd):
    ctx = ssl.create_default_context(cafile=info["ca"])
    info = {**info, "verify": False, "ctx": ctx}
    ctx.check_hostname = False
    r = []
    for rep in range(3):
        cs = []
        for k in range(conns):
            c = C(info)
            c.login(f"u{k % 20 + 2}@op-a.mssante.test")
            c.cmd(b"SELECT INBOX")
            cs.append(c)
        ep = select.epoll()
        by = {c.s.fileno(): c for c in cs}
        n = 0
        for c in cs:
            c.buf = b""
            ep.register(c.s, select.EPOLLIN)
            c.s.sendall(b"x " + cmd + b"\r\n")
        t0 = time.perf_counter()
        while time.perf_counter() - t0 < secs:
            for fd, _ in ep.poll(1):
                c = by[fd]
                c.buf = (c.buf + c.s.recv(1 << 18))[-4096:]
                if c.buf.startswith(b"x ") or b"\nx " in c.buf:
                    c.buf = b""
                    n += 1
                    c.s.sendall(b"x " + cmd + b"\r\n")
        r.append(n / (time.perf_counter() - t0))
        for c in cs:
            c.s.close()
        time.sleep(0.3)
    print(f"{cmd.decode():40s} conns {conns:3d}: {st.median(r):8.0f} cmd/s ({min(r):.0f}-{max(r):.0f})")


def idle(info, conns):
    ctx = ssl.create_default_context(cafile=info["ca"])
    ctx.check_hostname = False
    info = {**info, "verify": False, "ctx": ctx}
    import re

    rss = lambda: int(re.search(r"Pss:\s+(\d+)", open(f"/proc/{info['pid']}/smaps_rollup").read())[1])
    m0 = rss()
    cs = []
    t = time.perf_counter()
    for k in range(conns):
        c = C(info)
        c.login(f"u{k % 20 + 2}@op-a.mssante.test")
        c.cmd(b"SELECT INBOX")
        c.s.sendall(b"i IDLE\r\n")
        c.buf = b""
        c.line()
        cs.append(c)
    dt = time.perf_counter() - t
    time.sleep(1)
    m1 = rss()
    print(f"{conns} IDLE connections in {dt:.1f} s: {(m1 - m0) / conns:.1f} KiB each")
    lat = []
    m = msg(7)
    for k in range(0, conns, max(1, conns // 40)):
        c = cs[k]
        a = C(info)
        a.login(f"u{k % 20 + 2}@op-a.mssante.test")
        c.s.settimeout(20)
        c.buf = b""
        t = time.perf_counter()
        a.cmd(b"APPEND INBOX {%d+}\r\n" % len(m) + m)
        c.line()
        lat.append(time.perf_counter() - t)
        a.s.close()
        for o in cs:
            if o is not c and (cs.index(o) - k) % 20 == 0:
                o.buf = b""
                o.s.settimeout(20)
                o.line()
        time.sleep(0.05)
    lat.sort()
    print(f"APPEND start .. EXISTS: p50 {lat[len(lat) // 2] * 1e3:.1f} ms p95 {lat[int(len(lat) * 0.95)] * 1e3:.1f} ms")


def append(info, count):
    c = C(info)
    c.login("u21@op-a.mssante.test")
    t = time.perf_counter()
    for i in range(count):
        m = msg(i)
        assert c.cmd(b"APPEND INBOX {%d+}\r\n" % len(m) + m)[2] == b"OK", c.last
    print(f"APPEND: {count / (time.perf_counter() - t):.0f}/s on one connection")


a = sys.argv
if a[1] == "serve":
    asyncio.run(serve(a[2], int(a[3]), a[4]))
elif a[1] != "none":
    info = json.loads(Path(a[2]).read_text())
    if a[1] == "ops":
        ops(info, int(a[3]) if len(a) > 3 else 3)
    elif a[1] == "cmds":
        cmds(info, int(a[3]), float(a[4]), a[5].encode())
    elif a[1] == "idle":
        idle(info, int(a[3]))
    elif a[1] == "append":
        append(info, int(a[3]))
