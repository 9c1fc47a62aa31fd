"""`cybersecqwen classify` as it is used: an argument, a pipe, a file, and every mistake."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.sample import FEED

LARAVEL = (
    "A deserialization vulnerability in the destruct() function of Laravel v8.5.9 allows "
    "attackers to execute arbitrary commands."
)
SQL = "SQL injection in login.php allows remote attackers to execute arbitrary SQL commands."
COMMAND = [sys.executable, "-m", "cybersecqwen.cli", "classify"]
HEAVY = ["pyarrow", "pydantic", "aiohttp", "httpx2", "huggingface_hub", "torch", "sklearn", "tqdm"]


def classify(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=data, capture_output=True, check=False, timeout=120
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def jsonl(*texts: str) -> bytes:
    return b"".join(json.dumps({"id": i, "text": t}).encode() + b"\n" for i, t in enumerate(texts))


def test_a_text_gets_candidates_evidence_and_a_rationale() -> None:
    done = classify(LARAVEL, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = rows(done)
    best = row["candidates"][0]
    assert (best["cwe"], best["name"]) == ("CWE-502", "Deserialization of Untrusted Data")
    assert (best["usage"], best["abstraction"], best["better"]) == ("Allowed", "Base", None)
    assert 0.5 < best["confidence"] <= 1
    assert (row["abstain"], row["reason"]) == (False, None)
    assert any("deserialization" in span["text"].lower() for span in row["evidence"])
    assert all(LARAVEL[s["start"] : s["end"]] == s["text"] for s in row["evidence"])
    assert row["rationale"].splitlines()[-1] == "CWE-502"


def test_text_for_a_reader_holds_the_same() -> None:
    done = classify(LARAVEL)
    assert "CWE-502   Deserialization of Untrusted Data (Base, Allowed)" in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "CWE-502"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the text is empty"),
        (" \n\t", "the text is empty"),
        (
            "Beat the eggs with the sugar, then fold in the flour and bake the cake for forty "
            "minutes in a moderate oven.",
            "the text does not describe a vulnerability",
        ),
        (
            "Vulnerabilidad de inyección SQL en el archivo login.php permite a los atacantes "
            "remotos ejecutar comandos arbitrarios en la base de datos.",
            "the text is not English",
        ),
    ],
)
def test_what_is_out_of_scope_is_recognised(text: str, reason: str) -> None:
    done = classify(text, "--json")
    assert done.returncode == 0
    [row] = rows(done)
    assert (row["abstain"], row["candidates"], row["reason"]) == (True, [], reason)
    assert row["rationale"] == f"needs review: {reason}"


def test_top_and_threshold_are_kept() -> None:
    [one] = rows(classify(LARAVEL, "--json", "--top", 1, "--threshold", 1))
    assert len(one["candidates"]) == 1
    assert one["abstain"]
    assert one["reason"].endswith("is below 1")
    [many] = rows(classify(LARAVEL, "--json", "--top", 7, "--threshold", 0))
    assert len(many["candidates"]) == 7
    confidences = [c["confidence"] for c in many["candidates"]]
    assert confidences == sorted(confidences, reverse=True)
    assert not many["abstain"]


def test_a_pipe_is_answered_line_by_line_in_order() -> None:
    texts = [(LARAVEL, SQL)[i % 2] for i in range(2500)]
    done = classify("--json", data=jsonl(*texts))
    assert done.returncode == 0
    answered = rows(done)
    assert [row["id"] for row in answered] == list(range(2500))
    assert [row["candidates"][0]["cwe"] for row in answered[:2]] == ["CWE-502", "CWE-89"]


def test_a_broken_line_is_named_and_the_9999_others_are_answered(tmp_path: Path) -> None:
    lines = jsonl(*[SQL] * 10_000).splitlines(keepends=True)
    lines[6] = b'{"id": 6, "text": "SQL\n'
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(lines))
    done = classify(path, "--json")
    assert done.returncode == 1
    assert [row["id"] for row in rows(done)] == [i for i in range(10_000) if i != 6]
    assert done.stderr.startswith(f"cybersecqwen: {path}:7: not valid JSON")
    assert done.stderr.count("\n") == 1


def test_csv_goes_in_and_out() -> None:
    data = "id;description\n=cmd;" + SQL + "\nb;\n"
    done = classify("--csv", data=data.encode())
    assert (done.returncode, done.stderr) == (0, "")
    first, second = csv.DictReader(io.StringIO(done.stdout))
    assert (first["id"], first["cwe"], first["abstain"]) == ("'=cmd", "CWE-89", "false")
    assert (second["cwe"], second["reason"]) == ("", "the text is empty")


def test_a_feed_is_a_table_with_a_line_for_each_record() -> None:
    done = classify(FEED)
    count = len(json.loads(FEED.read_bytes())["vulnerabilities"])
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1 + count
    assert done.stderr == ""


def test_a_cve_id_is_looked_up_in_records_and_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    known = json.loads(FEED.read_bytes())["vulnerabilities"][0]["cve"]["id"]
    [given] = rows(classify(known, "--records", FEED, "--json"))
    nowhere = classify(known)
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert f"{tmp_path}: no records in which to look up {known}" in nowhere.stderr
    assert "cybersecqwen fetch nvd --years" in nowhere.stderr
    folder = tmp_path / "cvelist"
    folder.mkdir()
    (tmp_path / "nvd-api").mkdir()
    shutil.copy(FEED, tmp_path / "nvd-api" / "0000000.json")
    [cached] = rows(classify(known, "--json"))
    assert cached == given
    assert given["id"] == known


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "stdin: is empty"),
        (b"\x7fELF\0\0", "stdin: is binary"),
        (b"caf\xe9 SQL injection", "stdin: is not UTF-8"),
        (b"cve,summary\nCVE-2021-0001,XSS\n", "stdin: the header is cve,summary"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_status_1(data: bytes, message: str) -> None:
    done = classify(data=data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cybersecqwen: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threshold", "nan"],
        ["--threshold", "1.1"],
        ["--threshold", "-0.1"],
        ["--top", "0"],
        ["--samples", "3"],
        ["--model", "name"],
        ["--engine", "embeded"],
        ["--engine", "embedded", "--model", "name"],
    ],
)
def test_a_wrong_or_useless_option_is_a_usage_error(arguments: list[str]) -> None:
    done = classify("some text", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_nothing_at_all_on_a_terminal_shows_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb"), os.fdopen(theirs, "rb") as terminal:
        done = subprocess.run(
            COMMAND, stdin=terminal, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 2
    assert 'cybersecqwen classify "SQL injection' in done.stderr


def test_a_closed_pipe_leaves_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(jsonl(*[SQL] * 20_000))
    with subprocess.Popen(
        [*COMMAND, str(path), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["id"] == 0
        process.stdout.close()
        assert process.stderr.read() == b""


def test_ctrl_c_while_it_waits_for_input_loses_no_answer(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    # A shell's background job ignores the signal, and so do its children.
    interruptible = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cybersecqwen.cli import main; main(['classify', '--json'])"
    )
    with (
        answers.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-c", interruptible],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin
        assert process.stderr
        process.stdin.write(jsonl(*[SQL] * 1001))
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while answers.read_bytes().count(b"\n") < 1000 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert (process.returncode, said) == (130, b"stopped\n")
    assert len(answers.read_text().splitlines()) == 1000


def test_a_megabyte_of_markup_and_controls_is_answered() -> None:
    text = f"<p>\x07\u200b{SQL}</p>&nbsp;" + "<b>x</b>\x1b[31m" * 70_000
    done = classify("--json", data=jsonl(text))
    assert done.returncode == 0
    [row] = rows(done)
    assert row["candidates"][0]["cwe"] == "CWE-89"
    assert all(text[s["start"] : s["end"]] == s["text"] for s in row["evidence"])
    assert "characters count" in done.stderr


def test_a_text_argument_loads_nothing_heavy() -> None:
    code = (
        "import sys, cybersecqwen.cli as c\n"
        f"try: c.main(['classify', {LARAVEL!r}])\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(set({HEAVY}) & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_language_model_behind_a_url_gives_the_same_shape(server: Any) -> None:
    said = 'It reports "SQL injection".\n\nCWE-89'
    server.faults[rcm_prompt(SQL)] = [lambda _: chat(said)]
    options = ["--model", f"tiny@{server.url}", "--samples", 3, "--json"]
    [row] = rows(classify(SQL, *options))
    [embedded] = rows(classify(SQL, "--json"))
    assert list(row) == list(embedded)
    assert row["candidates"][0] | {"confidence": 0} == embedded["candidates"][0] | {"confidence": 0}
    assert (row["candidates"][0]["confidence"], row["rationale"]) == (1.0, said)
    assert row["evidence"] == [{"start": 0, "end": 13, "text": "SQL injection", "weight": 1.0}]
    assert len(server.bodies) == 3
    older = ["--engine", server.url, "--model", "tiny", "--samples", 3, "--json"]
    assert rows(classify(SQL, *older)) == [row]


def test_a_server_that_fails_is_an_error_and_no_abstention(server: Any) -> None:
    server.faults[rcm_prompt(SQL)] = [lambda _: web.Response(status=400, text="no such model")]
    done = classify(SQL, "--engine", server.url, "--model", "tiny", "--samples", 1, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such model" in done.stderr
    assert done.stderr.count("\n") == 1


def chat(text: str) -> web.Response:
    message = {"role": "assistant", "content": text}
    return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})


def test_the_help_states_the_formats_and_what_a_confidence_is() -> None:
    shown = CliRunner().invoke(main, ["classify", "--help"]).stdout
    for word in ("JSONL", "CSV", "NVD JSON 2.0", "calibrated", "needs review", "quote it"):
        assert word in " ".join(shown.split())


def test_of_one_kind_of_error_five_lines_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1}\n' * 9 + '{"text": 1}\n' + json.dumps({"text": SQL}) + "\n")
    done = CliRunner().invoke(main, ["classify", str(path), "--json"])
    said = done.stderr.splitlines()
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 1)
    assert [line.count("no text") for line in said] == [1, 1, 1, 1, 1, 0, 1]
    assert said[-1] == "cybersecqwen: 4 more: no text"
