"""Records are mapped as analysts did, else by their labels, and the rest by the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.embedded_build.classifier_training import Labelled, _targets, labelled
from cybersecqwen.embedded_build.mapping_examples import (
    ANALYST,
    catalogue_examples,
    mapped,
    may_be_mapped_to,
    read_mappings,
)
from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability

from .test_classifier_training import SMALL

TABLE = """cve_id\tcwe\tchains\troot_cause_phrase
CVE-2021-2\tCWE-20\t\tx
CVE-2021-4\tCWE-190\tCWE-190->CWE-131->CWE-122, CWE-190->CWE-787\ty
"""
CATALOGUE = """<Weakness_Catalog xmlns="http://cwe.mitre.org/cwe-7" Version="4.16"><Weaknesses>
<Weakness ID="79" Name="Cross-site Scripting" Abstraction="Base" Status="Stable">
<Description>Output is not neutralized.</Description>
<Observed_Examples><Observed_Example><Reference>CVE-2020-1</Reference>
<Description>XSS in a chat.</Description></Observed_Example></Observed_Examples>
<Mapping_Notes><Usage>Allowed</Usage></Mapping_Notes></Weakness>
<Weakness ID="20" Name="Input Validation" Abstraction="Class" Status="Stable">
<Description>Input is not validated.</Description>
<Mapping_Notes><Usage>Discouraged</Usage></Mapping_Notes></Weakness>
</Weaknesses></Weakness_Catalog>"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mappings.tsv"
    path.write_text(TABLE)
    return path


def example(cve_id: str, *labels: str) -> Labelled:
    return next(labelled([Vulnerability(cve_id, "2021-01-01", "A flaw.", labels)]))


def test_the_cause_of_a_chain_weighs_more_than_what_follows(table: Path) -> None:
    mappings = read_mappings(table)
    assert mappings["CVE-2021-2"] == (("CWE-20", 1.0),)
    assert dict(mappings["CVE-2021-4"]) == pytest.approx(
        {"CWE-190": 0.7, "CWE-131": 0.1, "CWE-122": 0.1, "CWE-787": 0.1}
    )


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.tsv"
    path.write_text("cve_id\tlabel\n")
    with pytest.raises(InputError, match="no column cwe"):
        read_mappings(path)


def test_a_record_is_mapped_as_analysts_did_or_by_what_may_be_mapped_to(table: Path) -> None:
    mappings = read_mappings(table)
    assert mapped(example("CVE-2021-2", "CWE-79"), mappings).mapping == (("CWE-20", ANALYST),)
    assert mapped(example("CVE-2021-6", "CWE-20", "CWE-79"), mappings).mapping == (("CWE-79", 1.0),)
    assert mapped(example("CVE-2021-8", "CWE-20"), mappings).mapping == ()
    assert mapped(example("CVE-2021-8", "CWE-264"), mappings).mapping == ()


def test_the_catalogue_tells_of_what_may_be_mapped_to(tmp_path: Path) -> None:
    path = tmp_path / "cwec.xml"
    path.write_text(CATALOGUE)
    examples = list(catalogue_examples(path))
    of_79 = [(e.cve_id, e.text) for e in examples if e.mapping[0][0] == "CWE-79"]
    assert of_79 == [
        ("CWE-79", "Cross-site Scripting"),
        ("CWE-79", "Output is not neutralized."),
        ("CVE-2020-1", "XSS in a chat."),
    ]
    mapped_to = {e.mapping[0][0] for e in examples}
    assert "CWE-20" not in mapped_to
    assert "CWE-1427" in mapped_to
    assert all(map(may_be_mapped_to, mapped_to))


def test_a_text_teaches_its_labels_and_its_mapping_side_by_side() -> None:
    record = example("CVE-2021-1", "CWE-79")._replace(mapping=(("CWE-79", 0.5), ("CWE-80", 0.5)))
    text = Labelled("CWE-80", "", "XSS", ((), (), ()), 99, (("CWE-80", 1.0),))
    targets = _targets([record, text], ("CWE-79",), SMALL, ("CWE-79", "CWE-80"))
    assert targets.row.tolist() == [0, 0, 1]
    assert targets.label.tolist() == [0, -1, -1]
    assert targets.mapping.tolist() == [0, 1, 1]
    assert targets.mapping_weight.tolist() == [0.5, 0.5, 1.0]
