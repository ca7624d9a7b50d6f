"""The conformity page is what the tree says, and no requirement is cited that the register does not state."""

from __future__ import annotations

import pytest

from tests import conformity


def ids(text: str) -> list[str]:
    return [name for _, name in conformity.citations(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size (MSS-044).", ["MSS-044"]),
        ("HID-058, 059 and HID-077", ["HID-058", "HID-059", "HID-077"]),
        ("HID-077 to 079", ["HID-077", "HID-078", "HID-079"]),
        ("MSS-022 to MSS-031", ["MSS-022", "MSS-023", "MSS-024", "MSS-030", "MSS-031"]),
        ("MSS-070..072", ["MSS-070", "MSS-071", "MSS-072"]),
        ("MSS-145, TOU-F02", ["MSS-145", "TOU-F02"]),
        ("MSS-040, 250 only after", ["MSS-040"]),
        ("TOU-A01/A02", ["TOU-A01", "TOU-A02"]),
        ("X-MSS-INS and MSS-999", ["MSS-999"]),
        ("text 450 after MSS-040 and 2 more", ["MSS-040"]),
    ],
)
def test_citations_are_read_as_people_write_them(text: str, expected: list[str]) -> None:
    assert ids(text) == expected


def test_every_cited_requirement_is_in_the_register() -> None:
    assert conformity.strangers() == {}


def test_the_register_states_each_requirement_and_where_it_comes_from() -> None:
    for name, entry in conformity.register().items():
        assert entry["statement"].strip(), name
        assert entry["source"].strip(), name
    assert list(conformity.register()) == sorted(
        conformity.register(), key=lambda name: (list(conformity.FAMILIES).index(name[:3]), name)
    )


def test_each_rule_of_the_hprim_catalogue_is_a_requirement_of_the_same_gravity() -> None:
    from hprim.rules import RULES

    words = {"N": "note", "W": "warn", "R": "refuse", "S": "refuse, never lowered"}
    for rule in RULES:
        if rule.name.startswith("HID-"):
            letter = "S" if rule.severity.name == "SAFETY" else rule.severity.name[0]
            assert words[letter].split(",")[0] in conformity.register()[rule.name]["severity"], rule.name


def test_the_page_is_up_to_date() -> None:
    assert conformity.PAGE.read_text("utf-8") == conformity.page(), "stale: run `make conformity`"
