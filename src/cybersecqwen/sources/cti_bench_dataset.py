"""CTI-Bench as it is fetched: the task files from the hub, and what judges cti-taa.

https://huggingface.co/datasets/AI4Sec/cti-bench
"""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Item
from cybersecqwen.sources.feed import Feed, FetchOptions
from cybersecqwen.sources.threat_actors import HOST, fetch_judgement

_DATASET = "AI4Sec/cti-bench"
_TASKS = ("cti-mcq", "cti-rcm", "cti-rcm-2021", "cti-vsp", "cti-taa", "cti-ate")


def _fetch(options: FetchOptions) -> list[Path]:
    tasks = _fetch_tasks(options)
    return [*tasks, *fetch_judgement(options.folder, options.url or HOST, options.retry)]


def _fetch_tasks(options: FetchOptions) -> list[Path]:
    """Fetch the task files from the hub, whose client has its own cache, resume and retries."""
    import httpx2
    from huggingface_hub import hf_hub_download

    try:
        return [
            Path(
                hf_hub_download(
                    _DATASET,
                    f"{task}.tsv",
                    repo_type="dataset",
                    local_dir=options.folder,
                    endpoint=options.url or None,
                )
            )
            for task in _TASKS
        ]
    except (OSError, httpx2.HTTPError) as error:
        raise CyberSecQwenError(
            f"the hub does not give the dataset: {error}",
            where=_DATASET,
            tip="check the network, HF_ENDPOINT and HF_TOKEN",
        ) from error


FEED = Feed(
    "cti-bench",
    "CTI-Bench: the task files, and what judges cti-taa",
    Item,
    stale_after=3650,  # a benchmark stays what it is
    fetch=_fetch,
)
