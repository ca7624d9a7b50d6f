"""A private Dovecot ``imap`` process over a maildir, logged in from the start: no daemon, no port, no password."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

PROGRAM = Path("/usr/lib/dovecot/imap")
NOBODY = 65534

_BEFORE_2_4 = """\
mail_location = maildir:{home}/mail
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}
}}
"""
_SINCE_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
import_environment {{
  USER = tester
  HOME = {home}
}}
mail_driver = maildir
mail_path = {home}/mail
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {home}
  }}
}}
"""
_CONFIGURATION = """\
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
info_log_path = {home}/log
protocols = imap
ssl = no
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = root
default_login_user = root
default_internal_group = root
stats_writer_socket_path =
"""
_RESPONSE = re.compile(
    rb"\* (\d+) FETCH \(([A-Z]+(?:\[[0-9A-Z.]*\])?) (.*?)\)\r\n(?=\* (?:\d+ FETCH|FLAGS|OK)|t\d+ OK)", re.DOTALL
)


def decodes_parameters() -> bool:
    """Since 2.4 RFC 2231 values stand in body structures as UTF-8, under the name without its asterisk."""
    return _release() >= (2, 4)


def _release() -> tuple[int, ...]:
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, version.split(".")[:2]))


def fetch(home: Path, messages: list[bytes], items: list[bytes]) -> dict[tuple[int, bytes], bytes]:
    """What Dovecot answers to ``FETCH n (item)``: raw value by message number and item."""
    _lay_out(home, messages)
    commands = [b"SELECT INBOX"]
    commands += [b"FETCH %d (%s)" % (n, item) for n in range(1, len(messages) + 1) for item in items]
    commands.append(b"LOGOUT")
    script = b"".join(b"t%d %s\r\n" % (number, command) for number, command in enumerate(commands))
    done = subprocess.run(
        [PROGRAM, "-c", home / "dovecot.conf"],
        input=script,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "USER": "tester", "HOME": str(home)},
    )
    assert done.stdout.startswith(b"* PREAUTH"), done.stderr
    found = _RESPONSE.findall(done.stdout)
    # Some releases set keywords on reading, and say so although nobody asked.
    return {(int(number), item): value for number, item, value in found if item != b"FLAGS"}


def _lay_out(home: Path, messages: list[bytes]) -> None:
    for name in ("cur", "new", "tmp"):
        (home / "mail" / name).mkdir(parents=True)
    (home / "run").mkdir()
    for number, message in enumerate(messages):
        (home / "mail" / "cur" / f"{1_000_000_000 + number}.M{number:05d}P1.host:2,S").write_bytes(message)
    uid, gid = os.getuid() or NOBODY, os.getgid() or NOBODY
    text = ((_SINCE_2_4 if _release() >= (2, 4) else _BEFORE_2_4) + _CONFIGURATION).format(home=home, uid=uid, gid=gid)
    (home / "dovecot.conf").write_text(text)
    if os.getuid() == 0:  # Dovecot does not read mail as root
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, gid)
