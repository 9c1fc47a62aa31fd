"""What a tokenizer makes of examples, and that it is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.errors import InputError, RecipeError
from cybersecqwen.training import examples
from cybersecqwen.training.base import load_tokenizer
from cybersecqwen.training.examples import encode, encode_once
from cybersecqwen.training.sft import make_trainer

from .conftest import files_of, tiny, write_rows


def test_a_completion_that_merges_into_the_prompt_is_refused(run: Path, tmp_path: Path) -> None:
    """The line break that opens the turn and the completion's would become one token."""
    path = write_rows(
        tmp_path / "train.jsonl",
        [
            {"prompt": "Which?", "completion": "CWE-79"},
            {"prompt": "Which?", "completion": "\n\nCWE-79"},
        ],
    )
    tokenizer = load_tokenizer(tiny(), run / "base")
    merging = tokenizer.encode("assistant\n\n\n") != [
        *tokenizer.encode("assistant\n"),
        *tokenizer.encode("\n\n"),
    ]
    assert merging, "this tokenizer does not merge line breaks: the test has no ground"
    with pytest.raises(InputError, match=r"train\.jsonl:2: .*no prefix"):
        encode(tiny(), tokenizer, path)


def test_an_example_too_long_is_refused_not_cut(run: Path, tmp_path: Path) -> None:
    """A cut completion loses its last line, which is the answer."""
    path = write_rows(tmp_path / "t.jsonl", [{"prompt": "buffer " * 600, "completion": "CWE-787"}])
    with pytest.raises(InputError, match=r"t\.jsonl:1: \d+ tokens, more than max_length 512"):
        encode(tiny(), load_tokenizer(tiny(), run / "base"), path)


@pytest.mark.parametrize("text", ["", '{"prompt": "Which?"}\n', '{"prompt": 1, "completion": ""}'])
def test_a_corpus_without_examples_is_refused(run: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "train.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"train\.jsonl"):
        encode(tiny(), load_tokenizer(tiny(), run / "base"), tmp_path / "train.jsonl")


def test_examples_are_tokenized_once(
    run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, paths = load_tokenizer(tiny(), run / "base"), files_of(corpus).train
    expected = encode(tiny(), tokenizer, *paths)
    first = encode_once(tiny(), tokenizer, paths, kept=tmp_path)
    monkeypatch.setattr(examples, "encode", lambda *_: pytest.fail("tokenized again"))
    again = encode_once(tiny(), tokenizer, paths, kept=tmp_path)
    assert first.to_list() == again.to_list() == expected.to_list()


def test_other_examples_and_other_templates_are_tokenized_anew(run: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(tiny(), run / "base")
    path = write_rows(tmp_path / "train.jsonl", [{"prompt": "Which?", "completion": "CWE-79"}])
    kept = [encode_once(tiny(), tokenizer, [path], kept=tmp_path)]
    write_rows(path, [{"prompt": "Which?", "completion": "CWE-787"}])
    kept.append(encode_once(tiny(), tokenizer, [path], kept=tmp_path))
    tokenizer.chat_template = f"Hello.{tokenizer.chat_template}"
    kept.append(encode_once(tiny(), tokenizer, [path], kept=tmp_path))
    texts = [tokenizer.decode(rows[0]["input_ids"]) for rows in kept]
    assert len({*texts}) == 3
    with pytest.raises(InputError, match="more than max_length 16"):
        encode_once(tiny("training.max_length=16"), tokenizer, [path], kept=tmp_path)
    assert not [name for name in tmp_path.iterdir() if name.suffix == ".partial"]


def test_damaged_tokens_are_made_anew(run: Path, corpus: Path, tmp_path: Path) -> None:
    tokenizer, paths = load_tokenizer(tiny(), run / "base"), files_of(corpus).train
    expected = encode_once(tiny(), tokenizer, paths, kept=tmp_path).to_list()
    (table,) = tmp_path.rglob("*.arrow")
    table.write_bytes(table.read_bytes()[: table.stat().st_size // 2])
    assert encode_once(tiny(), tokenizer, paths, kept=tmp_path).to_list() == expected


def test_what_fails_before_the_first_step_has_not_begun_a_stage(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    """Else the setting that the error asks for would be refused as that of another stage."""
    recipe = tiny("adapter.target_modules=['no_such']")
    with pytest.raises(RecipeError, match="does not fit the model"):
        make_trainer(recipe, files_of(corpus), tmp_path / "adapter", base=run / "base")
    assert not (tmp_path / "adapter").exists()
    assert [*tmp_path.glob(".adapter.tokens/*")]
