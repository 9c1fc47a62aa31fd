"""What ships is made from clean records, the same bytes each time, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.benchmark.tasks import benchmark_of, read_benchmark
from cybersecqwen.cli import main
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import RULES, BenchmarkIndex, normalised
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.embedded.classifier import (
    ARTIFACT,
    CweClassifier,
    Parameters,
)
from cybersecqwen.embedded.layer import Calibration, Layer
from cybersecqwen.embedded.quantisation import Quantised
from cybersecqwen.embedded_build.build import UpstreamFiles, build, fit, labelled_records
from cybersecqwen.embedded_build.classifier_training import (
    Features,
    Hyperparameters,
    labelled,
    train,
)
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json, write_jsonl
from cybersecqwen.records import Item, Vulnerability
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

pytest.importorskip("torch")
pytest.importorskip("sklearn")

SMALL = Hyperparameters(rarest=(2, 2, 3), rarest_class=3, size=16, epochs=3, batch=32)
CATALOGUE = """<Weakness_Catalog xmlns="http://cwe.mitre.org/cwe-7" Version="4.16"><Weaknesses>
<Weakness ID="20" Name="Input Validation" Abstraction="Class" Status="Stable"><Mapping_Notes>
<Usage>Discouraged</Usage><Suggestions><Suggestion CWE_ID="1284" Comment="Quantity"/>
<Suggestion CWE_ID="116" Comment="Encoding"/></Suggestions></Mapping_Notes></Weakness>
</Weaknesses></Weakness_Catalog>"""
PARTS = ("facts", "classifier")


def row(cve_id: str, text: str, *cwes: str, published: str = "2021-05-04") -> dict[str, Any]:
    return {
        "cve_id": cve_id,
        "published": published,
        "description": text,
        "cwe_nvd": list(cwes),
        "cwe_cna": [],
        "cwe_cisa_adp": [],
        "cvss3_vector": None,
        "assigner": None,
        "description_source": None,
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> UpstreamFiles:
    cwe = tmp_path_factory.mktemp("cwe") / "cwec.xml"
    cwe.write_text(CATALOGUE)
    return UpstreamFiles(records=(FEED,), benchmark=BENCHMARK, cwe=cwe)


@pytest.fixture(scope="module")
def built(inputs: UpstreamFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(inputs, parts=PARTS, folder=folder)
    return folder


def test_the_same_inputs_give_the_same_bytes_and_the_command_does_too(
    inputs: UpstreamFiles, built: Path, tmp_path: Path
) -> None:
    report, out = tmp_path / "report", tmp_path / "out"
    command = ["embedded", "build", "--records", inputs.records[0], "--cwe", inputs.cwe]
    command += ["--benchmark", inputs.benchmark, "--part", "facts", "--part", "classifier"]
    done = CliRunner().invoke(main, list(map(str, [*command, "--out", out, "--report", report])))
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in built.iterdir())
    assert names == sorted(
        f"{name}{end}" for name in ("cwe.json", ARTIFACT) for end in ("", ".certificate.json")
    )
    for name in names:
        assert (out / name).read_bytes() == (built / name).read_bytes(), name
    for part, name in zip(PARTS, ("cwe.json", ARTIFACT), strict=True):
        data = (out / name).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        assert f"{part}: {len(data)} bytes, sha256 {sha256}\n" in done.stdout
    assert "# The embedded classifier, measured" in (report / "README.md").read_text()


def test_the_certificate_is_of_these_bytes_and_inputs(inputs: UpstreamFiles, built: Path) -> None:
    certificate = read_json(certificate_of(built, ARTIFACT))
    data = (built / ARTIFACT).read_bytes()
    assert certificate["sha256"] == hashlib.sha256(data).hexdigest()
    assert certificate["bytes"] == len(data)
    assert certificate["sources"] == [
        {
            "name": "vulnerability records",
            "file": FEED.name,
            "sha256": hashlib.sha256(FEED.read_bytes()).hexdigest(),
        },
        {
            "name": "CWE catalogue",
            "file": inputs.cwe.name,
            "sha256": hashlib.sha256(inputs.cwe.read_bytes()).hexdigest(),
        },
    ]
    examples = list(labelled(read_vulnerabilities(FEED)))
    kept = certificate["labelled_records"]
    assert kept + certificate["dropped"] == len(examples)
    assert certificate["dropped"] > 0
    assert set(certificate["rules"]) == set(RULES)
    assert set(certificate["hits"]) <= set(RULES)
    tasks = {task: len(items) for task, items in read_benchmark(BENCHMARK).items()}
    assert certificate["benchmark_items"] == tasks
    assert certificate["latest"] == max(example.date for example in examples)
    # Tuples are lists in JSON.
    assert certificate["settings"] == json.loads(json.dumps(Hyperparameters().__dict__))
    assert certificate["validation"].keys() == {"by_text"}  # the sample ends before the split


def test_what_was_built_loads_and_answers(built: Path) -> None:
    classifier = CweClassifier.load(built)
    counts = Counter(e.first for e in labelled(read_vulnerabilities(FEED)))
    assert set(classifier.classes) <= {c for c, n in counts.items() if n >= 10}
    assert classifier.probabilities(["SQL injection"]).sum() == pytest.approx(1, abs=1e-5)
    assert load_catalogue(built)["CWE-20"].suggestions == ("CWE-1284", "CWE-116")


def test_a_missing_input_is_one_line(inputs: UpstreamFiles, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--cwe"):
        build(UpstreamFiles(), parts=["facts"], folder=tmp_path)
    with pytest.raises(InputError, match=r"--benchmark"):
        build(UpstreamFiles(records=(FEED,)), parts=["classifier"], folder=tmp_path)
    with pytest.raises(InputError, match=r"--records"):
        build(UpstreamFiles(benchmark=BENCHMARK), parts=["classifier"], folder=tmp_path)
    done = CliRunner().invoke(
        main, ["embedded", "build", "--part", "facts", "--out", str(tmp_path)]
    )
    assert (done.exit_code, done.stdout) == (1, "")
    assert "--cwe" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, b"an older artifact"])
def test_a_disk_that_refuses_leaves_nothing_half_written(
    inputs: UpstreamFiles, tmp_path: Path, before: bytes | None
) -> None:
    # A limit on the size of files is a real refusal by the kernel, as a full disk is.
    code = """
import resource, sys
from cybersecqwen.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
main(sys.argv[1:])
"""
    out = tmp_path / "out"
    out.mkdir()
    if before:
        (out / "cwe.json").write_bytes(before)
    command = ["embedded", "build", "--part", "facts", "--cwe", inputs.cwe, "--out", out]
    # The limit would hold for what a measurement of coverage writes as well.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot write: File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 2  # what is being built, and the error
    left = {path.name: path.read_bytes() for path in out.iterdir()}
    assert left == ({"cwe.json": before} if before else {})


TEXT = (
    "A flaw in the search form of Foo 1.2 lets remote users of the shop read rows of other "
    "tenants by way of a crafted sort order."
)
ITEM = Item(
    "cti-rcm", 0, "", "CWE-89", url="https://nvd.nist.gov/vuln/detail/CVE-2021-7", text=TEXT
)
SAME = Item("cti-vsp", 3, "", "", url="https://nvd.nist.gov/vuln/detail/CVE-2021-7", text=TEXT)


def test_overlap_is_left_out_and_counted_by_rule_and_task(tmp_path: Path) -> None:
    path, other = tmp_path / "records.jsonl", tmp_path / "more.jsonl"
    rows = [
        row("CVE-2020-1", "An XSS in the comment form of Bar.", "CWE-79"),
        row("CVE-2021-7", "Nothing of the item but its id.", "CWE-89"),
        row("CVE-2020-2", TEXT.upper().replace(",", ";"), "CWE-89"),
        row("CVE-2020-3", TEXT.replace("1.2", "v8.5"), "CWE-89"),
        row("CVE-2020-4", "In other news, " + TEXT.replace("A flaw", "Some flaw"), "CWE-89"),
        row("CVE-2020-5", TEXT),  # no label: neither an example nor dropped
        row("CVE-2020-6", TEXT, "NVD-CWE-noinfo"),
    ]
    write_jsonl(path, rows)
    write_jsonl(other, [row("CVE-2020-9", "A use after free in Baz.", "CWE-416"), rows[1]])
    index = BenchmarkIndex(benchmark_of({"cti-rcm": (ITEM,), "cti-vsp": (SAME,)}), Contamination())
    clean = labelled_records([path, other], index)
    assert [e.cve_id for e in clean.kept] == ["CVE-2020-1", "CVE-2020-9"]
    assert len(clean.dropped) == 5
    assert clean.counts() == {
        "cve-id": {"cti-rcm": 2, "cti-vsp": 2},
        "ngram": {"cti-rcm": 2, "cti-vsp": 2},
        "normalised": {"cti-rcm": 1, "cti-vsp": 1},
    }


def records(count: int) -> list[Vulnerability]:
    """Describe three kinds of flaw in shuffled filler words, from 2015 to 2025."""
    draw = np.random.default_rng(11)
    phrases = {
        "CWE-79": "cross-site scripting in the comment page",
        "CWE-89": "sql injection in the search query",
        "CWE-416": "use after free in the kernel driver",
    }
    filler = [f"filler{letter}" for letter in "abcdefghijklmnop"]
    return [
        Vulnerability(
            f"CVE-{2015 + i % 11}-{i}",
            f"{2015 + i % 11}-03-01",
            f"{' '.join(draw.choice(filler, 6))} {phrases[cwe]}",
            (cwe,),
        )
        for i in range(count)
        for cwe in [list(phrases)[i % 3]]
    ]


def test_no_text_is_on_both_sides_of_a_split() -> None:
    examples = list(labelled(records(1500)))
    examples += [e._replace(text=e.text.upper() + "!") for e in examples[:300]]
    _, validation = fit(examples, SMALL)
    by_text, by_date = validation["by_text"], validation["by_date"]
    training = [e for e in examples if e.group >= 80]
    assert by_text["training_records"] == len(training)
    assert by_text["records"] == sum(40 <= e.group < 80 for e in examples)
    assert by_date["training_records"] == sum(e.date < "2025-01-01" for e in training)
    assert by_date["records"] == sum(e.date >= "2025-01-01" for e in examples)
    held_out = {normalised(e.text) for e in examples if e.group < 80}
    assert held_out.isdisjoint(normalised(e.text) for e in training)


def test_what_ships_answers_as_what_was_trained() -> None:
    examples = list(labelled(records(300)))
    model = train(examples, SMALL, log=lambda _: None)
    packed = Quantised.of(model.vectors)
    rounded = model._replace(vectors=packed.take(np.arange(len(model.vectors))))
    texts = [*(e.text for e in examples[:50]), "", "nothing known", "kernel " * 400]
    logits = rounded.logits(Features.of(model.vocabulary, texts))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    identity = Calibration(1.0, np.array([0, 1], np.float32), np.array([0, 1], np.float32))
    shipped = CweClassifier(
        Parameters(
            model.vocabulary,
            packed,
            model.bias,
            Layer(model.classes, model.head, model.head_bias, identity),
        )
    )
    np.testing.assert_allclose(shipped.probabilities(texts), expected, atol=1e-5)


@pytest.mark.shared
def test_the_shipped_artifact_is_clean_of_all_six_tasks() -> None:
    certificate = read_json(certificate_of(FOLDER, ARTIFACT))
    assert certificate["benchmark_items"] == {
        "cti-ate": 60,
        "cti-mcq": 2500,
        "cti-rcm": 1000,
        "cti-rcm-2021": 1000,
        "cti-taa": 50,
        "cti-vsp": 1000,
    }
    assert set(certificate["rules"]) == set(certificate["hits"]) == set(RULES)
    assert min(certificate["hits"][rule]["cti-rcm"] for rule in RULES) > 0


def plain(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def thirteen_grams(text: str) -> set[tuple[str, ...]]:
    words = [word for word in plain(text) if not re.match(r"(v|rc|sp|r|b|u)?\d", word)]
    return {tuple(words[i : i + 13]) for i in range(len(words) - 12)}


@pytest.mark.shared
def test_no_real_record_that_overlaps_is_trained_on(shared: Path, tmp_path: Path) -> None:
    """Compare with overlap that is looked for in another, plainer way."""
    parquet = pytest.importorskip("pyarrow.parquet")
    benchmark = read_benchmark(shared / "cti-bench")
    items = [item for found in benchmark.values() for item in found]
    ids = {cve for item in items for cve in re.findall(r"CVE-\d+-\d+", f"{item.url} {item.text}")}
    same = {" ".join(plain(item.text)) for item in items}
    sizes, holders = [], defaultdict(list)
    for i, item in enumerate(items):
        grams = thirteen_grams(" ".join((item.text, *item.options)))
        sizes.append(len(grams))
        for gram in grams:
            holders[gram].append(i)

    def overlaps(cve_id: str, text: str) -> bool:
        if cve_id in ids or " ".join(plain(text)) in same:
            return True
        grams = thirteen_grams(text)
        shares = Counter(i for gram in grams for i in holders.get(gram, ()))
        return any(n / min(len(grams), sizes[i]) >= 0.5 for i, n in shares.items())

    table = [
        {**record, "published": record["published"] and str(record["published"])[:10]}
        for record in parquet.read_table(shared / "cve.parquet").slice(120_000, 20_000).to_pylist()
        if record["description"]
    ]
    overlapping = [r for r in table if overlaps(r["cve_id"], r["description"])][:2000]
    assert len(overlapping) > 300
    write_jsonl(tmp_path / "overlapping.jsonl", overlapping)
    index = BenchmarkIndex(benchmark, Contamination())
    assert labelled_records([tmp_path / "overlapping.jsonl"], index).kept == []
    write_jsonl(tmp_path / "any.jsonl", table[:3000])
    clean = labelled_records([tmp_path / "any.jsonl"], index)
    assert len(clean.kept) > 1000
    assert not any(overlaps(e.cve_id, e.text) for e in clean.kept)
