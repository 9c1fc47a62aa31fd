"""`drift` from the command line: exit statuses, JSON, verdicts, and inputs that cannot serve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.cli import main
from cybersecqwen.files import Json

MONTHS = [f"2024-{number:02}" for number in range(1, 9)]
TEXTS = {
    "CWE-89": "SQL injection in the {} parameter of login.php in {} allows reading the database.",
    "CWE-79": "Cross-site scripting in the {} field of {} allows injecting web scripts.",
    "CWE-22": "Path traversal in the {} parameter of {} allows reading arbitrary files.",
}
WORDS = ("name", "page", "id", "order", "token", "title", "file", "lang")


def run(*arguments: object, code: int = 0, given: bytes | None = None) -> Result:
    result = CliRunner().invoke(main, ["drift", *map(str, arguments)], input=given)
    assert result.exit_code == code, result.output
    return result


def rows(months: list[str], *, of: str = "CWE-79", share: int = 3) -> Iterator[Json]:
    """Yield 102 records of each month, one in `share` of them of one class."""
    others = [cwe for cwe in TEXTS if cwe != of]
    for month in months:
        for n in range(102):
            cwe = of if n % share == 0 else others[(n // share + n) % 2]
            first, second = WORDS[n % 8], WORDS[(n * 3 + int(month[-1])) % 8]
            yield {
                "cve_id": f"CVE-{month}{n:03}".replace("-0", "-"),
                "published": f"{month}-{n % 28 + 1:02}",
                "description": TEXTS[cwe].format(first, second),
                "cwe_nvd": [cwe],
                "cwe_cna": [],
                "cwe_cisa_adp": [],
                "cvss3_vector": None,
                "assigner": None,
                "description_source": None,
            }


def write(path: Path, lines: list[Json]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    undated = {**next(rows(MONTHS)), "cve_id": "CVE-2024-999999", "published": ""}
    future = {**undated, "cve_id": "CVE-2024-999998", "published": "2999-01-01"}
    path = tmp_path_factory.mktemp("drift") / "records.jsonl"
    return write(path, [*rows(MONTHS), undated, future])


def test_quiet_months_exit_with_0_and_moved_ones_with_3(quiet: Path, tmp_path: Path) -> None:
    calm = run(quiet, "--reference-until", "2024-06-30")
    assert calm.stdout.rstrip().endswith("no alarm")
    assert "1 without a date" in calm.stdout
    assert "1 with a date to come" in calm.stdout
    moved = [*rows(MONTHS[:6]), *rows(MONTHS[6:], of="CWE-22", share=1)]
    chart = tmp_path / "drift.svg"
    result = run(
        write(tmp_path / "moved.jsonl", moved),
        *("--reference-until", "2024-06-30", "--svg", chart, "--json"),
        code=3,
    )
    told = json.loads(result.stdout)
    alarms = {(alarm["group"], alarm["measure"]): alarm for alarm in told["alarms"]}
    assert (alarms["all", "class_mix"]["window"], alarms["all", "class_mix"]["until"]) == (
        "2024-07",
        "2024-08",
    )
    assert "CWE-22" in alarms["all", "class_mix"]["what"]
    assert told["windows"][-1] == {
        "name": "2024-08",
        "role": "watched",
        "records": 102,
        "verdicts": 0,
    }
    assert chart.read_text("utf-8").startswith("<svg")


def test_a_reference_of_its_own_and_standard_input(quiet: Path) -> None:
    lines = [json.dumps(row) for row in rows(["2025-01", "2025-02"])]
    result = run("-", "--reference", quiet, "--json", given="\n".join(lines).encode())
    roles = [window["role"] for window in json.loads(result.stdout)["windows"]]
    assert roles == ["reference"] * 8 + ["watched"] * 2


def test_verdicts_alone_are_enough(tmp_path: Path) -> None:
    verdicts = [
        {
            "id": row["cve_id"],
            "text": row["description"],
            "cwe": row["cwe_nvd"][0] if row["published"] < "2024-07" else None,
            "suggested": row["cwe_nvd"][0],
            "confidence": 0.9,
            "at": row["published"],
        }
        for row in rows(MONTHS)
    ]
    path = write(tmp_path / "verdicts.jsonl", verdicts)
    result = run("--reviewed", path, "--reference-until", "2024-06-30", code=3)
    assert "alarm, 2024-07 to 2024-08, accuracy by reviewers: 0% of 102 answers" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("--reference-until", "2024-03-31"), 1, "3 months of the reference have 100 records"),
        (("--reference-until", "2024-08-31"), 1, "no month is left after the reference"),
        (("--reference-until", "soon"), 1, "'soon' is not a date"),
        (("--reference", "x", "--reference-until", "2024-03-31"), 2, "exclude each other"),
        (("--by", "week"), 1, "0 weeks of the reference have 100 records"),
        (("--reference", "nowhere.jsonl"), 1, "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    quiet: Path, arguments: tuple[str, ...], code: int, what: str
) -> None:
    result = run(quiet, *arguments, code=code)
    assert what in result.stderr
    if code == 1:
        assert len(result.stderr.strip().splitlines()) == 1


def test_without_a_store_it_is_said_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    assert "cybersecqwen fetch records" in run(code=1).stderr
