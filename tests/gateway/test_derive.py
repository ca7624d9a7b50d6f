"""An operator's configuration derived from the shipped text: set values are in force, unknown ones are noticed."""

from __future__ import annotations

import tomllib

import pytest

from gateway.admin.derive import derive
from gateway.config_document import render


def test_values_and_routes_are_set_in_their_sections() -> None:
    text = derive(
        render(),
        {("operator", "name"): "Opérateur « A »", ("imap", "listen"): ["127.0.0.1:1143"], ("limits", "recipients"): 7},
        [{"domain": "op-b.mssante.test", "host": "127.0.0.1", "port": 2525, "name": "smtp.op-b.mssante.test"}],
    )
    values = tomllib.loads(text)
    assert values["operator"]["name"] == "Opérateur « A »"
    assert values["imap"]["listen"] == ["127.0.0.1:1143"]
    assert values["limits"]["recipients"] == 7
    assert values["routes"][0]["port"] == 2525
    assert "submission" not in values or "listen" not in values["submission"]


def test_an_unknown_key_is_noticed() -> None:
    with pytest.raises(KeyError, match="recipient_s"):
        derive(render(), {("limits", "recipient_s"): 7})
