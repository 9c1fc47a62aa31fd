"""The machine-readable head of a model card, made by the Hub's own library.

>>> from cybersecqwen.config import load_recipe
>>> recipe = load_recipe("cybersecqwen-4b")
>>> front_matter(Evidence(recipe, None, None, None, results=[], others=[])).splitlines()[0]
'base_model: Qwen/Qwen3-4B-Instruct-2507'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cybersecqwen.config import Recipe
from cybersecqwen.reports.run_folder import Evidence, Result

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAGS = ["cybersecurity", "cti", "cwe-classification", "vulnerability-analysis", "security", "lora"]
# The Hub's name for the kind of each task; the rest are free text.
_KINDS = {"cti-rcm": "text-classification", "cti-mcq": "multiple-choice"}


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
        base_model=recipe.model.base if on_hub(recipe) else None,
        tags=[*_TAGS, "smoke-test"] if recipe.model.random else _TAGS,
        metrics=["accuracy"],
        model_name=recipe.name,
        eval_results=[_eval_result(result) for result in evidence.results] or None,
    )
    return data.to_yaml()


def on_hub(recipe: Recipe) -> bool:
    """Tell whether the base model has a Hub id; a folder of this machine has none."""
    return recipe.model.random is None and _HUB_ID.fullmatch(recipe.model.base) is not None


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
