"""The peer: a private Dovecot on loopback over TLS with the same messages, for figures side by side in one run.

usage: imap_dovecot.py start DIR COUNT PORTFILE | stop DIR
Then ``imap_ours.py ops|cmds|idle|append PORTFILE`` asks it the same questions (same client, same key type).
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BEFORE_2_4 = """import_environment = TZ LD_PRELOAD SYNC_MS
ssl_cert = <{cert}
ssl_key = <{key}
mail_location = maildir:~/maildir
auth_username_format = %n
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={d}/home/%n allow_all_users=yes
}}
"""
SINCE_2_4 = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
import_environment {{
  LD_PRELOAD = %{{env:LD_PRELOAD}}
  SYNC_MS = %{{env:SYNC_MS}}
}}
ssl_server_cert_file = {cert}
ssl_server_key_file = {key}
mail_driver = maildir
mail_path = ~/maildir
auth_username_format = %{{user | username}}
passdb static {{
  password = secret
}}
userdb static {{
  allow_all_users = yes
  fields {{
    uid = {uid}
    gid = {uid}
    home = {d}/home/%{{user | username}}
  }}
}}
"""
CONF = """base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = imap
listen = 127.0.0.1
ssl = required
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 5000
default_client_limit = 20000
default_process_limit = 3000
default_vsz_limit = 1G
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service imap {{
  process_limit = 3000
}}
"""


def start(folder, count, portfile):
    import imap_ours as ours

    from tests.mailboxes.imap import harness

    d = Path(folder).resolve()
    shutil.rmtree(d, ignore_errors=True)
    (d / "run").mkdir(parents=True)
    (d / "state").mkdir()
    pki = harness.make_pki(d)
    uid = 8  # Debian's "mail"
    for user, mails in [("u1", range(count)), *[(f"u{n}", range(100)) for n in range(2, 22)]]:
        box = d / "home" / user / "maildir"
        for sub in ("cur", "new", "tmp", ".big/cur", ".big/new", ".big/tmp"):
            (box / sub).mkdir(parents=True)
        for i in mails:
            (box / "cur" / f"{1772442000 + i}.{i}.x:2,").write_bytes(ours.msg(i))
        if user == "u1":
            (box / ".big" / "cur" / "1.1.x:2,").write_bytes(ours.msg(1, int(10485760 * 54 / 74)))
    subprocess.run(["chown", "-R", f"{uid}:{uid}", str(d / "home")], check=True)
    d.chmod(0o755)
    conf = d / "dovecot.conf"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    release = subprocess.run(["dovecot", "--version"], capture_output=True, encoding="utf-8", check=True).stdout
    of_release = SINCE_2_4 if tuple(map(int, release.split(".")[:2])) >= (2, 4) else BEFORE_2_4
    conf.write_text((of_release + CONF).format(d=d, cert=pki.cert, key=pki.key, port=port, uid=uid))
    subprocess.run(["/usr/sbin/dovecot", "-c", str(conf)], check=True)
    time.sleep(1)
    pid = int((d / "run" / "master.pid").read_text())
    Path(portfile).write_text(json.dumps({"port": port, "ca": str(pki.ca), "pid": pid}), encoding="utf-8")


if sys.argv[1] == "start":
    start(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    os.kill(int((Path(sys.argv[2]) / "run" / "master.pid").read_text()), 15)
