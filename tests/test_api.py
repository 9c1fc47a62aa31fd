"""The Python API: what is exported, that it loads late, and that it says what the commands say."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import cybersecqwen as cq
from cybersecqwen.cli import main
from cybersecqwen.sample import BENCHMARK, FEED

TEXT = "SQL injection in login.php allows remote attackers to read arbitrary data."


def test_what_is_exported() -> None:
    assert dir(cq) == [
        *("CyberSecQwenError", "__version__"),
        *("ask", "audit", "classify", "evaluate", "load_recipe", "lookup", "run"),
    ]
    for name in dir(cq):
        assert getattr(cq, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'clasify'"):
        cq.clasify  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "name", ["ask", "audit", "classify", "evaluate", "load_recipe", "lookup", "run"]
)
def test_every_function_is_typed_and_documented(name: str) -> None:
    function = getattr(cq, name)
    assert len(inspect.getdoc(function) or "") > 200
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_importing_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import cybersecqwen\n"
        "print(*sorted(n for n in set(sys.modules) - before if n.startswith('cybersecqwen.')))\n"
        "print(*({'torch', 'numpy', 'pydantic', 'click', 'aiohttp'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_classify_takes_one_text_or_many() -> None:
    one = cq.classify(TEXT, top=2)
    assert one.candidates[0].cwe == "CWE-89"
    assert len(one.candidates) == 2
    assert [r.candidates[0].cwe for r in cq.classify([TEXT, TEXT])] == ["CWE-89", "CWE-89"]
    out = CliRunner().invoke(main, ["classify", TEXT, "--json"]).stdout
    assert json.loads(out)["candidates"][0]["confidence"] == pytest.approx(
        one.candidates[0].confidence, abs=1e-4
    )


def test_ask() -> None:
    answer = cq.ask("Which mitigations does ATT&CK list for T1059.001?")
    assert answer.covered
    assert answer.evidence[0].id == "T1059.001"
    options = ("Execution Prevention", "Encrypt Sensitive Information")
    question = "Which mitigation addresses PowerShell abuse (T1059.001)?"
    assert cq.ask(question, options).answer == "A"
    with pytest.raises(cq.CyberSecQwenError, match=r"nowhere\.json: no such file"):
        cq.ask("What is CWE-79?", records="nowhere.json")


def test_lookup_takes_any_spelling_and_says_what_is_missing() -> None:
    known = json.loads(FEED.read_text())["vulnerabilities"][0]["cve"]["id"]
    assert cq.lookup(known.lower().replace("-", "‑"), records=FEED).cve_id == known
    with pytest.raises(cq.CyberSecQwenError, match="'CVE-21' is not a CVE id"):
        cq.lookup("CVE-21", records=FEED)
    with pytest.raises(cq.CyberSecQwenError, match="CVE-1999-0001 is not in it"):
        cq.lookup("CVE-1999-0001", records=[FEED])


def test_evaluate_gives_what_the_command_prints(tmp_path: Path) -> None:
    rows = cq.evaluate(
        "embedded", tasks=["cti-rcm"], benchmark=BENCHMARK, out=tmp_path / "api", trials=1
    )
    command = ["evaluate", "--model", "embedded", "--task", "cti-rcm", "--trials", "1", "--json"]
    command += ["--benchmark", str(BENCHMARK), "--out", str(tmp_path / "command")]
    assert json.loads(CliRunner().invoke(main, command).stdout) == json.loads(json.dumps(rows))
    assert rows[0]["task"] == "cti-rcm"


def test_audit_finds_a_copied_item(tmp_path: Path) -> None:
    header, first, *_ = (BENCHMARK / "cti-rcm.tsv").read_text().splitlines()
    text = dict(zip(header.split("\t"), first.split("\t"), strict=True))["Description"]
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps({"prompt": text, "completion": "CWE-79"}) + "\n")
    audit = cq.audit(train, benchmark=BENCHMARK, allow_missing=True)
    assert not audit.clean
    assert audit.overlaps[0].hit.rule in ("cve-id", "exact")
    only = cq.audit(train, benchmark=BENCHMARK, allow_missing=True, rules=["near-duplicate"])
    assert {rule for overlap in only.overlaps for rule, _ in overlap.hit.rules} == {
        "near-duplicate"
    }


def test_load_recipe_takes_overrides() -> None:
    recipe = cq.load_recipe("smoke", overrides=["training.epochs=3"])
    assert recipe.training.epochs == 3
    with pytest.raises(cq.CyberSecQwenError, match="did you mean"):
        cq.load_recipe("smoke", overrides=["training.epoch=3"])
