"""A small benchmark folder with all six tasks, in words of our own, and a local server."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cybersecqwen.prompts import mcq_prompt, rcm_prompt
from engines.conftest import server

__all__ = ["server", "six_tasks"]

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8
LOCAL = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"  # 5.5


def write_tsv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cves(texts: list[str], golds: list[str]) -> list[dict[str, str]]:
    return [
        {
            "URL": f"https://nvd.nist.gov/vuln/detail/CVE-2024-{i:04}",
            "Description": text,
            "Prompt": rcm_prompt(text),
            "GT": gold,
        }
        for i, (text, gold) in enumerate(zip(texts, golds, strict=True))
    ]


@pytest.fixture(scope="session")
def six_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder in CTI-Bench's form: 8 items of cti-rcm of which 1 is a repeat."""
    folder = tmp_path_factory.mktemp("six-tasks")
    texts = [f"Flaw number {n} in the parser of product {n}." for n in "abcdefg"]
    golds = ["CWE-79", "CWE-89", "CWE-787", "CWE-22", "CWE-79", "CWE-416", "CWE-20"]
    texts, golds = [*texts, texts[1]], [*golds, golds[1]]
    write_tsv(folder / "cti-rcm.tsv", _cves(texts, golds))
    write_tsv(folder / "cti-rcm-2021.tsv", _cves(texts[:6], golds[:6]))
    write_tsv(folder / "cti-vsp.tsv", _cves(texts, [VECTOR, LOCAL] * 4))
    questions = [
        (f"What is question {n} about?", [f"{n} one", f"{n} two", f"{n} three", ""], letter)
        for n, letter in zip("pqrstuvw", "ABCDCCBb", strict=True)
    ]
    write_tsv(
        folder / "cti-mcq.tsv",
        [
            {
                "URL": "https://attack.mitre.org/techniques/T1059/",
                "Question": question,
                **{f"Option {name}": o for name, o in zip("ABCD", options, strict=True)},
                "Prompt": mcq_prompt(question, options),
                "GT": letter,
            }
            for question, options, letter in questions
        ],
    )
    listed = "T1071 : Application Layer Protocol T1059 : Scripting T1027 : Obfuscation"
    write_tsv(
        folder / "cti-ate.tsv",
        [
            {
                "URL": f"https://attack.mitre.org/software/S{i:04}/",
                "Description": text,
                "Prompt": f"Extract all. **Text:** {text}  **List of All MITRE Enterprise "
                f"technique IDs** ID    : Name {listed}    ",
                "GT": gold,
            }
            for i, (text, gold) in enumerate(
                [("It runs scripts.", "T1059, T1071"), ("It hides.", "T1027")]
            )
        ],
    )
    reports = [("Report one.", "APT28  "), ("Report two.", "Lazarus"), ("Report three.", "Turla")]
    write_tsv(
        folder / "cti-taa.tsv",
        [{"URL": f"https://example.org/{t}", "Text": t, "Prompt": f"Who? {t}"} for t, _ in reports],
    )
    write_tsv(
        folder / "cti-taa-gold.tsv",
        [{"URL": f"https://example.org/{t}", "GT": gold} for t, gold in reports],
    )
    graphs = {
        "aliases": {"APT28": ["fancy bear", "Sofacy"], "sofacy": ["tsar team"], "x": ["nan"]},
        "related": {"apt28": ["apt29"], "lazarus": ["kimsuky", "nan"], "turla": ["nan"]},
    }
    (folder / "threat-actors.json").write_text(json.dumps(graphs))
    return folder
