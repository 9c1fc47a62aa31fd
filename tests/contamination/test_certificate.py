"""A certificate holds for the files it was made of, and for no others; so does its signature."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.cli import main
from cybersecqwen.config import Contamination, load_recipe
from cybersecqwen.contamination import RULES
from cybersecqwen.contamination.audit import run_audit
from cybersecqwen.contamination.certificate import certify, recheck, unchecked
from cybersecqwen.contamination.signature import SignatureError, sign, verify_signature
from cybersecqwen.corpus.build import CorpusInputs, build
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json, sha256_file, write_json, write_jsonl, write_text
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

SETTINGS = Contamination()
needs_ssh = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a training file, a benchmark, and the certificate of its audit."""
    copied = read_benchmark(BENCHMARK)["cti-rcm"][0].text
    texts = ["Rain fell all day over the hills.", f"Read this: {copied}"]
    write_jsonl(tmp_path / "train.jsonl", ({"text": text} for text in texts))
    shutil.copytree(BENCHMARK, tmp_path / "benchmark")
    write_text(tmp_path / "page.html", "<p>evidence</p>\n")
    write_json(tmp_path / "certificate.json", certified(tmp_path))
    return tmp_path


def certified(folder: Path) -> Json:
    train, benchmark = folder / "train.jsonl", folder / "benchmark"
    audit = run_audit(train, read_benchmark(benchmark), SETTINGS)
    return certify(
        audit,
        train=train,
        benchmark=read_benchmark(benchmark),
        settings=SETTINGS,
        rules=tuple(RULES),
        outputs=[folder / "page.html"],
    )


def checked(folder: Path, train: str = "train.jsonl") -> list[str]:
    return recheck(
        folder / "certificate.json",
        train=folder / train,
        benchmark=read_benchmark(folder / "benchmark"),
    )


def change(path: Path, edit: Callable[[Json], object]) -> None:
    stated = json.loads(path.read_text())
    edit(stated)
    write_json(path, stated)


def version(stated: Json) -> None:
    stated["tool"]["version"] = "9.9"


def test_a_certificate_says_what_was_found_and_holds(folder: Path) -> None:
    text = (folder / "certificate.json").read_text()
    stated = json.loads(text)
    assert stated["clean"] is False
    assert stated["train_rows"] == 2
    assert stated["counts"]["cti-rcm"]["exact"] == {"items": 1, "rows": 1}
    assert stated["inputs"]["train"] == {"train.jsonl": sha256_file(folder / "train.jsonl")}
    assert str(folder) not in text
    assert certified(folder) == stated
    assert checked(folder) == []


def test_the_training_file_may_have_another_name(folder: Path) -> None:
    (folder / "train.jsonl").rename(folder / "renamed.jsonl")
    assert checked(folder, "renamed.jsonl") == []


def test_changed_training_rows_are_found(folder: Path) -> None:
    write_jsonl(folder / "train.jsonl", [{"text": "Rain fell."}])
    lines = checked(folder)
    assert any(line.startswith("inputs train train.jsonl: stated") for line in lines)
    assert "clean: stated false, found true" in lines
    assert "train_rows: stated 2, found 1" in lines


def test_a_training_file_that_got_damaged_is_a_disagreement(folder: Path) -> None:
    (folder / "train.jsonl").write_text('{"text": "Rain')
    first, *_ = checked(folder)
    assert first.startswith("inputs train train.jsonl: stated")


def test_a_changed_benchmark_is_found(folder: Path) -> None:
    (folder / "benchmark" / "cti-mcq.tsv").unlink()
    lines = checked(folder)
    assert any(line.startswith("inputs benchmark cti-mcq.tsv: stated") for line in lines)
    assert "benchmark_items cti-mcq: stated 40, found nothing" in lines


def test_a_changed_or_missing_output_is_found(folder: Path) -> None:
    write_text(folder / "page.html", "<p>clean</p>\n")
    (line,) = checked(folder)
    assert line.startswith("outputs page.html: stated")
    (folder / "page.html").unlink()
    assert checked(folder)[0].endswith("found nothing")


@pytest.mark.parametrize(
    ("edit", "begins"),
    [
        (lambda c: c.update(clean=True), "clean: stated true, found false"),
        (lambda c: c.update(train_rows=3), "train_rows: stated 3, found 2"),
        (lambda c: c.pop("counts"), "counts: stated nothing"),
        (
            lambda c: c["counts"]["cti-rcm"]["exact"].update(rows=0),
            "counts cti-rcm exact rows: stated 0, found 1",
        ),
        (
            lambda c: c["settings"].update(containment=0.9),
            "rules ngram containment: stated 0.5, found 0.9",
        ),
        (lambda c: c["rules"].pop("exact"), "counts cti-rcm exact items: stated 1, found 0"),
        (version, "tool version: stated"),
        (lambda c: c["columns"].pop("text"), "columns text: stated nothing"),
        (lambda c: c["columns"]["text"].update(rows=1), "columns text rows: stated 1, found 2"),
        (lambda c: c.update(verdict="clean"), 'verdict: stated "clean", found "contaminated"'),
        (lambda c: c.update(unreadable=1), "unreadable: stated 1, found 0"),
        (lambda c: c["outputs"].clear(), "outputs contamination.json: stated nothing"),
    ],
)
def test_what_was_changed_in_a_certificate_is_found(
    folder: Path, edit: Callable[[Json], object], begins: str
) -> None:
    write_text(folder / "contamination.json", "{}")
    change(folder / "certificate.json", edit)
    assert any(line.startswith(begins) for line in checked(folder))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": 1}',
        '{"kind": "audit"}',
        '{"kind": "other"}',
        '{"recipe": "smoke"}',
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(folder: Path, text: str) -> None:
    (folder / "certificate.json").write_text(text)
    with pytest.raises(InputError) as caught:
        checked(folder)
    assert "\n" not in str(caught.value)


def test_an_output_elsewhere_is_refused(folder: Path) -> None:
    change(folder / "certificate.json", lambda c: c["outputs"].update({"../page.html": "0"}))
    with pytest.raises(InputError, match="no file beside it"):
        checked(folder)


@pytest.fixture(scope="module")
def made_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    hashes = {path.name: sha256_file(path) for path in BENCHMARK.glob("*.tsv")}
    inputs = CorpusInputs(
        read_vulnerabilities(FEED),
        read_benchmark(BENCHMARK),
        load_catalogue(),
        {"benchmark": hashes, "records": {"feed.json": sha256_file(FEED)}},
    )
    build(load_recipe("smoke"), inputs, out)
    return out


@pytest.fixture
def corpus(made_corpus: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made_corpus, tmp_path / "corpus")


def test_the_certificate_of_a_corpus_holds(corpus: Path) -> None:
    assert recheck(corpus / "certificate.json", benchmark=read_benchmark(BENCHMARK)) == []


def test_a_corpus_with_a_benchmark_item_in_it_is_found(corpus: Path) -> None:
    """Also where the one who put it there has made the checksum right."""
    item, train = read_benchmark(BENCHMARK)["cti-rcm"][0], corpus / "train.jsonl"
    with train.open("a") as file:
        row = {"cve_id": "CVE-2021-1", "description": item.text, "cwe": "CWE-79"}
        file.write(json.dumps(row) + "\n")
    change(
        corpus / "certificate.json",
        lambda c: c["outputs"].update({"train.jsonl": sha256_file(train)}),
    )
    lines = recheck(corpus / "certificate.json", benchmark=read_benchmark(BENCHMARK))
    assert "clean: stated true, found false" in lines
    assert any(line.startswith("counts train: stated") for line in lines)


@pytest.mark.parametrize(
    ("edit", "begins"),
    [
        (lambda c: c["counts"].update(train=9), "counts train: stated 9"),
        (lambda c: c["counts"]["dropped"].clear(), "counts dropped no-label: stated nothing"),
        (
            lambda c: c["counts"]["contaminated"]["exact"].clear(),
            "counts contaminated exact cti-rcm: stated nothing",
        ),
        (lambda c: c["outputs"].pop("train.jsonl"), "outputs train.jsonl: stated nothing"),
        (lambda c: c["outputs"].clear(), "outputs dropped.jsonl: stated nothing"),
        (version, "tool version: stated"),
        (lambda c: c.update(recipe="other"), 'recipe: stated "other", found "smoke"'),
        (lambda c: c["inputs"].update(cwe={"cwe.json": "0"}), "inputs cwe cwe.json: stated"),
    ],
)
def test_what_was_changed_in_that_of_a_corpus_is_found(
    corpus: Path, edit: Callable[[Json], object], begins: str
) -> None:
    change(corpus / "certificate.json", edit)
    lines = recheck(corpus / "certificate.json", benchmark=read_benchmark(BENCHMARK))
    assert any(line.startswith(begins) for line in lines)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def signers(key: Path) -> Path:
    path = key.with_name("signers")
    write_text(path, f"alice@example.com {key.with_suffix('.pub').read_text()}")
    return path


@needs_ssh
def test_a_signature_is_of_one_file_and_one_signer(folder: Path, key: Path, signers: Path) -> None:
    certificate = folder / "certificate.json"
    assert sign(certificate, key) == sign(certificate, key) == folder / "certificate.json.sig"
    verify_signature(certificate, signers, "alice@example.com")
    with pytest.raises(SignatureError, match=r"not one of bob@example.com"):
        verify_signature(certificate, signers, "bob@example.com")
    change(certificate, lambda c: c.update(clean=True))
    with pytest.raises(SignatureError, match="for this file"):
        verify_signature(certificate, signers, "alice@example.com")


@needs_ssh
def test_what_cannot_sign_is_said_in_one_line(folder: Path) -> None:
    for key in ("absent", "page.html"):
        with pytest.raises(InputError) as caught:
            sign(folder / "certificate.json", folder / key)
        assert "\n" not in str(caught.value)
    assert not (folder / "certificate.json.sig").exists()


def test_a_missing_ssh_keygen_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(CyberSecQwenError, match="ssh-keygen, which is not installed"):
        sign(folder / "certificate.json", folder / "page.html")


@needs_ssh
def test_the_commands_sign_and_verify(folder: Path, key: Path, signers: Path) -> None:
    certificate = str(folder / "certificate.json")
    given = ["--train", str(folder / "train.jsonl"), "--benchmark", str(folder / "benchmark")]
    who = ["--signers", str(signers), "--identity", "alice@example.com"]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["certificate", *arguments])
        return done.exit_code, done.output

    assert run("sign", certificate, "--key", str(key))[0] == 0
    status, said = run("verify", certificate, *given, *who)
    assert status == 0
    assert said.startswith("the certificate holds, signed by alice@example.com: not clean")
    change(Path(certificate), lambda c: c.update(train_rows=3))
    status, said = run("verify", certificate, *given, *who, "--json")
    assert status == 3
    assert [line.split(":")[0] for line in json.loads(said)["differences"]] == [
        "train_rows",
        "signature",
    ]
    assert run("verify", certificate)[0] == 1


def test_the_manifest_of_a_corpus_proves_its_certificate(corpus: Path) -> None:
    certificate, items = corpus / "certificate.json", read_benchmark(BENCHMARK)
    assert unchecked(certificate) == ["inputs records"]
    outputs = {path.name: sha256_file(path) for path in corpus.iterdir()}
    write_json(corpus / "manifest.json", {"made_from": {}, "outputs": outputs})
    assert unchecked(certificate) == recheck(certificate, benchmark=items) == []
    change(certificate, lambda c: c["inputs"]["records"].clear())
    (line,) = recheck(certificate, benchmark=items)
    assert line.startswith("manifest.json certificate.json: stated")


@pytest.mark.parametrize("value", ["[" * 5_000 + "]" * 5_000, "7" * 5_000])
def test_a_certificate_of_endless_json_is_refused_in_one_line(folder: Path, value: str) -> None:
    (folder / "certificate.json").write_text(f'{{"kind": "audit", "a": {value}}}')
    with pytest.raises(InputError) as caught:
        checked(folder)
    assert "\n" not in str(caught.value)
