"""The text of a model card that no measurement changes.

Use, limits, licences and citations stand in model_card.md, a part below each `<!-- name -->`. The
section on how to query the model follows its recipe.

>>> print(limitations(2021, 2021).splitlines()[0][:28])
- **One field.** The model w
>>> from cybersecqwen.config import load_recipe
>>> "apply_chat_template" in usage(load_recipe("smoke"))
True
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache

from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.config import Recipe
from cybersecqwen.corpus.dataset_card import CTI_BENCH
from cybersecqwen.prompts import CHAT_TEMPLATES, mcq_prompt, rcm_prompt
from cybersecqwen.reports.html_page import asset

_DESCRIPTION = (
    "The upload form of Example Gallery 1.2 does not restrict file types, which lets a "
    "logged-in user store a PHP file and run it."
)


def wording(name: str) -> str:
    """Return a part of model_card.md by its name."""
    return _wordings()[name]


def limitations(first_year: int, last_year: int) -> str:
    """List what a user must know before trusting an answer, for a cohort of these years."""
    years = str(first_year) if first_year == last_year else f"{first_year} to {last_year}"
    return wording("limitations").replace("{years}", years)


def licence(name: str) -> str:
    """Write the terms of the weights and the data, for the licence `name` of a recipe."""
    released = f"The weights are released under `{name}`."
    weights = wording("gemma-licence") if name == "gemma" else released
    return f"{weights}\n\n{wording('data-licences')}"


def citations() -> str:
    """Write the references to the benchmark and to the protocol's source."""
    return wording("citations").replace("{cti_bench}", CTI_BENCH)


@cache
def _wordings() -> dict[str, str]:
    _, *parts = re.split(r"^<!-- (\S+) -->\n", asset("model_card.md"), flags=re.MULTILINE)
    return {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


def usage(recipe: Recipe) -> str:
    """Show how to query the model in process and over HTTP, as its evaluation does."""
    protocol = find_protocol(recipe.evaluation.protocol)
    question = mcq_prompt("{question}", ["{a}", "{b}", "{c}", "{d}"])
    return f"""\
The prompt is CTI-Bench's own, to the character; the answer ends with the CWE id.

```python
{_snippet(recipe, protocol)}
```

A multiple-choice question is asked like this, and the last line of the answer is the letter:

```text
{question}
```

The folder's `chat_template.jinja` is the one of the training, in full:

```jinja
{CHAT_TEMPLATES[recipe.model.chat_template]}
```

### Serving

Any OpenAI-compatible server takes the folder; with vLLM:

```bash
vllm serve ./{recipe.name} --served-model-name {recipe.name} --dtype {recipe.model.precision}

curl http://localhost:8000/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(_body(recipe, protocol))}
```"""


def _snippet(recipe: Recipe, protocol: Protocol) -> str:
    sampling = (
        f"do_sample=True, temperature={protocol.temperature}, top_p={protocol.top_p}"
        if protocol.temperature
        else "do_sample=False"
    )
    return f"""\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "{recipe.name}"  # where this card lies, or its id on the Hub
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")  # device_map="auto" for a GPU

description = "{_DESCRIPTION}"
prompt = (
{_literal(rcm_prompt("{description}"))}
)
inputs = tokenizer.apply_chat_template(
    [{{"role": "user", "content": prompt}}],
    add_generation_prompt=True,
    return_dict=True,
    return_tensors="pt",
).to(model.device)
output = model.generate(**inputs, max_new_tokens={protocol.max_tokens}, {sampling})
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))"""


def _literal(prompt: str) -> str:
    """Write the prompt as Python source, a sentence a line."""
    sentences = re.split(r"(?<=\.)(?= )", prompt)
    return "\n".join(f"    {'f' * ('{' in s)}{json.dumps(s)}" for s in sentences)


def _body(recipe: Recipe, protocol: Protocol) -> str:
    body = {
        "model": recipe.name,
        "messages": [{"role": "user", "content": rcm_prompt(_DESCRIPTION)}],
        "temperature": protocol.temperature,
        "top_p": protocol.top_p,
        "max_tokens": protocol.max_tokens,
    }
    return json.dumps(body)
