"""IMAP side by side with Dovecot, same messages, same client, TLS on both sides, alternating A B A B in one run.

usage: imap_compare.py [--sync-ms MS] DIR [COUNT] [ROUNDS] [LINE...]  (COUNT messages of 3 KiB and one of 10 MiB; default 10000, 3)
Prints, per line: ours and Dovecot's first (cold) and median, and their ratios. The lines are asked in order, so the first
of one may find what an earlier one left in memory (ours) or in its index (Dovecot); named alone, a line finds nothing.
APPEND goes to the folder of COUNT messages and, in a second line, to one of a hundred: a maildir's cost grows with its messages.
``--sync-ms``: each sync of either side waits that long first, as on a slower disk; what APPEND costs is mostly that (needs cc).
"""

import json
import os
import signal
import statistics as st
import subprocess
import sys
import time
from pathlib import Path

import imap_ours as ours
from slow_sync import slow_syncs

ROOT = Path(__file__).resolve().parent.parent


OPERATIONS = {
    "SELECT": (b"SELECT INBOX",),
    "FETCH 1:* (UID FLAGS)": (b"FETCH 1:* (UID FLAGS)",),
    "with ENVELOPE": (b"FETCH 1:* (UID FLAGS ENVELOPE)",),
    "all headers": (b"UID FETCH 1:* BODY.PEEK[HEADER]",),
    "BODYSTRUCTURE": (b"FETCH 1:* BODYSTRUCTURE",),
    "all bodies": (b"FETCH 1:* BODY.PEEK[]",),
    "SEARCH TEXT": (b'SEARCH TEXT "zzzznothing"',),
    "SEARCH SUBJECT": (b'SEARCH SUBJECT "rendu 4242"',),
    "SORT SUBJECT": (b"SORT (SUBJECT) UTF-8 ALL",),
    "SORT DATE": (b"SORT (REVERSE DATE) UTF-8 ALL",),
    "THREAD REFERENCES": (b"THREAD REFERENCES UTF-8 ALL",),
    "STORE one": (b"STORE 4242 +FLAGS (\\Flagged)",),
    "10 MiB body": (b"SELECT big", b"FETCH 1 BODY.PEEK[]"),
}
APPENDS = {"APPEND": "u1@op-a.mssante.test", "APPEND where 100 are": "u21@op-a.mssante.test"}


def once(info, commands):
    client = ours.Client(info)
    client.login()
    if commands[0] not in (b"SELECT INBOX", b"SELECT big"):
        client.command(b"SELECT INBOX")
    for command in commands[:-1]:
        client.command(command)
    if commands[0].startswith(b"STORE"):  # so that there is something to change
        client.command(commands[0].replace(b"+FLAGS", b"-FLAGS"))
    start = time.perf_counter()
    assert client.command(commands[-1])[1] == b"OK", client.last
    spent = time.perf_counter() - start
    client.socket.close()
    return spent * 1e3


def appends(info, user, count=150):
    messages = [ours.msg(i) for i in range(count)]  # made before the clock starts: it is no server's work
    client = ours.Client(info)
    client.login(user)
    start = time.perf_counter()
    for message in messages:
        assert client.command(b"APPEND INBOX {%d+}\r\n" % len(message) + message)[1] == b"OK", client.last
    client.socket.close()
    return count / (time.perf_counter() - start)


def main(folder, count, rounds, lines=(), sync_ms=0.0):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    environment = {**os.environ, **(slow_syncs(folder, sync_ms) if sync_ms else {})}
    mine, theirs = folder / "ours.json", folder / "dovecot.json"
    for one in (mine, theirs):
        one.unlink(missing_ok=True)
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "bench" / "imap_ours.py"), "serve", str(folder / "ours"), str(count), str(mine)],
        env=environment,
    )
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "bench" / "imap_dovecot.py"),
            "start",
            str(folder / "dovecot"),
            str(count),
            str(theirs),
        ],
        check=True,
        env=environment,
    )
    try:
        while not mine.exists():
            assert server.poll() is None
            time.sleep(0.2)
        infos = {"ours": json.loads(mine.read_text()), "dovecot": json.loads(theirs.read_text())}
        print(
            f"{'':24s} {'ours first':>11s} {'median':>9s}   {'Dovecot first':>13s} {'median':>9s}   ours/Dovecot first, median"
        )
        for name, commands in OPERATIONS.items():
            if lines and name not in lines:
                continue
            got = {"ours": [], "dovecot": []}
            for _ in range(rounds):
                for side, info in infos.items():
                    got[side].append(once(info, commands))
            a, b = got["ours"], got["dovecot"]
            print(
                f"{name:24s} {a[0]:9.1f}ms {st.median(a):7.1f}ms   {b[0]:11.1f}ms {st.median(b):7.1f}ms   {a[0] / b[0]:.2f} {st.median(a) / st.median(b):.2f}"
            )
        for name, user in APPENDS.items():
            if lines and name not in lines:
                continue
            rates = {"ours": [], "dovecot": []}
            for _ in range(rounds):
                for side, info in infos.items():
                    rates[side].append(appends(info, user))
            a, b = st.median(rates["ours"]), st.median(rates["dovecot"])
            print(f"{name:24s} {a:9.0f}/s {'':9s}   {b:11.0f}/s {'':9s}   {a / b:.2f} (more is better)")
        if lines and "single FETCHes" not in lines:
            return
        for side, info in infos.items():
            print(side, end=": ", flush=True)
            ours.cmds(info, 20, 2, b"FETCH 17 ENVELOPE")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        subprocess.run(
            [sys.executable, str(ROOT / "bench" / "imap_dovecot.py"), "stop", str(folder / "dovecot")], check=False
        )


if __name__ == "__main__":
    asked = sys.argv[1:]
    slow = float(asked[1]) if asked[:1] == ["--sync-ms"] else 0.0
    asked = asked[2:] if slow else asked
    main(
        asked[0],
        int(asked[1]) if len(asked) > 1 else 10000,
        int(asked[2]) if len(asked) > 2 else 3,
        asked[3:],
        slow,
    )
