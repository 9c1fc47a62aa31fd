"""What judges cti-taa: real pickles from a real server, and what they must not do."""

from __future__ import annotations

import collections
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.test_cti_bench import TAA, write
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources.download import RetryPolicy
from cybersecqwen.sources.threat_actors import fetch_judgement, read_graph, read_threat_actors

from .conftest import Answer, Upstream

BASE = "/xashru/cti-bench/main/evaluation"
GOLDS = f"{BASE}/responses/cti-taa-responses.tsv"
ALIASES, RELATED = f"{BASE}/alias_dict.pickle", f"{BASE}/related_dict.pickle"


class Runs:
    """Pickled, it calls a function when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


def put_judgement(
    upstream: Upstream,
    *golds: str,
    aliases: object = {"APT28 ": ["Fancy Bear", "nan"]},
    related: object = {"Turla": ["nan"]},
) -> None:
    lines = ["GT\tChatGPT-4\tLLAMA3-8B", *(f"{gold}\tX\tAPT1 " for gold in golds)]
    upstream.files[GOLDS] = "\n".join(lines).encode()  # the last line is open, as upstream
    upstream.files[ALIASES] = pickle.dumps(aliases)
    upstream.files[RELATED] = pickle.dumps(related)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "cti-taa", TAA, "u1\tt\tp", "u2\tt\tp")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_golds_are_joined_with_the_items_and_graphs_made_plain(
    upstream: Upstream, folder: Path, retry: RetryPolicy
) -> None:
    put_judgement(upstream, "APT28  ", "Bitter APT ")
    files = fetch_judgement(folder, upstream.url, retry)
    assert [path.name for path in files] == ["cti-taa-gold.tsv", "threat-actors.json"]
    assert files[0].read_text() == "URL\tGT\nu1\tAPT28\nu2\tBitter APT\n"
    assert json.loads(files[1].read_text()) == {
        "aliases": {"apt28": ["fancy bear", "nan"]},
        "related": {"turla": ["nan"]},
    }
    assert [item.gold for item in read_items(folder, "cti-taa")] == ["APT28", "Bitter APT"]
    assert read_threat_actors(folder).aliases == {"apt28": ("fancy bear", "nan")}
    assert names(folder) == ["cti-taa-gold.tsv", "cti-taa.tsv", "threat-actors.json"]


def test_files_that_fit_stay_and_nobody_is_asked(
    upstream: Upstream, folder: Path, retry: RetryPolicy
) -> None:
    write(folder, "cti-taa-gold", "URL\tGT", "u1\tMine", "u2\tMine too")
    (folder / "threat-actors.json").write_text('{"aliases": {}, "related": {}}')
    fetch_judgement(folder, upstream.url, retry)
    assert [item.gold for item in read_items(folder, "cti-taa")] == ["Mine", "Mine too"]
    assert upstream.seen == []


@pytest.mark.parametrize("spoilt", ["cti-taa-gold.tsv", "threat-actors.json"])
def test_files_that_fit_no_more_come_anew(
    upstream: Upstream, folder: Path, retry: RetryPolicy, spoilt: str
) -> None:
    put_judgement(upstream, "APT28", "Turla")
    fetch_judgement(folder, upstream.url, retry)
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    (folder / spoilt).write_text("URL\tGT\nu1\tAPT28\n")
    fetch_judgement(folder, upstream.url, retry)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


@pytest.mark.parametrize("path", [ALIASES, RELATED])
def test_a_pickle_that_would_run_a_command_is_refused_and_nothing_written(
    upstream: Upstream, folder: Path, retry: RetryPolicy, path: str
) -> None:
    put_judgement(upstream, "APT28", "Turla")
    evil = {"apt28": Runs(os.system, f"touch {folder / 'owned'}")}
    upstream.files[path] = pickle.dumps(evil)
    with pytest.raises(
        CyberSecQwenError,
        match=rf"{path}: refused: the pickle asks for '(posix|nt)\.system'; without it cti-taa",
    ) as caught:
        fetch_judgement(folder, upstream.url, retry)
    assert names(folder) == ["cti-taa.tsv"]
    pickle.loads(upstream.files[path])  # the same bytes do run it where they are trusted
    assert "owned" in names(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read_and_refused_alike(protocol: int) -> None:
    plain = {"A": ["b"], "C": ("D ", "e")}
    assert read_graph(pickle.dumps(plain, protocol), "g") == {"a": ["b"], "c": ["d", "e"]}
    with pytest.raises(InputError, match=r"g: refused: the pickle asks for '(posix|nt)\.system'"):
        read_graph(pickle.dumps(Runs(os.system, "true"), protocol), "g")
    with pytest.raises(InputError, match=r"asks for 'collections\.defaultdict'"):
        read_graph(pickle.dumps(collections.defaultdict(list, plain), protocol), "g")


def test_sets_become_sorted_lists_and_the_last_spelling_of_a_name_wins() -> None:
    graph = {"apt28": ["first"], "Turla": {"snake", "Uroburos"}, "APT28": ["second"]}
    assert read_graph(pickle.dumps(graph), "g") == {
        "apt28": ["second"], "turla": ["snake", "uroburos"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (["apt28"], r"not a graph of threat actors: a list of \['apt28'\]"),
        ({}, "a dict of {}"),
        ({"apt28": "Fancy Bear"}, "'Fancy Bear' in place of a list of names"),
        ({"apt28": None}, "None in place of a list"),
        ({"apt28": ["x", float("nan")]}, "nan in place of a name"),
        ({28: ["x"]}, "28 in place of a name"),
    ],
)
def test_a_pickle_of_anything_else_is_no_graph(content: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_graph(pickle.dumps(content), "g")


def test_a_damaged_pickle_is_one_line() -> None:
    whole = pickle.dumps({"apt28": ["fancy bear"]})
    for end in range(len(whole)):
        with pytest.raises(InputError, match="g: no readable pickle"):
            read_graph(whole[:end], "g")
    for damaged in (
        b"<html>moved</html>",
        b"\x8c\x02\xff\xff.",
        b"0.",
        b"h\x05.",
        b"}}\x8c\x01aNsb.",
        b"NN\x93.",
        b"Nr\xff\xff\xff\x7f.",  # a place in the memo that takes gigabytes
        b"Np4294967295\n.",
        b"\x8e" + b"\xff" * 7 + b"\x7f.",
    ):
        with pytest.raises(InputError, match="g: no readable pickle"):
            read_graph(damaged, "g")


@pytest.mark.parametrize(
    ("responses", "says"),
    [
        ("GT\tChatGPT-4\nAPT28\tX", r"responses\.tsv: 1 golds for the 2 items of cti-taa"),
        ("GT\nAPT28\nTurla\nAPT29", "3 golds for the 2 items"),
        ("GT\tChatGPT-4\nAPT28\tX\n \tX", r"responses\.tsv:3: the gold answer is empty"),
        ("GT\tChatGPT-4\nAPT28\tX\nTurla", r"responses\.tsv:3: 1 cells where the header has 2"),
        ("Gold\nAPT28\nTurla", r"responses\.tsv:1: the column 'GT' is missing"),
        ("", r"responses\.tsv:1: the column 'GT' is missing"),
    ],
)
def test_golds_of_other_items_are_refused_and_nothing_written(
    upstream: Upstream, folder: Path, retry: RetryPolicy, responses: str, says: str
) -> None:
    put_judgement(upstream)
    upstream.files[GOLDS] = responses.encode()
    with pytest.raises(CyberSecQwenError, match=says):
        fetch_judgement(folder, upstream.url, retry)
    assert names(folder) == ["cti-taa.tsv"]


@pytest.mark.parametrize("path", [GOLDS, ALIASES, RELATED])
def test_a_missing_file_is_named_and_nothing_written(
    upstream: Upstream, folder: Path, retry: RetryPolicy, path: str
) -> None:
    put_judgement(upstream, "APT28", "Turla")
    del upstream.files[path]
    expected = f"{upstream.url}{path}: the server answers HTTP 404 Not Found; without it cti-taa"
    with pytest.raises(CyberSecQwenError, match=re.escape(expected)) as caught:
        fetch_judgement(folder, upstream.url, retry)
    assert str(caught.value).endswith(f"; all other tasks are in {folder})")
    assert names(folder) == ["cti-taa.tsv"]


def test_a_server_that_is_busy_is_asked_again(
    upstream: Upstream, folder: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    put_judgement(upstream, "APT28", "Turla")
    upstream.faults[RELATED] = [lambda _: Answer(503, headers={"Retry-After": "2"})]
    fetch_judgement(folder, upstream.url, retry)
    assert waits == [2.0]
    assert read_threat_actors(folder).related == {"turla": ("nan",)}


@pytest.mark.shared
def test_the_real_graphs_and_golds_come_out_as_they_are(
    shared: Path, upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    real = shared / "cti-bench"
    golds = [item.gold for item in read_items(real, "cti-taa")]
    put_judgement(upstream, *golds, **json.loads((real / "threat-actors.json").read_text()))
    shutil.copyfile(real / "cti-taa.tsv", tmp_path / "cti-taa.tsv")
    fetch_judgement(tmp_path, upstream.url, retry)
    assert read_items(tmp_path, "cti-taa") == read_items(real, "cti-taa")
    assert read_threat_actors(tmp_path) == read_threat_actors(real)
