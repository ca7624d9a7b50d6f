"""Mozilla's own remote control, as far as a test needs it: run a script inside a Thunderbird that was started with ``--marionette``.

Promise: one session; what the script passes to its last argument is returned. Failure: AssertionError with what Thunderbird said.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

PATIENCE = 60.0


class Marionette:
    """A session with the Thunderbird that listens on ``port``; its windows are the context of scripts."""

    def __init__(self, port: int) -> None:
        self._socket = self._reach(port)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._hear()  # who it is
        self._order("WebDriver:NewSession")
        self._order("WebDriver:SetTimeouts", script=int(PATIENCE * 1000))
        self._order("Marionette:SetContext", value="chrome")

    def run(self, script: str, *arguments: object) -> Any:
        """Run ``script``, whose ``arguments`` end with the function that ends it."""
        return self._order("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments))["value"]

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    @staticmethod
    def _reach(port: int) -> socket.socket:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=2 * PATIENCE)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "Thunderbird does not listen"
                time.sleep(0.2)

    def _order(self, name: str, **parameters: object) -> Any:
        self._number += 1
        said = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(said), said))
        _, number, problem, answer = self._hear()
        assert number == self._number
        assert problem is None, problem
        return answer

    def _hear(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            octet = self._file.read(1)
            assert octet, "Thunderbird hung up"
            length += octet
        return json.loads(self._file.read(int(length[:-1])))
