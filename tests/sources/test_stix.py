"""STIX bundles: their markup made plain, and what is refused."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.sources.stix import StixObject, paragraphs, plain, read_bundle

BUNDLE = {"type": "bundle", "id": "bundle--1", "objects": [{"id": "tool--1", "type": "tool"}]}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Uses `x` (Citation: A B 2020).(Citation: C)", "Uses `x`."),
        ("See [T 1](https://attack.mitre.org/techniques/T1001).", "See T 1."),
        ("<code>a &lt; b</code>", "a < b"),
        ("#include <stdio.h> and a < b > c", "#include <stdio.h> and a < b > c"),
        ("<xhtml:p>One\n  two</xhtml:p>", "One two"),
        ("", ""),
    ],
)
def test_markup_becomes_plain(markup: str, text: str) -> None:
    assert plain(markup) == text


def test_paragraphs_end_at_empty_lines_and_closed_blocks() -> None:
    assert paragraphs("One\nstill one.\n\n \nTwo.<br><br>Three.") == [
        "One still one.",
        "Two.",
        "Three.",
    ]
    assert paragraphs("<p>One.</p><p>Two.</p><p></p>") == ["One.", "Two."]


def test_plain_gzipped_and_zipped_read_the_same(tmp_path: Path) -> None:
    content = json.dumps(BUNDLE).encode()
    (tmp_path / "a.json").write_bytes(content)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", content)
    for name in ("a.json", "a.json.gz", "a.zip"):
        [thing] = read_bundle(tmp_path / name, StixObject)
        assert (thing.id, thing.type, thing.revoked) == ("tool--1", "tool", False)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"type": "bundle", "objects": [', "not valid JSON"),
        (b"[]", "Input should be an object"),
        (b'{"type": "report", "objects": []}', "the type is 'report'"),
        (b'{"type": "bundle", "objects": [{"id": "x"}]}', "0.type: Field required"),
        (b'{"type": "bundle", "objects": [{"id": "x", "type": "t", "name": 3}]}', "0.name"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_bundle(tmp_path / "a.json", StixObject)
