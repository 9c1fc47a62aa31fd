"""The glossary: one sentence of our own for each entry of ATT&CK, CWE and CAPEC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen import embedded_build, files

FOLDER = Path(embedded_build.__file__).parent / "glossary"
GLOSSARIES = sorted(FOLDER.glob("*.jsonl"))
LIMITS = {"text": 200, "fix": 160, "differs": 200, "terms": 320}
IDS = {"cwe": r"CWE-\d+", "capec": r"CAPEC-\d+", "attack": r"(TA|T|M|G|S|C)\d{4}(\.\d{3})?"}


def entries(path: Path) -> list[dict[str, Any]]:
    return list(files.read_jsonl(path))


def numbers(entry: dict[str, Any]) -> tuple[str, list[int]]:
    return re.match(r"\D*", entry["id"])[0], [int(n) for n in re.findall(r"\d+", entry["id"])]


@pytest.mark.parametrize("path", GLOSSARIES, ids=lambda path: path.stem)
def test_each_id_stands_once_and_in_order(path: Path) -> None:
    ids = [numbers(entry) for entry in entries(path)]
    assert ids == sorted(ids)
    assert len({str(name) for name in ids}) == len(ids)
    assert all(re.fullmatch(IDS[path.stem], entry["id"]) for entry in entries(path))


@pytest.mark.parametrize("path", GLOSSARIES, ids=lambda path: path.stem)
def test_each_text_is_one_short_sentence(path: Path) -> None:
    for entry in entries(path):
        assert {"id", "text"} <= set(entry) <= {"id", *LIMITS}, entry["id"]
        assert len(entry.get("terms", "")) <= LIMITS["terms"], entry["id"]
        for key in set(entry) - {"id", "terms"}:
            text = entry[key]
            assert 20 <= len(text) <= LIMITS[key], f"{entry['id']} {key}: {len(text)} characters"
            assert text.endswith("."), f"{entry['id']} {key} ends without a period"
            assert not text[0].islower(), f"{entry['id']} {key} begins in lower case"
            assert text == " ".join(text.split()), f"{entry['id']} {key} has stray white space"


@pytest.mark.parametrize("path", GLOSSARIES, ids=lambda path: path.stem)
def test_no_two_entries_share_a_text(path: Path) -> None:
    texts = [entry["text"] for entry in entries(path)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("weakness", "term"),
    [
        ("CWE-79", "Encode output"),
        ("CWE-89", "parameterized queries"),
        ("CWE-352", "anti-CSRF token"),
        ("CWE-502", "integrity check"),
        ("CWE-611", "Disable DTDs"),
        ("CWE-798", "unique per-device"),
        ("CWE-307", "rate limiting"),
    ],
)
def test_the_fix_of_a_weakness_names_its_remedy(weakness: str, term: str) -> None:
    fixes = {entry["id"]: entry["fix"] for entry in entries(FOLDER / "cwe.jsonl") if "fix" in entry}
    assert term in fixes[weakness]


def test_neighbours_are_told_apart_by_id() -> None:
    for entry in entries(FOLDER / "cwe.jsonl"):
        if "differs" in entry:
            assert re.search(r"CWE-\d+", entry["differs"]), entry["id"]


@pytest.mark.parametrize(
    ("entry", "term"),
    [
        ("T1003.001", "lsass.exe"),
        ("T1003.006", "DRSUAPI"),
        ("T1558.003", "offline"),
        ("T1102.001", "address of the real C2 server"),
        ("M1020", "Decrypt TLS"),
        ("T0855", "open breakers"),
    ],
)
def test_a_definition_of_attack_has_the_telling_term(entry: str, term: str) -> None:
    texts = {row["id"]: row["text"] for row in entries(FOLDER / "attack.jsonl")}
    assert term in texts[entry]


def test_definitions_of_attack_are_plain_ascii() -> None:
    assert all(row["text"].isascii() for row in entries(FOLDER / "attack.jsonl"))
