"""A protocol is frozen and as published, and a deviation is marked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import FrozenInstanceError

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.benchmark.score import extractor
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.reports.protocols import protocol_json

CARD = PROTOCOLS["model-card"]

# The settings of each version, by hash. What was measured under a protocol stays comparable: a
# change of any setting is a new version and a new line here.
FROZEN = {
    ("model-card", 1): "ca2f9dd182ae2a8f",
    ("paper", 1): "c585c6e1f3b8ca4d",
    ("faith", 1): "9db3a7a9e0e75162",
    ("cti-bench", 1): "b1dfb7baf3e128f3",
    ("smoke", 1): "571988320e1dd466",
}


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_version_never_changes(name: str) -> None:
    protocol = PROTOCOLS[name]
    stated = {k: v for k, v in protocol_json(protocol).items() if k not in ("rules", "prompts")}
    frozen = {name for name, task in TASKS.items() if task.suite.name == "cti-bench"}
    for by_task in ("extractors", "stop"):  # a task of another suite changes no version
        stated[by_task] = {k: v for k, v in stated[by_task].items() if k in frozen}
    stated["extensions"] = [k for k in stated["extensions"] if k in frozen]
    settings = json.dumps(stated, sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    assert digest == FROZEN[name, protocol.version]
    with pytest.raises(FrozenInstanceError):
        protocol.temperature = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "trials", "temperature", "tokens", "rows", "ddof"),
    [
        ("model-card", 5, 0.3, 512, "all", 1),
        ("paper", 10, 0.3, 512, "all", 1),
        ("faith", 5, 0.3, 5000, "distinct", 0),
        ("cti-bench", 1, 0.0, 2048, "all", 1),
    ],
)
def test_the_protocols_are_as_published(
    name: str, trials: int, temperature: float, tokens: int, rows: str, ddof: int
) -> None:
    found = PROTOCOLS[name]
    assert (len(found.seeds), found.temperature, found.max_tokens) == (trials, temperature, tokens)
    assert (found.rows, found.ddof, found.top_p) == (rows, ddof, 1.0)
    assert found.seeds[0] == 42
    assert (found.unparseable == "dropped") == (name == "cti-bench")
    assert (found.improper == "lenient only") == (name == "faith")
    assert bool(found.system) == (name == "cti-bench")
    assert (found.base_shots == 5) == (name != "cti-bench")


def test_the_model_cards_protocol_asks_32_at_once_with_seeds_42_to_46() -> None:
    assert CARD.seeds == (42, 43, 44, 45, 46)
    assert CARD.concurrency == 32


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_protocol_reads_every_task_with_an_extractor_that_fits_its_prompt(name: str) -> None:
    protocol = PROTOCOLS[name]
    for task in TASKS.values():
        # A task that does not write the protocol's prompt is asked by its items' own.
        asked = protocol.prompt if protocol.prompt in task.prompts else "item"
        assert asked in extractor(task, protocol).fits
    assert set(protocol.covers) <= TASKS.keys()


def test_what_deviates_is_named() -> None:
    fewer = find_protocol("model-card", trials=2)
    assert (fewer.seeds, fewer.modified) == ((42, 43), ("trials=2",))
    assert find_protocol("model-card", trials=5, temperature=0.3, max_tokens=512) is CARD
    more = find_protocol("cti-bench", trials=3, temperature=0.7, max_tokens=64)
    assert more.seeds == (42, 43, 44)
    assert (more.temperature, more.max_tokens) == (0.7, 64)
    assert more.modified == ("trials=3", "temperature=0.7", "max-tokens=64")
    permuted = find_protocol("model-card", permute=4)
    assert (len(permuted.seeds), permuted.permutations) == (4, 4)
    assert permuted.modified == ("permute=4",)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(CyberSecQwenError, match=r"'modelcard'.*known are model-card"):
        find_protocol("modelcard")
    with pytest.raises(CyberSecQwenError, match="leave --trials out"):
        find_protocol("model-card", trials=3, permute=4)
