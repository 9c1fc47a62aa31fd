"""The knowledge index from its sources: what goes in, what stays out, the same bytes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from cybersecqwen.artifacts import certificate_of
from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.embedded.knowledge import KnowledgeIndex, installed_index
from cybersecqwen.embedded.postings import K1, B
from cybersecqwen.embedded.terms import terms
from cybersecqwen.embedded_build.glossary import Gloss, gloss_facts, gloss_passages, read_glossary
from cybersecqwen.embedded_build.indexing import (
    KnowledgeFiles,
    clean_facts,
    clean_passages,
    install,
    pack,
)
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.records import Entry, Fact, Item, Knowledge, Passage, Procedure

SHELL = Entry("T1059", "Command Interpreter", "technique", "https://a/T1059", ("T1086",))
GROUP = Entry("G0016", "APT29", "group", "https://a/G0016", ("Cozy Bear (old)",))


def passage(text: str, other: str = "", section: str = "description") -> Passage:
    return Passage("T1059", SHELL.name, SHELL.kind, section, text, SHELL.url, other)


PASSAGES = (
    passage("Adversaries abuse shells."),
    passage("APT29 ran a script.", "G0016", "procedure"),
)
KNOWLEDGE = Knowledge(
    "ATT&CK test",
    "1",
    (SHELL, GROUP),
    PASSAGES,
    (
        Fact("G0016", "uses", "T1059"),
        Fact("T1059", "platform", "Linux"),
        Fact("T1059", "platform", "N/A"),
    ),
)
SOURCES = [{"name": "ATT&CK test", "version": "1", "sha256": "0"}]


def test_what_is_packed_is_found_again() -> None:
    index = KnowledgeIndex.from_bytes(pack([KNOWLEDGE], PASSAGES, SOURCES, texts=True))
    assert index.entries == (SHELL, GROUP)
    assert list(index.sources) == SOURCES
    [best, *_] = index.search("abusing the shell")
    assert (best.id, best.section, best.passage) == (
        "T1059", "description", "Adversaries abuse shells."
    )  # fmt: skip
    [told, *_] = index.search("script of Cozy Bear APT29")
    assert (told.id, told.other, told.passage) == ("T1059", "G0016", "APT29 ran a script.")
    assert [index.label(t) for t in index.related(1, "uses")] == ["T1059 Command Interpreter"]
    assert [index.label(t) for t in index.related(0, "platform")] == ["Linux"]
    assert index.names_in("cozy bear and the command interpreter") == [1, 0]
    assert index.search("platform linux")[0].section == "facts: platform"


def test_scores_are_those_of_another_bm25() -> None:
    """Against the library bm25s, which leaves out the constant factor k1 + 1."""
    bm25s = pytest.importorskip("bm25s")
    texts = ("shell shell file", "file of the memory", "kernel memory page of the kernel", "page")
    passages = [passage(text) for text in sorted(texts)]
    index = KnowledgeIndex.from_bytes(
        pack([Knowledge("x", "", (SHELL,), (), ())], passages, SOURCES)
    )
    head = [*terms(f"{SHELL.name} description"), "t1059"]
    library = bm25s.BM25(k1=K1, b=B, method="lucene")
    library.index([[*terms(p.text), *head] for p in passages], show_progress=False)
    for question in ("shell file", "kernel page memory", "interpreter"):
        asked = terms(question)
        assert index.scores(asked).tolist() == pytest.approx(
            (library.get_scores(asked) * (K1 + 1)).tolist(), rel=1e-5
        )


def test_without_texts_none_is_inside() -> None:
    data = pack([KNOWLEDGE], PASSAGES, SOURCES)
    index = KnowledgeIndex.from_bytes(data)
    assert not index.has_texts
    assert index.search("shell")[0].passage == ""
    members = "".join(str(index._arrays[name].tobytes()) for name in index._arrays.files)
    assert "Adversaries abuse" not in members


def test_the_order_of_what_is_read_does_not_matter() -> None:
    assert pack([KNOWLEDGE], PASSAGES, SOURCES) == pack([KNOWLEDGE], PASSAGES[::-1], SOURCES)


def test_a_knowledge_without_passages_is_refused() -> None:
    with pytest.raises(InputError, match="hold no passage"):
        pack([Knowledge("x", "", (SHELL,), (), ())], (), [])


def test_what_overlaps_with_the_benchmark_is_left_out() -> None:
    copied = "the adversary ran a script that took every file of the share and sent them away"
    item = Item("cti-mcq", 0, "", "A", text=copied, options=("Yes", "No"))
    clean = clean_passages(
        [passage(f"APT29, {copied}."), PASSAGES[0]],
        BenchmarkIndex(benchmark_of({"cti-mcq": (item,)}), Contamination()),
    )
    assert clean.kept == [PASSAGES[0]]
    assert len(clean.dropped) == 1
    assert clean.hit_counts() == {"exact": {"cti-mcq": 1}}


def test_a_fact_that_names_the_vulnerability_of_an_item_is_left_out() -> None:
    item = Item("cti-rcm", 0, "", "CWE-79", text="Of CVE-2024-0001.")
    benchmark = BenchmarkIndex(benchmark_of({"cti-rcm": (item,)}), Contamination())
    facts = [Fact("CWE-79", "vulnerability", f"CVE-2024-000{i}") for i in (1, 2)]
    clean = clean_facts([*facts, Fact("CWE-79", "phase", "Implementation")], benchmark)
    assert clean.kept == [facts[1], Fact("CWE-79", "phase", "Implementation")]
    assert clean.hit_counts() == {"cve-id": {"cti-rcm": 1}}


GLOSSARY = {
    "T1059": Gloss(
        "Somebody types orders at a prompt.", "Lock the keyboard.", "No macro.", "bash, zsh"
    )
}


def test_our_own_words_find_an_entry_and_are_returned() -> None:
    passages = [*PASSAGES, *gloss_passages(GLOSSARY, (SHELL, GROUP))]
    index = KnowledgeIndex.from_bytes(
        pack([KNOWLEDGE], passages, SOURCES, glossary=GLOSSARY, texts=True)
    )
    for words in ("locking a keyboard", "zsh"):
        [best, *_] = index.search(words)
        assert (best.id, best.section) == ("T1059", "definition")
        assert best.passage == ""  # a quotation is upstream's
    assert (index.definition(0), index.fix(0), index.differs(0)) == GLOSSARY["T1059"][:3]
    assert index.definition(1) == ""


def test_a_gloss_tells_the_type_of_malware() -> None:
    locker = Entry("S0099", "Locker", "malware", "https://a/S0099")
    glossary = {"S0099": Gloss("Ransomware that a loader brings."), **GLOSSARY}
    assert list(gloss_facts(glossary, (SHELL, locker))) == [Fact("S0099", "type", "ransomware")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"id": "T1"}', "is no gloss"),
        ('{"id": "T1", "text": 1}', "is no gloss"),
        ('{"id": "T1", "text": "a", "note": "b"}', "has 'note'"),
        ('{"id": "T0", "text": "a"}', "T0 stands there twice"),
        ("T1", "not valid JSON"),
    ],
)
def test_a_glossary_with_a_bad_row_is_refused_with_its_line(
    tmp_path: Path, row: str, says: str
) -> None:
    (tmp_path / "attack.jsonl").write_text('{"id": "T0", "text": "a"}\n' + row)
    with pytest.raises(InputError, match=rf"attack\.jsonl:2.*{says}"):
        read_glossary(tmp_path)


def test_relations_in_a_row_and_procedures_are_followed() -> None:
    knowledge = KNOWLEDGE._replace(
        facts=(
            Fact("G0016", "uses", "T1059"),
            Fact("T1059", "platform", "Linux"),
            Fact("T1059", "platform", "None"),
        ),
        procedures=(Procedure("G0016", "T1059", "T1059"),),
    )
    index = KnowledgeIndex.from_bytes(pack([knowledge], PASSAGES, SOURCES))
    linux = index.word("linux")
    assert linux is not None
    assert index.follow(1, "uses", "platform") == [linux]
    assert index.follow(linux, "^platform", "^uses") == [1]
    assert index.follow(0, "no such relation") == []
    assert index.word("Windows") is None
    none = index.word("none")
    assert none is not None
    assert index.related(none, "platform", inverse=True) == []
    assert index.procedures(1) == [(1, 0, 0)]


def write_bundle(folder: Path, text: str = "Shells run commands.") -> Path:
    technique = {
        "type": "attack-pattern",
        "id": "attack-pattern--1",
        "name": "Command Interpreter",
        "description": text,
        "external_references": [{"source_name": "mitre-attack", "external_id": "T1059"}],
    }
    path = folder / "attack.json"
    path.write_text(json.dumps({"type": "bundle", "objects": [technique]}))
    return path


def test_an_installed_index_quotes_its_passages(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    path = install(KnowledgeFiles(attack=(write_bundle(tmp_path),)), folder=folder)
    assert installed_index(folder) == path
    index = KnowledgeIndex.load(path)
    assert index.search("shell")[0].passage == "Shells run commands."
    [source] = index.sources
    assert source["name"] == "ATT&CK "
    assert len(source["sha256"]) == 64


def test_installing_again_replaces_the_older_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    first = install(KnowledgeFiles(attack=(write_bundle(tmp_path),)), folder=folder)
    second = install(KnowledgeFiles(attack=(write_bundle(tmp_path, "Another."),)), folder=folder)
    assert first != second
    assert installed_index(folder) == second
    assert sorted(folder.iterdir()) == sorted(
        [folder / "current.json", second, certificate_of(second.parent, second.name)]
    )


def test_a_failed_install_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    path = install(KnowledgeFiles(attack=(write_bundle(tmp_path),)), folder=folder)
    before = sorted(folder.iterdir())
    cut = tmp_path / "cut.json"
    cut.write_text('{"type": "bundle", "objects": [')
    with pytest.raises(InputError, match="not valid JSON"):
        install(KnowledgeFiles(attack=(cut,)), folder=folder)
    with pytest.raises(InputError, match="no file is given"):
        install(KnowledgeFiles(), folder=folder)
    assert sorted(folder.iterdir()) == before
    assert len(KnowledgeIndex.load(path).of_sources()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_refuses_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    folder.mkdir(mode=0o500)
    with pytest.raises(CyberSecQwenError, match="cannot write"):
        install(KnowledgeFiles(attack=(write_bundle(tmp_path),)), folder=folder)


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "knowledge").write_text("")
    with pytest.raises(CyberSecQwenError, match="cannot write"):
        install(KnowledgeFiles(attack=(write_bundle(tmp_path),)), folder=tmp_path / "knowledge")


@pytest.mark.shared
def test_no_sentence_of_upstream_ships(shared: Path) -> None:
    """No run of six words of a description stands anywhere in what is shipped."""
    with gzip.open(shared / "enterprise-attack.json.gz") as file:
        objects = json.load(file)["objects"]
    index = KnowledgeIndex.load()
    shipped = b" ".join(index._arrays[n].tobytes() for n in index._arrays.files)
    described = [o["description"] for o in objects if o["type"] == "attack-pattern"][:300]
    for text in described:
        words = text.split("(Citation")[0].split()[:6]
        assert len(words) < 6 or " ".join(words).encode() not in shipped
