"""`cybersecqwen dataset report`: files, plots, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cybersecqwen.files import read_json, read_jsonl, write_jsonl
from cybersecqwen.reports import svg
from cybersecqwen.reports.dataset import plots
from cybersecqwen.reports.dataset.document import render
from cybersecqwen.sample import FEED
from reports.dataset.conftest import Run, measured, record

pytest.importorskip("matplotlib")
SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("years", "classes", "agreement", "lengths")


@pytest.fixture(scope="module")
def report(sample_run: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    code, _, err = run("report", sample_run, "--records", FEED, "--out", out)
    assert code == 0, err
    return out


def test_the_sample_s_report_holds_what_is_known_of_it(report: Path, sample_run: Path) -> None:
    stored = read_json(report / "dataset.json")
    records, corpus = stored["records"], stored["corpus"]
    assert (records["records"], records["rejected"]) == (325, 3)
    assert corpus["splits"] == {"train": 252, "validation": 28}
    assert corpus["records"] == 280
    assert corpus["duplicates"]["groups"] == 0
    assert corpus["lengths"]["limit"] == 512  # of the recipe
    assert corpus["dropped"]["no-label"] == 2
    assert set(stored["inputs"]) >= {FEED.name, "corpus/train.jsonl"}
    differing = {conflict["cve_id"] for conflict in read_jsonl(report / "conflicts.jsonl")}
    examples = [
        row["cve_id"]
        for split in corpus["splits"]
        for row in read_jsonl(sample_run / "corpus" / f"{split}.jsonl")
    ]
    assert corpus["contested"]["count"] == sum(cve_id in differing for cve_id in examples) > 0


def test_the_list_of_conflicts_is_the_same_in_both_forms(report: Path) -> None:
    rows = list(read_jsonl(report / "conflicts.jsonl"))
    with (report / "conflicts.csv").open(encoding="utf-8", newline="") as file:
        again = list(csv.DictReader(file))
    assert rows and [{k: str(v) for k, v in row.items()} for row in rows] == again
    stored = read_json(report / "dataset.json")["records"]["conflicts"]
    assert stored == {"records": len({r["cve_id"] for r in rows}), "pairs": len(rows)}


def test_the_page_shows_every_plot_that_was_drawn(report: Path) -> None:
    page = (report / "REPORT.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\((plots/.*?\.svg)\)", page))
    drawn = {f"plots/{path.name}" for path in (report / "plots").iterdir()}
    assert shown == drawn >= {f"plots/records-{name}.svg" for name in NAMES}


def test_the_plots_are_well_formed_and_say_what_they_show(report: Path) -> None:
    texts = {
        name: {
            "".join(text.itertext())
            for text in ElementTree.parse(report / "plots" / f"records-{name}.svg").iter(
                f"{SVG}text"
            )
        }
        for name in NAMES
    }
    assert {"primary label from", "NVD", "CNA", "CISA-ADP", "no label"} <= texts["years"]
    assert {"limit 512", "0 over it"} <= texts["lengths"]
    assert {"NVD", "CNA", "CISA-ADP"} <= texts["agreement"]
    assert {"labels of the class (left)", "rank of the class"} <= texts["classes"]


def test_a_year_of_few_labels_is_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "_PLOTS", {"discouraged": plots._PLOTS["discouraged"]})
    many = [record(f"CVE-2020-{n}", f"Text {n}.", "2020-01-01", nvd="CWE-20") for n in range(50)]
    few = [record(f"CVE-2021-{n}", f"More {n}.", nvd="CWE-79") for n in range(9)]
    more = [record(f"CVE-2022-{n}", f"Last {n}.", "2022-01-01", nvd="CWE-20") for n in range(50)]
    (drawn,) = plots.plots(measured([*many, *few, *more]).figures).values()
    (line,) = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="[^"]*#0072b2', drawn)
    assert line.count("L") == 1  # from 2020 to 2022
    assert plots.plots(measured([*many, *few]).figures) == {}


def test_plots_drawn_from_the_written_figures_are_the_same(report: Path) -> None:
    stored = read_json(report / "dataset.json")
    for name, drawn in plots.plots(stored["records"]).items():
        assert drawn == (report / "plots" / f"records-{name}.svg").read_text(encoding="utf-8"), name


def test_the_same_input_gives_the_same_bytes_beside_the_run(
    report: Path, sample_run: Path, run: Run
) -> None:
    code, out, _ = run("report", sample_run, "--records", FEED, "--json")
    assert code == 0
    folder = sample_run / "report" / "dataset"
    assert json.loads(out) == read_json(folder / "dataset.json")
    for path in sorted(report.rglob("*")):
        if path.is_file():
            again = folder / path.relative_to(report)
            assert path.read_bytes() == again.read_bytes(), path.name


def test_without_matplotlib_there_is_a_report_without_plots(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svg, "find_spec", lambda _: None)
    code, out, _ = run("report", "--records", FEED, "--out", tmp_path)
    assert code == 0
    assert "records in conflict" in out and f"Report: {tmp_path / 'REPORT.md'}" in out
    assert not (tmp_path / "plots").exists()
    assert "](plots/" not in (tmp_path / "REPORT.md").read_text(encoding="utf-8")


def test_records_without_labels_or_with_one_source_have_a_report() -> None:
    unlabelled = {"version": "0", "inputs": {}, "records": measured([record("CVE-2021-1")]).figures}
    page = render(unlabelled)
    assert "### Classes" not in page and "### Agreement" not in page
    assert "with a label | 0 (0.0 %)" in re.sub(" +", " ", page)
    alone = measured([record("CVE-2021-1", nvd="CWE-79")]).figures
    page = render({"version": "0", "inputs": {}, "records": alone})
    assert "### Classes" in page and "### Agreement" not in page


def rows(*records: dict[str, object]) -> list[dict[str, object]]:
    names = ("published", "cwe_nvd", "cwe_cna", "cwe_cisa_adp", "cvss3_vector", "assigner")
    empty = dict.fromkeys((*names, "description", "description_source"))
    return [{**empty, **record} for record in records]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no records"),
        (rows({"cve_id": "CVE-2021-1", "rejected": True}), "1 records, all of them rejected"),
        (rows({"cve_id": ""}), "the cve_id is empty"),
        ([{"cve_id": "CVE-2021-1"}], "records.jsonl:1"),
    ],
)
def test_records_that_cannot_be_measured_are_refused_in_one_line(
    run: Run, tmp_path: Path, given: list[dict[str, object]], said: str
) -> None:
    write_jsonl(tmp_path / "records.jsonl", given)
    code, out, err = run("report", "--records", tmp_path / "records.jsonl", "--out", tmp_path / "o")
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_a_run_without_a_corpus_names_the_command_that_builds_it(
    sample_run: Path, run: Run, tmp_path: Path
) -> None:
    code, out, err = run("report", tmp_path)
    assert (code, out) == (1, "")
    assert "is not a run folder" in err
    (tmp_path / "recipe.toml").write_bytes((sample_run / "recipe.toml").read_bytes())
    code, _, err = run("report", tmp_path)
    assert code == 1
    assert f"run it first: cybersecqwen corpus smoke --out {tmp_path}" in err
    assert err.count("\n") == 1


def test_a_missing_tokenizer_is_one_line(run: Run, tmp_path: Path) -> None:
    where = ("--records", FEED, "--out", tmp_path / "out")
    code, out, err = run("report", *where, "--tokenizer", tmp_path)
    assert (code, out) == (1, "")
    assert "cannot load the tokenizer" in err
    assert not (tmp_path / "out").exists()


def test_nothing_to_report_on_is_a_mistake_of_use(run: Run) -> None:
    code, _, err = run("report")
    assert code == 2
    assert "give the folder of a RUN, --records, or both" in err
