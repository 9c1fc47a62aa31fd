"""The knowledge index: what ships, what it finds, what is refused."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cybersecqwen.artifacts import certificate_of
from cybersecqwen.embedded.knowledge import (
    SHIPPED,
    KnowledgeIndex,
    installed_index,
    knowledge_folder,
)
from cybersecqwen.errors import InputError


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


def test_what_ships_is_small_and_says_what_it_was_made_from(index: KnowledgeIndex) -> None:
    assert SHIPPED.stat().st_size < 5_000_000
    certificate = json.loads(certificate_of(SHIPPED.parent, SHIPPED.name).read_text())
    names = [source["name"] for source in certificate["sources"]]
    assert names == ["ATT&CK enterprise", "ATT&CK mobile", "ATT&CK ics", "CAPEC", "CWE"]
    assert list(index.sources) == certificate["sources"]
    assert certificate["dropped"] > 0
    assert set(certificate["benchmark_items"]) == {
        "cti-mcq", "cti-rcm", "cti-rcm-2021", "cti-vsp", "cti-taa", "cti-ate"
    }  # fmt: skip


def test_what_ships_holds_no_text(index: KnowledgeIndex) -> None:
    assert not index.has_texts
    assert all(found.passage == "" for found in index.search("credential dumping"))


@pytest.mark.parametrize(
    ("entry_id", "name"),
    [
        ("T1059.001", "PowerShell"),
        ("cwe-502", "Deserialization of Untrusted Data"),
        ("CAPEC-66", "SQL Injection"),
        ("g0016", "APT29"),
        ("T1086", "PowerShell"),  # revoked, replaced by T1059.001
    ],
)
def test_entries_by_id(index: KnowledgeIndex, entry_id: str, name: str) -> None:
    entry = index.entry(entry_id)
    assert entry is not None
    assert entry.name == name


def test_an_unknown_id_is_none(index: KnowledgeIndex) -> None:
    assert index.entry("T9999") is None
    assert index.ids_in("CVE-2021-44228 and T9999") == []


def names(index: KnowledgeIndex, text: str, *, strict: bool) -> list[str]:
    return [index.entries[p].entry_id for p in index.names_in(text, strict=strict)]


def test_names_and_aliases_in_a_text(index: KnowledgeIndex) -> None:
    assert names(index, "Did Cozy Bear use mimikatz?", strict=True) == ["G0016", "S0002"]
    assert "T1003.001" in names(index, "dumping LSASS memory", strict=True)
    # The longer name counts, not the "Process Injection" or the "Hollowing" in it.
    assert names(index, "by Process Hollowing", strict=True) == ["T1055.012"]


def test_everyday_words_are_no_names(index: KnowledgeIndex) -> None:
    assert names(index, "at the net, group the malware of a command", strict=True) == []


def test_facts_both_ways(index: KnowledgeIndex) -> None:
    pattern, weakness = index.position("CAPEC-66"), index.position("CWE-89")
    assert pattern is not None
    assert weakness is not None
    assert weakness in index.related(pattern, "exploits")
    assert pattern in index.related(weakness, "exploits", inverse=True)
    assert index.related(pattern, "no such relation") == []
    assert index.label(weakness).startswith("CWE-89 Improper Neutralization")
    assert "Implementation" in [index.label(t) for t in index.related(weakness, "phase")]


@pytest.mark.parametrize(
    ("entry_id", "path", "labels"),
    [
        ("T1558.003", ("^detects", "analytic", "event id"), {"4769"}),
        ("T1070.001", ("^detects", "analytic", "event id"), {"1102"}),
        ("AN0444", ("log source",), {"WinEventLog:Security EventCode=4769"}),
        ("DET0240", ("detects",), {"T1649 Steal or Forge Authentication Certificates"}),
        ("S0446", ("type",), {"ransomware"}),
        ("G0007", ("country",), {"Russia"}),
        ("C0058", ("vulnerability",), {"CVE-2025-53770"}),
        ("C0022", ("first seen",), {"2019-09"}),
        ("CAPEC-98", ("likelihood",), {"High"}),
        ("CAPEC-98", ("severity",), {"Very High"}),
        ("CWE-119", ("mapping usage",), {"Discouraged"}),
        ("CWE-352", ("requires",), {"CWE-613 Insufficient Session Expiration"}),
        ("CWE-426", ("parent in CWE-1003",), {"CWE-668 Exposure of Resource to Wrong Sphere"}),
        ("CWE-92", ("status",), {"Deprecated"}),
    ],
)  # fmt: skip
def test_facts_that_analysts_ask_for(
    index: KnowledgeIndex, entry_id: str, path: tuple[str, ...], labels: set[str]
) -> None:
    position = index.position(entry_id)
    assert position is not None
    assert labels <= {index.label(target) for target in index.follow(position, *path)}


def test_a_word_leads_back_to_the_entries_that_have_it(index: KnowledgeIndex) -> None:
    ransomware, event = index.word("Ransomware"), index.word("4769")
    assert ransomware is not None
    assert event is not None
    ryuk, kerberoasting = index.position("S0446"), index.position("T1558.003")
    assert ryuk in index.related(ransomware, "type", inverse=True)
    assert kerberoasting in index.follow(event, "^event id", "^analytic", "detects")
    assert index.word("no such word") is None


def test_our_own_words_are_returned_and_found_by(index: KnowledgeIndex) -> None:
    forgery = index.position("CWE-352")
    assert forgery is not None
    assert "request" in index.definition(forgery)
    assert "token" in index.fix(forgery)
    found = index.search(index.definition(forgery), limit=1)
    assert [(e.id, e.section) for e in found] == [("CWE-352", "definition")]
    # What ranks options never sees them.
    assert "definition" not in [e.section for e in index.of_sources().search("forged", limit=50)]


def test_an_entry_without_a_gloss_has_empty_words(index: KnowledgeIndex) -> None:
    nowhere = len(index.entries)
    assert index.definition(nowhere) == index.fix(nowhere) == index.differs(nowhere) == ""


@pytest.mark.parametrize(
    ("text", "entry_id"),
    [
        ("deserialization of untrusted data", "CWE-502"),
        ("dumping credentials from the memory of LSASS", "T1003.001"),
        ("forged Kerberos golden ticket", "T1558.001"),
        ("hard-coded passwords in the code", "CWE-259"),
    ],
)
def test_search_finds_the_entry(index: KnowledgeIndex, text: str, entry_id: str) -> None:
    passages = index.search(text, limit=5)
    assert entry_id in [evidence.id for evidence in passages]
    assert [e.score for e in passages] == sorted((e.score for e in passages), reverse=True)


def test_search_for_nothing_known_finds_nothing(index: KnowledgeIndex) -> None:
    assert index.search("xyzzyplugh") == []
    assert index.search("") == []
    assert index.search("shell", limit=0) == []


def test_damage_is_one_line(tmp_path: Path) -> None:
    path = Path(shutil.copy(SHIPPED, tmp_path / "knowledge.npz"))
    with pytest.raises(InputError, match="no such file"):
        KnowledgeIndex.load(path)
    shutil.copy(
        certificate_of(SHIPPED.parent, SHIPPED.name), certificate_of(path.parent, path.name)
    )
    assert len(KnowledgeIndex.load(path)) > 60_000
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        KnowledgeIndex.load(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        KnowledgeIndex.load(path)


@pytest.mark.parametrize("cut", [0, 100, -1000])
def test_bytes_that_are_no_index_are_refused(cut: int) -> None:
    with pytest.raises(InputError, match="no knowledge index"):
        KnowledgeIndex.from_bytes(SHIPPED.read_bytes()[:cut])


def test_damage_to_what_is_named_is_told_when_the_index_is_opened() -> None:
    data = bytearray(SHIPPED.read_bytes())
    data[data.index(b"entries.npy") + 400] ^= 1
    with pytest.raises(InputError, match="no knowledge index"):
        KnowledgeIndex.from_bytes(bytes(data))


def test_damage_to_the_texts_is_told_when_one_is_shown() -> None:
    held = np.load(SHIPPED)
    file = io.BytesIO()
    texts = np.frombuffer(json.dumps(["x" * 99] * len(KnowledgeIndex.load())).encode(), np.uint8)
    np.savez(file, **{name: held[name] for name in held.files}, texts=texts)
    data = bytearray(file.getvalue())
    data[data.index(b"x" * 99)] ^= 1
    index = KnowledgeIndex.from_bytes(bytes(data), where="index.npz")
    with pytest.raises(InputError, match=r"index\.npz: damaged texts"):
        index.evidence(0, 1.0)


def test_where_the_installed_one_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYBERSECQWEN_KNOWLEDGE", str(tmp_path))
    assert knowledge_folder() == tmp_path
    assert installed_index() is None


def test_a_question_is_answered_fast_in_little_memory() -> None:
    """In a process of its own; the bounds are loose, a slow machine is no failure."""
    code = """
import resource, time
import numpy
from cybersecqwen.embedded.knowledge import KnowledgeIndex
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
index = KnowledgeIndex.load()
loaded = time.perf_counter()
index.search("dumping credentials")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(loaded - start, (after - before) / 1024)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < 1
    assert megabytes < 60
