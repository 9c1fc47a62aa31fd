"""What other harnesses are given: the protocol's requests, and our own reading of answers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.benchmark.interop.lm_eval import config, hint, ratio, sample_scores, write_tasks
from cybersecqwen.benchmark.interop.lm_eval_results import write_results
from cybersecqwen.benchmark.interop.samples import Trial, score_response, trial_samples
from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.benchmark.responses import read_recordings, read_run
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.benchmark.tasks import TASKS, find_task, read_items
from cybersecqwen.benchmark.trial import trial_requests
from cybersecqwen.cli import main
from cybersecqwen.engines import open_model
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import write_jsonl
from cybersecqwen.sample import BENCHMARK


@pytest.mark.parametrize("protocol", ["model-card", "faith", "cti-bench"])
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_row_asks_what_the_protocol_asks_and_its_gold_scores(
    protocol: str, task: str, six_tasks: Path
) -> None:
    trial = Trial(PROTOCOLS[protocol], six_tasks)
    rows = trial_samples(trial, task)
    wanted = trial_requests(trial.protocol, read_items(six_tasks, task), kind="instruct", trial=0)
    assert [row["index"] for row in rows] == [request.item for request in wanted]
    for row, request in zip(rows, wanted, strict=True):
        system = [{"role": "system", "content": row["system"]}] if row["system"] else []
        assert [*system, {"role": "user", "content": row["prompt"]}] == request.messages
        answer = find_task(task).answered(row["gold"], trial.protocol.prompt)
        scores = sample_scores(json.loads(json.dumps(row)), answer, six_tasks)
        pooled = trial.protocol.unparseable == "dropped"  # then it is a ratio, not a mean
        assert scores["strict_accuracy"] == ((1.0, 1.0) if pooled else 1)
        assert scores["parseable_rate"] == 1
        assert sample_scores(row, "", six_tasks)["parseable_rate"] == 0


def test_a_base_model_is_given_the_exemplars_of_the_trial(six_tasks: Path) -> None:
    trials = [Trial(PROTOCOLS["faith"], six_tasks, "base", n) for n in (0, 1)]
    first, second = (trial_samples(trial, "cti-rcm") for trial in trials)
    assert [row["index"] for row in first] != [row["index"] for row in second]
    protocol, items = PROTOCOLS["faith"], read_items(six_tasks, "cti-rcm")
    wanted = trial_requests(protocol, items, kind="base", trial=1)
    assert [row["prompt"] for row in second] == [request.prompt for request in wanted]
    assert {row["system"] for row in first} == {""}


def test_ratios_pool_their_sums(six_tasks: Path) -> None:
    rows = trial_samples(Trial(PROTOCOLS["model-card"], six_tasks), "cti-ate")
    found = [
        sample_scores(row, answer, six_tasks)["micro_f1"]
        for row, answer in zip(rows, ["T1059, T1071", "T1059"], strict=True)
    ]
    assert found == [(4.0, 4.0), (0.0, 2.0)]  # 2 tp over 2 tp + fp + fn
    assert ratio(found) == pytest.approx(4 / 6)  # the mean of the two would be a half


def test_nothing_measured_is_no_number() -> None:
    assert str(ratio([(0.0, 0.0)])) == "nan"


def test_rows_of_another_version_are_refused(six_tasks: Path) -> None:
    row = trial_samples(Trial(PROTOCOLS["model-card"], six_tasks), "cti-rcm")[0]
    with pytest.raises(InputError, match="written under model-card 0"):
        score_response(row | {"protocol_version": 0}, "CWE-79", six_tasks)


def test_the_written_folder_is_complete_and_can_be_moved(six_tasks: Path, tmp_path: Path) -> None:
    trial = Trial(PROTOCOLS["model-card"], six_tasks)
    write_tasks(list(TASKS), tmp_path / "a", trial=trial)
    folder = (tmp_path / "a").rename(tmp_path / "b")
    assert not any(str(tmp_path) in path.read_text() for path in folder.iterdir())
    spec = importlib.util.spec_from_file_location("tasks", folder / "cybersecqwen_tasks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    row = json.loads((folder / "cti-taa.jsonl").read_text().splitlines()[0])
    scores = module.process_results(row, ["Threat Actor: Fancy Bear"])
    assert scores["strict_accuracy"] == 1


def test_task_files_name_functions_of_their_module_and_the_sampling(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined]
        pass

    Loader.add_constructor("!function", lambda loader, node: f"f:{node.value}")
    trial = Trial(PROTOCOLS["cti-bench"], BENCHMARK)
    write_tasks(["cti-rcm"], tmp_path, trial=trial)
    found = yaml.load((tmp_path / "cybersecqwen_cti_rcm.yaml").read_text(), Loader)
    assert found["process_results"] == "f:cybersecqwen_tasks.process_results"
    assert found["description"] == "system"
    assert found["generation_kwargs"] == {
        "until": [],
        "do_sample": False,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_gen_toks": 2048,
    }
    by_name = {row["metric"]: row["aggregation"] for row in found["metric_list"]}
    assert by_name == {
        "strict_accuracy": "f:cybersecqwen_tasks.ratio",
        "parseable_rate": "mean",
        "accuracy_of_all": "mean",
    }


def test_base_models_stop_where_the_protocol_says() -> None:
    trial = Trial(PROTOCOLS["model-card"], BENCHMARK, "base", 3)
    assert config(trial, "cti-mcq")["generation_kwargs"]["until"] == ["\n\n", "\nQuestion:"]
    said = hint(["cti-mcq"], Path("tasks"), trial=trial)
    assert "--model local-completions" in said
    assert "seed=45" in said
    assert "--apply_chat_template" not in said


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Score recorded answers to the sample: right at even items, nothing to read at odd ones."""
    items, protocol = read_items(BENCHMARK, "cti-rcm"), find_protocol("model-card", trials=2)
    answers = tmp_path / "answers.jsonl"
    write_jsonl(
        answers,
        (
            {"item": i.index, "trial": t, "text": "No." if (i.index + t) % 2 else f"é {i.gold}"}
            for i in items
            for t in (0, 1)
        ),
    )
    model = open_model(answers)
    evaluate(model, "cti-rcm", protocol, benchmark=BENCHMARK, out=tmp_path / "run")
    return tmp_path / "run"


def test_results_hold_each_trial_and_their_mean(run_folder: Path, tmp_path: Path) -> None:
    [path] = write_results(read_run(run_folder), BENCHMARK, tmp_path / "out")
    assert path.parent == tmp_path / "out" / "model-card" / "answers"
    found: Any = json.loads(path.read_text())
    names = [f"cybersecqwen_cti_rcm_trial_{n}" for n in (0, 1)]
    assert found["group_subtasks"] == {"cybersecqwen_cti_rcm": names}
    assert [found["results"][name]["strict_accuracy,none"] for name in names] == [0.5, 0.5]
    assert found["results"][names[0]]["strict_accuracy_stderr,none"] == pytest.approx(
        (0.25 * 60 / 59 / 60) ** 0.5
    )
    assert found["groups"]["cybersecqwen_cti_rcm"]["strict_accuracy,none"] == 0.5
    [samples] = path.parent.glob(f"samples_{names[1]}_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert [row["filtered_resps"][0] for row in rows][:2] == ["No.", f"é {rows[1]['target']}"]


def test_exported_samples_score_as_the_run_does(run_folder: Path, tmp_path: Path) -> None:
    [path] = write_results(read_run(run_folder), BENCHMARK, tmp_path / "out")
    [answers] = read_recordings(path.parent, None, BENCHMARK)
    assert (answers.task, sorted(answers.responses)) == ("cti-rcm", [0, 1])
    [run] = read_run(run_folder)
    texts = {t: [(r.item, r.text) for r in rs] for t, rs in answers.responses.items()}
    assert texts == {t: [(r.item, r.text) for r in rs] for t, rs in run.responses.items()}
    first = min(path.parent.glob("samples_*"))  # a file says its task too
    assert [a.task for a in read_recordings(first, None, BENCHMARK)] == ["cti-rcm"]


def test_results_need_the_items_that_were_asked(run_folder: Path, six_tasks: Path) -> None:
    with pytest.raises(InputError, match="to another file of that name"):
        write_results(read_run(run_folder), six_tasks, run_folder / "out")


def test_a_base_form_that_a_protocol_lacks_is_refused(six_tasks: Path, tmp_path: Path) -> None:
    trial = Trial(PROTOCOLS["model-card"], six_tasks, "base")
    with pytest.raises(CyberSecQwenError, match="no form for base models in cti-vsp"):
        write_tasks(["cti-vsp"], tmp_path, trial=trial)


def test_the_command_prints_how_to_run_what_it_wrote(tmp_path: Path) -> None:
    arguments = ["export", "lm-eval", "--benchmark", str(BENCHMARK), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, "--task", "cti-rcm", "--trial", "1"])
    assert result.exit_code == 0
    assert f"lm_eval --include_path {tmp_path} --tasks cybersecqwen_cti_rcm " in result.stdout
    assert "seed=43" in result.stdout
    refused = CliRunner().invoke(main, [*arguments, "--trial", "5"])
    assert refused.exit_code == 2
    assert "model-card has 5 trials, counted from 0" in refused.stderr


def test_an_unfinished_run_is_not_exported(run_folder: Path, tmp_path: Path) -> None:
    (run_folder / "evaluation/cti-rcm/model-card/trial-1/responses.jsonl").write_text("")
    arguments = ["export", "results", str(run_folder), "--format", "lm-eval", "--out", "x"]
    result = CliRunner().invoke(main, [*arguments, "--benchmark", str(BENCHMARK)])
    assert result.exit_code == 1
    assert "missing or changed since its manifest was written" in result.stderr
