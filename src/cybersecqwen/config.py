"""A recipe: every number of one model's making, in one TOML file.

>>> recipe = load_recipe("smoke", overrides=("training.epochs=1",))
>>> recipe.training.epochs
1.0

A key that does not exist is refused with the nearest one that does. Evaluation
settings are not here: a recipe names a protocol and never edits it.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from cybersecqwen.artifacts import shipped_recipes
from cybersecqwen.errors import RecipeError
from cybersecqwen.files import read_text
from cybersecqwen.prompts import CHAT_TEMPLATES, OWN_TEMPLATE

_OPTIONAL = ("synthesis", "distillation")  # tables that a setting of `false` leaves out
_CPU = Path("/proc/cpuinfo")  # of Linux
_TEMPLATE_NAMES = (*CHAT_TEMPLATES, OWN_TEMPLATE)
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Section(BaseModel):
    """A table of a TOML file; its lists are tuples here."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = sorted(cls.model_fields)
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise PydanticCustomError("unknown_key", "{hint}", {"key": key, "hint": hint})
        # TOML has no tuples.
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}


class RandomModel(Section):
    """The size of a randomly initialised base model, with a tokenizer learned from the corpus."""

    architecture: Literal["qwen3", "gemma4"]
    vocab_size: int = Field(ge=300)
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=8)


def _chat_template(value: str) -> str:
    if value not in _TEMPLATE_NAMES and "{" not in value:
        names = ", ".join(map(repr, _TEMPLATE_NAMES))
        raise ValueError(f"{value!r} is no file and none of {names}")
    return value


def _precision(value: Any) -> Any:
    if value != "auto":
        return value
    flags = _CPU.read_text(encoding="utf-8") if _CPU.is_file() else ""
    return "bfloat16" if "amx_bf16" in flags else "float32"


class Model(Section):
    """The base model: a hub id, a folder, a GGUF file, `package:NAME`, or `random` with its sizes.

    `chat_template` is a family's name, "own" for the model's, or the text of a template; a recipe
    names the text's file. `precision` "auto" is bfloat16 on a CPU with AMX, float32 on others.
    """

    base: str
    revision: str = "main"
    kind: Literal["instruct", "base"] = "instruct"
    chat_template: Annotated[str, AfterValidator(_chat_template)]
    attention: Literal["flash_attention_2", "sdpa", "eager"]
    precision: Annotated[Literal["bfloat16", "float32"], BeforeValidator(_precision)]
    quantization: Literal["nf4"] | None = None  # QLoRA: of the base while the adapter is trained
    random: RandomModel | None = None

    @model_validator(mode="after")
    def _random_has_sizes(self) -> Self:
        if (self.base == "random") != (self.random is not None):
            raise ValueError('base = "random" and the table [model.random] go together')
        return self


class InputDefaults(Section):
    """Where the records and the benchmark come from unless the command line says otherwise.

    `sample` is what ships with the package, `cache` what `cybersecqwen fetch` downloaded.
    """

    records: Literal["sample", "cache"]
    benchmark: Literal["sample", "cache"]


class Corpus(Section):
    """Which records become examples, and how."""

    years: tuple[int, int]  # first and last, both included
    year_by: Literal["cve_id", "published"] = "cve_id"
    label_sources: tuple[Literal["nvd", "cna", "cisa_adp"], ...] = ("nvd", "cna", "cisa_adp")
    categories: Literal["drop", "keep"] = "drop"
    # "named": only where the text names the weakness and the record has no other label
    discouraged: Literal["drop", "named", "keep"] = "keep"
    contradicted: Literal["drop", "keep"] = "drop"  # records whose text names another CWE
    contaminated: Literal["drop", "keep"] = "drop"
    completion: Literal["rationale", "id"] = "rationale"
    min_words: int = Field(default=5, ge=1)
    max_examples: int | None = Field(default=None, ge=1)
    validation_fraction: float = Field(default=0.02, gt=0, lt=1)
    seed: int = 42

    @model_validator(mode="after")
    def _years_in_order(self) -> Self:
        if self.years[0] > self.years[1]:
            raise ValueError(f"years {self.years[0]} to {self.years[1]} run backwards")
        if not self.label_sources:
            raise ValueError("label_sources is empty: name at least one of nvd, cna, cisa_adp")
        return self


class Contamination(Section):
    """Which overlap with a benchmark item removes a record."""

    ngram: int = Field(default=13, ge=2)
    containment: float = Field(default=0.5, gt=0, le=1)
    similarity: float = Field(default=0.8, gt=0, le=1)
    similarity_with_answer: float = Field(default=0.7, gt=0, le=1)


class Shares(Section):
    """How the pairs are shared out among the kinds of question, as weights."""

    weakness: float = Field(default=0.25, ge=0)
    consequence: float = Field(default=0.1, ge=0)
    mitigation: float = Field(default=0.2, ge=0)
    technique: float = Field(default=0.3, ge=0)
    cvss: float = Field(default=0.1, ge=0)
    component: float = Field(default=0.05, ge=0)

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("every share is 0: give at least one kind a share")
        return self


class Synthesis(Section):
    """How many question-and-answer pairs are made beside the corpus, and of which kinds."""

    pairs: int = Field(ge=1)
    choices: float = Field(default=0.7, ge=0, le=1)  # share of the pairs with four options
    min_words: int = Field(default=5, ge=1)  # of a question
    max_words: int = Field(default=300, ge=20)  # of a question, and of an answer
    validation_fraction: float = Field(default=0.02, ge=0, lt=1)
    temperature: float = Field(default=0.7, ge=0)  # of a teacher, where one is asked
    max_tokens: int = Field(default=700, ge=50)  # of its answer
    seed: int = 42
    shares: Shares = Shares()


class Distillation(Section):
    """A teacher that writes the answers to learn, kept where they end in the gold label.

    `teacher` is the model's name at `url`; without a URL it is `embedded`, the model that ships.
    The key of a server is the environment's OPENAI_API_KEY and stands in no file. Concurrency and
    prices (for a million tokens) have no effect on the answers.
    """

    teacher: str = Field(min_length=1)
    url: str | None = None
    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1024, ge=1)
    samples: int = Field(default=1, ge=1)  # answers to each example
    traces: int = Field(default=1, ge=1)  # of those, how many are kept at most
    without_trace: Literal["drop", "direct"] = "drop"
    seed: int = 42
    concurrency: int = Field(default=32, ge=1)
    prompt_price: float | None = Field(default=None, ge=0)
    completion_price: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _names_one_teacher(self) -> Self:
        if self.url is None and self.teacher != "embedded":
            raise ValueError(f"the teacher {self.teacher!r} has no url")
        if (self.prompt_price is None) != (self.completion_price is None):
            raise ValueError("prompt_price and completion_price go together")
        return self


class Adapter(Section):
    """The LoRA adapter; `target_modules` is a list of names or one regular expression."""

    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    target_modules: tuple[str, ...] | str
    modules_to_save: tuple[str, ...] = ()  # trained whole beside the adapter, e.g. embed_tokens


class Training(Section):
    """The optimisation; one epoch is one pass over the examples, packed or not."""

    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear", "constant"]
    warmup_ratio: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    per_device_batch_size: int = Field(ge=1)
    gradient_accumulation: int = Field(ge=1)
    epochs: float = Field(gt=0)
    max_length: int = Field(ge=16)
    packing: bool
    loss: Literal["completion", "all"] = "completion"  # the tokens that are learned
    plan: Literal["auto", "plain"] = "auto"  # plain: as written here, by the libraries' own means
    micro_batch: int | None = Field(default=None, ge=1)  # sequences at once; auto chooses
    checkpointing: bool | None = None  # of activations; auto chooses
    checkpoint_steps: int = Field(default=100, ge=1)
    log_steps: int = Field(default=10, ge=1)
    tensorboard: bool = False
    seed: int


class Evaluation(Section):
    """The tasks that the model is measured on; the protocol holds the numbers."""

    protocol: str
    tasks: tuple[str, ...] = Field(min_length=1)
    batch_size: int | None = Field(default=None, ge=1)  # of the engine; no effect on the answers


class Recipe(Section):
    """Everything that makes one model, complete in itself."""

    name: FolderName
    summary: str
    license: str
    inputs: InputDefaults
    model: Model
    corpus: Corpus
    contamination: Contamination = Contamination()
    synthesis: Synthesis | None = None
    distillation: Distillation | None = None
    adapter: Adapter
    training: Training
    evaluation: Evaluation


def load_recipe(reference: Recipe | str | Path, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """Load a recipe file, or one shipped under that name, and apply `key.path=value` overrides.

    A recipe that is loaded already takes the overrides too; `synthesis=false` leaves a table out.
    Raises RecipeError that names the file, the key and the nearest known key.
    """
    where: str | Path
    if isinstance(reference, Recipe):
        where, table = reference.name, reference.model_dump(mode="json", exclude_none=True)
    else:
        where = find_shipped(reference, shipped_recipes(), what="recipe")
        table = read_toml(where)
    for setting in overrides:
        _apply(table, setting)
    table = {k: v for k, v in table.items() if not (k in _OPTIONAL and v is False)}
    _read_chat_template(table, Path(where).parent)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise RecipeError(explain(error, Recipe), where=where) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises RecipeError where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:  # endless digits, endless brackets
        raise RecipeError(f"not valid TOML: {error}", where=path) from error


def override(key: str, value: Any) -> str:
    """Write a value in the form `a.b=[1]` that `load_recipe` and --set take."""
    return f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"  # such JSON is TOML


def dump_recipe(recipe: Recipe) -> str:
    """Write a recipe as resolved, defaults included, as TOML."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def find_shipped(reference: str | Path, known: dict[str, Path], *, what: str) -> Path:
    """Find a TOML file, or the one shipped under that name; raises RecipeError."""
    path = Path(reference)
    if path.is_file():
        return path
    if str(reference) in known:
        return known[str(reference)]
    raise RecipeError(
        f"no such {what}", where=path, tip=f"give a TOML file or one of {', '.join(sorted(known))}"
    )


def _apply(table: dict[str, Any], setting: str) -> None:
    """Set `a.b=value` in the table; the value is TOML, or a bare word taken as text."""
    key, separator, text = setting.partition("=")
    if not separator or not key.strip():
        raise RecipeError(
            f"--set {setting!r} has no key=value form", tip="for example training.epochs=1"
        )
    *path, last = key.strip().split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise RecipeError(f"--set {setting!r}: {part} is a value, not a table")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        table[last] = text.strip()


def _read_chat_template(table: dict[str, Any], folder: Path) -> None:
    """Put the text of a chat template's file, beside the recipe or here, in place of its name."""
    model = table.get("model")
    name = model.get("chat_template") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(name, str) or name in _TEMPLATE_NAMES:
        return
    file = next((f for f in (folder / name, Path(name)) if "{" not in name and f.is_file()), None)
    if file:
        model["chat_template"] = read_text(file)


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Say in one line what is wrong with a file of the model `root`, the first of several."""
    first, *others = error.errors()
    path = [str(part) for part in first["loc"]]
    more = f"; {len(others)} more" if others else ""
    if first["type"] == "unknown_key":
        key = ".".join([*path, first["ctx"]["key"]])
        return f"unknown key {key!r}, {first['msg']}{more}"
    if first["type"] == "missing":
        return f"the key {'.'.join(path)!r} is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path) or root.__name__.lower()}: {message}{more}"
