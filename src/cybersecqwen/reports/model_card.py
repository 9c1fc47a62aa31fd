"""The model card of a run, from what is on disk and nothing else.

    write_text(run / "report" / "MODEL_CARD.md", render(run))

The wording is that of model_card.md.jinja; here are the values. The same run gives the same
bytes. A stage that has not run gets a line that says so, and a run without scores gets no
`model-index`: no number is written that was not measured.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen import templates
from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.config import Recipe
from cybersecqwen.engines import gguf
from cybersecqwen.files import Json
from cybersecqwen.prompts import CHAT_TEMPLATES, OWN_TEMPLATE, mcq_prompt, rcm_prompt
from cybersecqwen.reports.markdown import document
from cybersecqwen.reports.parity import parity_text
from cybersecqwen.reports.results import (
    NO_EVALUATION,
    against_baselines,
    comparators_table,
    measured_table,
)
from cybersecqwen.reports.run_folder import Evidence, Result, load_evidence
from cybersecqwen.reports.training_data import distillation_summary, synthesis_summary

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAGS = ["cybersecurity", "cti", "cwe-classification", "vulnerability-analysis", "security", "lora"]
# The Hub's name for the kind of each task; the rest are free text.
_KINDS = {"cti-rcm": "text-classification", "cti-mcq": "multiple-choice"}
_SUMMARY = (
    *("steps", "steps_per_epoch", "examples", "packed_sequences", "tokens_seen"),
    *("trainable_parameters", "total_parameters", "final_train_loss", "final_validation_loss"),
    *("base_revision", "device", "world_size", "distributed_type", "runtime_seconds"),
)
_DESCRIPTION = (
    "The upload form of Example Gallery 1.2 does not restrict file types, which lets a "
    "logged-in user store a PHP file and run it."
)


def render(run: Path) -> str:
    """Render a run's model card: YAML front matter for the Hugging Face Hub, then Markdown.

    Raises InputError where `run` is not a run folder or one of its files is damaged.
    """
    evidence = load_evidence(run)
    recipe, summary = evidence.recipe, evidence.summary or {}
    official = [result for result in evidence.results if result.comparable]
    protocols = {result.protocol for result in evidence.results}
    synthesized, distilled = evidence.synthesized, evidence.distilled
    size, memory = _sizes(recipe, summary)
    return document(
        "reports/model_card.md.jinja",
        run=evidence,
        recipe=recipe,
        certificate=evidence.certificate,
        front_matter=front_matter(evidence),
        on_hub=on_hub(recipe),
        gguf_origin=gguf.origin(recipe.model.base) if gguf.is_gguf(recipe.model.base) else None,
        chat_template=_template_name(recipe),
        base_folder=Path(recipe.model.base).name,
        size=size,
        memory=memory,
        usage=usage(recipe, evidence.own_template).rstrip("\n"),
        measured=measured_table(evidence.results),
        no_evaluation=NO_EVALUATION,
        protocols=[p for p in PROTOCOLS.values() if p.name in protocols],
        covered=_covered(evidence),
        official=official,
        comparators=comparators_table(recipe.name, size, official),
        verdicts=against_baselines(official),
        world_size=summary.get("world_size"),
        trained=_trained(summary),
        synthesis=synthesized and synthesis_summary(synthesized.model_dump()),
        distillation=distilled and distillation_summary(distilled.model_dump(by_alias=True)),
        parity=_measures(evidence.parity or {}),
        exports=evidence.exported and parity_text(evidence.exported, addresses=False),
        keys=partial(_settings, recipe),
        text=_text,
    )


def front_matter(evidence: Evidence) -> str:
    """Write the YAML that the Hugging Face Hub reads, `model-index` only where there are scores."""
    from huggingface_hub import ModelCardData

    recipe = evidence.recipe
    # `datasets` names training sets on the Hub; this corpus is built from feeds and is none.
    data = ModelCardData(
        language="en",
        license=recipe.license,
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=recipe.model.base if on_hub(recipe) else gguf.hub_id(recipe.model.base),
        tags=[*_TAGS, "smoke-test"] if recipe.model.random else _TAGS,
        metrics=["accuracy"],
        model_name=recipe.name,
        eval_results=[_eval_result(r) for r in evidence.results if not r.partial] or None,
    )
    return data.to_yaml()


def on_hub(recipe: Recipe) -> bool:
    """Return whether the base model has a Hub id; a folder of this machine has none."""
    base = recipe.model.base
    local = recipe.model.random is not None or gguf.is_gguf(base)
    return not local and _HUB_ID.fullmatch(base) is not None


def _template_name(recipe: Recipe) -> str:
    """Name a chat template; one from a file is shown in full where it is used."""
    name = recipe.model.chat_template
    own = "the base model's own, without a system prompt"
    return name if name in CHAT_TEMPLATES else own if name == OWN_TEMPLATE else "from a file"


def _eval_result(result: Result) -> EvalResult:
    from huggingface_hub import EvalResult

    trials, modified = len(result.trials), ", ".join(result.modified)
    name = f"strict accuracy, {trials}-trial mean, protocol {result.protocol}"
    known = result.comparable
    return EvalResult(
        task_type=_KINDS.get(result.task, "text-generation"),
        task_name=result.task.upper(),
        dataset_type="AI4Sec/cti-bench" if known else result.benchmark.name,
        dataset_name="CTI-Bench" if known else f"{result.benchmark.name} (not CTI-Bench)",
        dataset_config=result.task,
        dataset_split="test",
        metric_type="accuracy",
        metric_value=round(result.strict_accuracy.mean, 4),
        metric_name=f"{name}, modified: {modified}" if modified else name,
        verified=False,
    )


def usage(recipe: Recipe, own_template: str = "") -> str:
    """Show how to query the model in process and over HTTP, as its evaluation does.

    `own_template` is the one that the model was trained with, where the recipe names no family.
    """
    protocol = find_protocol(recipe.evaluation.protocol)
    sampling = f"do_sample=True, temperature={protocol.temperature}, top_p={protocol.top_p}"
    body = {
        "model": recipe.name,
        "messages": [{"role": "user", "content": rcm_prompt(_DESCRIPTION)}],
        "temperature": protocol.temperature,
        "top_p": protocol.top_p,
        "max_tokens": protocol.max_tokens,
    }
    return templates.render(
        "reports/model_card_usage.md.jinja",
        recipe=recipe,
        protocol=protocol,
        description=_DESCRIPTION,
        sentences=re.split(r"(?<=\.)(?= )", rcm_prompt("{description}")),
        json=json.dumps,
        sampling=sampling if protocol.temperature else "do_sample=False",
        question=mcq_prompt("{question}", ["{a}", "{b}", "{c}", "{d}"]),
        chat_template=CHAT_TEMPLATES.get(recipe.model.chat_template, own_template),
        body=shlex.quote(json.dumps(body)),
    )


def _sizes(recipe: Recipe, summary: Json) -> tuple[str, str]:
    """Write the number of parameters, and the bytes that they take in memory."""
    total = summary.get("total_parameters")
    if not isinstance(total, int):
        return "not on record", "not on record"
    parameters = f"{total / 1e9:.2f}B" if total >= 1e8 else f"{total / 1e6:.2f}M"
    size = total * {"bfloat16": 2, "float32": 4}[recipe.model.precision]
    memory = f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
    return parameters, f"{memory} in {recipe.model.precision}, cache and activations apart"


def _covered(evidence: Evidence) -> bool | None:
    """Return whether the corpus was checked against the very files that were evaluated.

    None where that is not on record.
    """
    evaluated = {sha for result in evidence.results for sha in result.benchmark.sha256.values()}
    if evidence.certificate is None or not all(r.benchmark.sha256 for r in evidence.results):
        return None
    checked = set(evidence.certificate.inputs.benchmark.values())
    if evidence.synthesized:
        checked &= set(evidence.synthesized.inputs["benchmark"].values())
    return evaluated <= checked


def _trained(summary: Json) -> dict[str, str]:
    values = {key: summary[key] for key in _SUMMARY if summary.get(key) is not None}
    measures = {
        key.replace("_", " "): f"{value:,}" if isinstance(value, int) else _text(value)
        for key, value in values.items()
    }
    plan = summary.get("plan") or {}
    chosen = {f"plan: {k.replace('_', ' ')}": _text(plan[k]) for k in plan.get("reasons", ())}
    versions = {f"version of {k}": str(v) for k, v in summary.get("versions", {}).items()}
    return measures | chosen | versions


def _measures(value: Json, path: str = "") -> dict[str, str]:
    """Flatten the numbers and truths of a nested object; its texts may name this machine."""
    measures: dict[str, str] = {}
    for key, inner in value.items():
        name = f"{path}{key.replace('_', ' ')}"
        if isinstance(inner, dict):
            measures |= _measures(inner, f"{name}, ")
        elif isinstance(inner, int | float):
            measures[name] = _text(inner)
    return measures


def _settings(recipe: Recipe, *sections: str) -> dict[str, str]:
    """List every key of these recipe sections as `section.key`, so that none is left out."""
    values = recipe.model_dump(include=set(sections), exclude_none=True)
    if "model" in values:
        values["model"]["chat_template"] = _template_name(recipe)
    return {
        f"`{section}.{key}`": _text(value)
        for section in sections
        for key, value in values[section].items()
        if key != "base"
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
