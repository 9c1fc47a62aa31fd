"""What works here and what does not, line by line, and the memory that each base model needs.

    diagnosis = examine(DoctorOptions(length=4096, batch=1, ports={"serve": 8080}))
    print(diagnosis)
    diagnosis.obstacles("train")     # why training is not possible here; empty where it is

NEEDS says which findings a purpose depends on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Literal, NamedTuple

from cybersecqwen.artifacts import FOLDER, shipped_recipes, verified
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.doctor.installation import PROGRAMS, extras, programs
from cybersecqwen.doctor.machine import Gpu, cpu, disk, gpus
from cybersecqwen.embedded.knowledge import installed_index
from cybersecqwen.engines.gguf import hub_id, is_gguf
from cybersecqwen.engines.memory import Memory, main_memory
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table
from cybersecqwen.sources import stale_after
from cybersecqwen.sources.feed import days_since
from cybersecqwen.sources.fetch import default_cache, fetched_feeds
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.database import NAME
from cybersecqwen.training.memory import (
    BITS,
    BaseSize,
    base_of,
    merging_memory,
    serving_memory,
    training_memory,
)
from cybersecqwen.training.plan import USABLE

Status = Literal["ok", "warn", "missing"]
_LITTLE = 10e9  # bytes of a disk, for a run of the smallest real model with its checkpoints
_COMPUTED = ("float32", "bfloat16")  # what training and merging compute in
_USES = ("train whole", "train LoRA", "merge", "serve")

# What each purpose needs: findings, of which one in each row must not be missing.
NEEDS: dict[str, tuple[tuple[tuple[str, str], ...], ...]] = {
    "train": ((("extra", "train"),), (("memory", "train"),), (("disk", "runs"),)),
    "serve": (
        (("program", "vllm"), ("program", "llama-server"), ("extra", "serve")),
        (("memory", "serve"),),
    ),
    "service": ((("extra", "service"),), (("artifacts", "shipped"),), (("disk", "data"),)),
    "evaluate": ((("artifacts", "shipped"),), (("feed", "cti-bench"),), (("disk", "runs"),)),
}


class Finding(NamedTuple):
    """A line: whether something is there and as it should be, and what to do."""

    section: str
    name: str
    status: Status
    text: str
    tip: str = ""


class Need(NamedTuple):
    """The bytes that a base model takes for a use in a precision."""

    model: str
    precision: str
    use: str
    bytes: int


@dataclass(frozen=True)
class DoctorOptions:
    """What is looked at: folders and ports by what uses them, and the models' load.

    Without a `recipe` the memory is that of every base model of the recipes that ship.
    """

    length: int = 4096  # tokens of prompt and answer
    batch: int = 1  # sequences at once
    recipe: Recipe | None = None
    folders: dict[str, Path] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """The lines, and the memory that is needed and usable."""

    options: DoctorOptions
    findings: Sequence[Finding]
    needs: Sequence[Need]
    usable: int  # bytes, of the largest GPU or of main memory
    device: str

    def obstacles(self, purpose: str) -> list[str]:
        """Say what stands in the way of a purpose."""
        missing = {(c.section, c.name): c for c in self.findings if c.status == "missing"}
        recipe, rows = self.options.recipe, NEEDS[purpose]
        if purpose == "train" and recipe and recipe.model.quantization:
            rows = (*rows, (("extra", "qlora"),))
        return [
            " and ".join(_obstacle(missing[one]) for one in row)
            for row in rows
            if all(one in missing for one in row)
        ]

    def to_json(self) -> Json:
        """Return it as JSON has it."""
        return {
            "findings": [finding._asdict() for finding in self.findings],
            "memory": {
                "device": self.device,
                "usable": self.usable,
                "tokens": self.options.length * self.options.batch,
                "needs": [{**n._asdict(), "fits": n.bytes <= self.usable} for n in self.needs],
            },
            "possible": {purpose: not self.obstacles(purpose) for purpose in NEEDS},
        }

    def __str__(self) -> str:
        """Write a line for each finding, and the memory as a table."""
        lines = "\n".join(map(_line, self.findings))
        if not self.needs:
            return lines
        load = f"{self.options.batch} × {self.options.length:,} tokens"
        head = f"GB needed for {load}, of {self.usable / 1e9:.1f} usable on {self.device}:"
        return f"{lines}\n\n{head}\n\n{self._memory_table()}"

    def _memory_table(self) -> str:
        cells = {(n.model, n.precision, n.use): self._cell(n) for n in self.needs}
        kinds = dict.fromkeys((n.model, n.precision) for n in self.needs)
        rows = [(*kind, *(cells.get((*kind, use), "") for use in _USES)) for kind in kinds]
        return table(("model", "precision", *_USES), rows, right=(2, 3, 4, 5))

    def _cell(self, need: Need) -> str:
        return f"{need.bytes / 1e9:.1f}{'' if need.bytes <= self.usable else ' no'}"


def examine(options: DoctorOptions) -> Diagnosis:
    """Look at the machine, the installation, the data and the ports."""
    cards, memory = gpus(), main_memory()
    largest = max(cards, key=lambda card: card.free, default=None)
    usable = int(USABLE * (largest.free if largest else memory.free))
    device = largest.name if largest else "the CPU"
    recipes = [options.recipe] if options.recipe else _shipped()
    known = [(recipe, base) for recipe in recipes if (base := base_of(recipe.model))]
    needs = [need for one in known for need in _needs(*one, options.length, options.batch)]
    findings = [
        *_machine(cards, memory),
        *(_disk(name, folder) for name, folder in options.folders.items()),
        *_memory(known, options, usable),
        *_extras(),
        *_programs(),
        *_feeds(),
        *_caches(),
        _artifacts(),
        *(_port(name, number) for name, number in options.ports.items()),
    ]
    return Diagnosis(options, findings, needs, usable, device)


def _shipped() -> list[Recipe]:
    """Load the shipped recipes of real models, one for each base."""
    recipes = map(load_recipe, shipped_recipes().values())
    return list(
        {recipe.model.base: recipe for recipe in recipes if not recipe.model.random}.values()
    )


def _machine(cards: Sequence[Gpu], memory: Memory) -> Iterator[Finding]:
    processor = cpu()
    allowed = f", {processor.quota:.1f} cores' worth of time" if processor.quota else ""
    able = ", ".join(processor.extensions) or "no extension that matters"
    cores = f"{processor.cores} cores{allowed}: {processor.model}; {able}"
    yield Finding("machine", "CPU", "ok", cores)
    whose = "the container's limit" if memory.limited else "the machine's"
    free = f"{memory.free / 1e9:.1f} GB free of {whose} {memory.total / 1e9:.1f}"
    yield Finding("machine", "memory", "ok" if memory.free > 2e9 else "warn", free)
    for number, card in enumerate(cards):
        text = f"{card.name}, {card.free / 1e9:.1f} GB free of {card.memory / 1e9:.1f}"
        yield Finding("machine", f"GPU {number}", "ok", text)
    if not cards:
        yield Finding("machine", "GPU", "missing", "no driver reports one")


def _disk(name: str, folder: Path) -> Finding:
    here = disk(folder)
    free = f"{folder}: {here.free / 1e9:.1f} GB free of {here.total / 1e9:.1f}"
    if not here.writable:
        return Finding(
            "disk", name, "missing", f"{folder} cannot be written", "check the permissions"
        )
    if here.free < _LITTLE:
        return Finding("disk", name, "warn", free, "a run of a real model may need more")
    return Finding("disk", name, "ok", free)


def _needs(recipe: Recipe, base: BaseSize, length: int, batch: int) -> Iterator[Need]:
    """List what a recipe's base takes; LoRA on int4 weights is QLoRA and computes in bfloat16."""
    size, tokens = base.with_adapter(recipe.adapter), length * batch
    name = _name(recipe)
    for precision in BITS:
        if precision in _COMPUTED:
            whole = training_memory(
                base.trained_whole(), tokens, precision, dropout=False, checkpointing=True
            )
            yield Need(name, precision, "train whole", whole)
            yield Need(name, precision, "train LoRA", _lora(recipe, base, tokens, precision))
            yield Need(name, precision, "merge", merging_memory(base, size, precision))
        if precision == "int4":
            yield Need(name, precision, "train LoRA", _lora(recipe, base, tokens, precision))
        yield Need(name, precision, "serve", serving_memory(base, precision, tokens))


def _lora(recipe: Recipe, base: BaseSize, tokens: int, precision: str) -> int:
    return training_memory(
        base.with_adapter(recipe.adapter),
        tokens,
        precision if precision in _COMPUTED else "bfloat16",
        dropout=recipe.adapter.dropout > 0,
        checkpointing=True,
        frozen=base.weights(precision),
    )


def _base_precision(recipe: Recipe) -> str:
    """Name the precision in which the base's weights are held while its adapter is trained."""
    return "int4" if recipe.model.quantization else recipe.model.precision


def _name(recipe: Recipe) -> str:
    base = recipe.model.base
    return Path((hub_id(base) if is_gguf(base) else None) or base).name


def _memory(
    known: Sequence[tuple[Recipe, BaseSize]], options: DoctorOptions, usable: int
) -> Iterator[Finding]:
    """Say which bases can be trained as their recipes are, and served."""
    tokens = options.length * options.batch
    trained = {_name(r): _lora(r, b, tokens, _base_precision(r)) for r, b in known}
    served = {_name(r): serving_memory(b, r.model.precision, tokens) for r, b in known}
    for name, needs in (("train", trained), ("serve", served)):
        if not needs:
            tip = "give a model folder with its config.json, or a base of a recipe that ships"
            yield Finding("memory", name, "warn", "the sizes of this base are not known here", tip)
            continue
        said = [
            f"{model} {'fits' if need <= usable else 'does not fit'}: "
            f"{need / 1e9:.1f} of {usable / 1e9:.1f} GB"
            for model, need in needs.items()
        ]
        fits = [need <= usable for need in needs.values()]
        status: Status = "ok" if all(fits) else "warn" if any(fits) else "missing"
        yield Finding("memory", name, status, "; ".join(said))


def _extras() -> Iterator[Finding]:
    try:
        for extra in extras():
            lacks = ", ".join(extra.missing)
            status: Status = "missing" if lacks else "ok"
            text = f"without {lacks}" if lacks else f"{extra.packages} packages"
            yield Finding("extra", extra.name, status, text, extra.command if lacks else "")
    except PackageNotFoundError:
        text = "this code was not installed, so its extras are not known"
        yield Finding("extra", "all", "warn", text, "pip install .")


def _programs() -> Iterator[Finding]:
    for place in programs():
        program = PROGRAMS[place.name]
        if not place.path:
            text = f"not found; {program.purpose}"
            yield Finding("program", place.name, "missing", text, program.install)
            continue
        version = place.version or "version unknown"
        yield Finding("program", place.name, "ok", f"{version}, {place.path}; {program.purpose}")


def _feeds() -> Iterator[Finding]:
    """Say how old the record store and the fetched files are, by each feed's own limit."""
    cache = default_cache()
    yield from _stored(cache / NAME)
    absent = []
    for name in fetched_feeds():
        files = [path for path in (cache / name).glob("*") if path.is_file()]
        if files:
            newest = max(files, key=lambda path: path.stat().st_mtime)
            yield _age(name, _days_old(newest), f"cybersecqwen fetch {name}")
        elif name == "cti-bench":
            tip = "cybersecqwen fetch cti-bench, or give evaluate --benchmark FOLDER"
            yield Finding("feed", name, "missing", "not fetched", tip)
        else:
            absent.append(name)
    if absent:
        text = f"not fetched: {', '.join(absent)}"
        yield Finding("feed", "others", "missing", text, "cybersecqwen fetch NAME")


def _stored(store: Path) -> Iterator[Finding]:
    update = "cybersecqwen fetch records"
    try:
        for feed, checked in query.checked(store).items():
            yield _age(feed, days_since(checked), update, kind="records")
    except CyberSecQwenError as error:
        yield Finding("records", "store", "missing", f"{store}: {error.what}", error.tip or update)


def _age(name: str, days: float | None, update: str, *, kind: str = "feed") -> Finding:
    if days is None:
        return Finding(kind, name, "warn", "never brought up to date", update)
    if days > (limit := stale_after(name)):
        return Finding(kind, name, "warn", f"{days:.0f} days old, stale after {limit}", update)
    return Finding(kind, name, "ok", f"{days:.1f} days old")


def _caches() -> Iterator[Finding]:
    """Say which knowledge index is in use, and which model folders were made of GGUF files."""
    install = "cybersecqwen knowledge install"
    try:
        if installed := installed_index():
            days = _days_old(installed) if installed.is_file() else None
            yield _age("attack-enterprise", days, install, kind="knowledge")
        else:
            text = "the index that ships, without full texts"
            yield Finding("knowledge", "index", "ok", text, install)
    except CyberSecQwenError as error:
        yield Finding("knowledge", "index", "warn", error.what, error.tip or "")
    models = sorted(path.parent for path in (default_cache() / "models").glob("*/config.json"))
    names = ", ".join(path.name for path in models) or "none"
    yield Finding("cache", "models", "ok", names)


def _days_old(path: Path) -> float | None:
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return days_since(changed.isoformat())


def _artifacts() -> Finding:
    names = [p.name.removesuffix(".certificate.json") for p in FOLDER.glob("*.certificate.json")]
    try:
        for name in names:
            verified(FOLDER, name)
    except CyberSecQwenError as error:
        return Finding("artifacts", "shipped", "missing", error.what, error.tip or "")
    return Finding("artifacts", "shipped", "ok", f"{len(names)} match their certificates")


def _port(name: str, number: int) -> Finding:
    """Try to listen where a command does by default."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
            listener.listen(1)
        except OSError as error:
            why = f"{number} is taken: {error.strerror}"
            return Finding("port", name, "warn", why, f"cybersecqwen {name} --port ANOTHER")
    return Finding("port", name, "ok", f"{number} is free")


def _obstacle(finding: Finding) -> str:
    return f"{finding.section} {finding.name}: {_with_tip(finding)}"


def _line(finding: Finding) -> str:
    return f"{finding.status:8}{finding.section:10}{finding.name:15}{_with_tip(finding)}"


def _with_tip(finding: Finding) -> str:
    return f"{finding.text} ({finding.tip})" if finding.tip else finding.text
