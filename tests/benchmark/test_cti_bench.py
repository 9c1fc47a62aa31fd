"""CTI-Bench: the traps of its files, each with a test."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.benchmark.tasks import read_benchmark, read_items
from cybersecqwen.errors import CyberSecQwenError, InputError

RCM = "URL\tDescription\tPrompt\tGT"
TAA = "URL\tText\tPrompt"
MCQ = "URL\tQuestion\tOption A\tOption B\tOption C\tOption D\tPrompt\tGT"


def write(folder: Path, task: str, *lines: str) -> Path:
    path = folder / f"{task}.tsv"
    path.write_text("".join(f"{line}\r\n" for line in lines), encoding="utf-8", newline="")
    return path


def test_an_item_keeps_text_and_prompt_verbatim(tmp_path: Path) -> None:
    write(tmp_path, "cti-rcm", RCM, "u\tA  text.\tMap: A  text. \t CWE-79 ")
    (item,) = read_items(tmp_path, "cti-rcm")
    assert (item.task, item.index, item.url) == ("cti-rcm", 0, "u")
    assert (item.text, item.prompt, item.gold) == ("A  text.", "Map: A  text. ", "CWE-79")


def test_options_are_text_even_when_they_say_none_or_nan(tmp_path: Path) -> None:
    write(tmp_path, "cti-mcq", MCQ, "u\tWhich?\tNone\tnan\tNA\tNULL\tPick.\tb")
    (item,) = read_items(tmp_path, "cti-mcq")
    assert item.options == ("None", "nan", "NA", "NULL")
    assert item.gold == "B"


CELLS = ["u", '"Clear History" did not clear.', 'Say "x". ', "CWE-1"]


def test_a_quote_in_a_plain_file_is_a_character(tmp_path: Path) -> None:
    # Upstream's own form: a reader of quoted TSV loses the quotes of such a cell.
    write(tmp_path, "cti-rcm", RCM, "\t".join(CELLS), "u\ta\tb\tCWE-2")
    first, second = read_items(tmp_path, "cti-rcm")
    assert (first.text, first.prompt) == (CELLS[1], CELLS[2])
    assert (second.index, second.gold) == (1, "CWE-2")


def test_a_file_that_pandas_quoted_reads_the_same(tmp_path: Path) -> None:
    spread = 'One\n"two"\tthree'
    with (tmp_path / "cti-rcm.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([RCM.split("\t"), CELLS, ["u", spread, "p", "CWE-2"]])
    first, second = read_items(tmp_path, "cti-rcm")
    assert (first.text, first.prompt) == (CELLS[1], CELLS[2])
    assert second.text == spread


def test_more_columns_in_another_order_are_fine(tmp_path: Path) -> None:
    write(tmp_path, "cti-rcm", "GT\tPrompt\tDescription\tURL\tNote", "CWE-1\tp\td\tu\tn")
    (item,) = read_items(tmp_path, "cti-rcm")
    assert (item.gold, item.prompt, item.text, item.url) == ("CWE-1", "p", "d", "u")


def test_taa_gold_is_joined_by_position(tmp_path: Path) -> None:
    write(tmp_path, "cti-taa", TAA, "u1\tt\tp", "u2\tt\tp")
    assert [item.gold for item in read_items(tmp_path, "cti-taa")] == ["", ""]
    write(tmp_path, "cti-taa-gold", "URL\tGT", "u1\tAPT28 ", "u2\tLazarus")
    assert [item.gold for item in read_items(tmp_path, "cti-taa")] == ["APT28", "Lazarus"]


@pytest.mark.parametrize(
    ("golds", "says"),
    [
        (("u2\tAPT28", "u1\tLazarus"), r"gold\.tsv:2: the URL 'u2' is not"),
        (("u1\tAPT28",), "1 golds for 2 items"),
        (("u1\tAPT28", "u2\t"), r"gold\.tsv:3: the gold answer is empty"),
    ],
)
def test_taa_gold_of_other_items_is_refused(
    tmp_path: Path, golds: tuple[str, ...], says: str
) -> None:
    write(tmp_path, "cti-taa", TAA, "u1\tt\tp", "u2\tt\tp")
    write(tmp_path, "cti-taa-gold", "URL\tGT", *golds)
    with pytest.raises(InputError, match=says):
        read_items(tmp_path, "cti-taa")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("URL\tDescription\tGT", "u\td\tCWE-1"), r"tsv:1: the column 'Prompt' is missing"),
        ((RCM, "u\td\tp\tCWE-1", "u\td\tp"), r"tsv:3: 3 cells where the header has 4"),
        ((RCM, "u\td\tp\tCWE-1\tx"), r"tsv:2: 5 cells"),
        ((RCM, "u\td\tp\t "), r"tsv:2: the gold answer is empty"),
        ((RCM, "u\td\tp\tCWE-1", "", "u\td\tp\tCWE-1"), r"tsv:3: \d cells"),
        ((RCM,), "holds no item"),
        ((), r"tsv:1: the column 'URL' is missing"),
    ],
)
def test_a_bad_file_names_its_line(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    write(tmp_path, "cti-rcm", *lines)
    with pytest.raises(InputError, match=says) as caught:
        read_items(tmp_path, "cti-rcm")
    assert caught.value.tip


def test_an_mcq_gold_is_one_of_four_letters(tmp_path: Path) -> None:
    write(tmp_path, "cti-mcq", MCQ, "u\tq\t1\t2\t3\t4\tp\tE")
    with pytest.raises(InputError, match=r"tsv:2: gold 'E'"):
        read_items(tmp_path, "cti-mcq")


def test_unknown_missing_and_undecodable_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CyberSecQwenError, match=r"unknown task 'cti-x'.*cti-mcq"):
        read_items(tmp_path, "cti-x")
    with pytest.raises(InputError, match=r"cti-rcm\.tsv: no such file .*fetch cti-bench"):
        read_items(tmp_path, "cti-rcm")
    with pytest.raises(InputError, match="holds no benchmark task"):
        read_benchmark(tmp_path)
    (tmp_path / "cti-rcm.tsv").write_bytes(b"URL\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_items(tmp_path, "cti-rcm")


def test_the_benchmark_is_what_is_there_in_a_fixed_order(tmp_path: Path) -> None:
    for task in ("cti-vsp", "cti-rcm"):
        write(tmp_path, task, RCM, "u\td\tp\tCWE-79")
    assert list(read_benchmark(tmp_path)) == ["cti-rcm", "cti-vsp"]


@pytest.mark.shared
def test_real_benchmark(shared: Path) -> None:
    tasks = read_benchmark(shared / "cti-bench")
    assert {task: len(items) for task, items in tasks.items()} == {
        "cti-mcq": 2500,
        "cti-rcm": 1000,
        "cti-rcm-2021": 1000,
        "cti-vsp": 1000,
        "cti-taa": 50,
        "cti-ate": 60,
    }
    for items in tasks.values():
        assert all(item.text in item.prompt and item.gold for item in items)
        assert [item.index for item in items] == list(range(len(items)))
    quoted = [item.text for item in tasks["cti-rcm-2021"] if item.text.startswith('"')]
    assert len(quoted) == 1
    assert quoted[0].startswith('"Clear History and Website Data" did not')
    golds = Counter(item.gold for item in tasks["cti-mcq"])
    assert golds == {"C": 928, "B": 813, "D": 385, "A": 374}  # one of the Bs is a b upstream
