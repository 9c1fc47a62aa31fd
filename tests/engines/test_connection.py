"""A server is named in one way however its URL ends, and Azure's gets what it wants."""

from __future__ import annotations

import pytest

from cybersecqwen.engines.connection import authorization, base_url, endpoint, split_address
from cybersecqwen.errors import InputError


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h", "http://h/v1"),
        ("http://h/v1/chat/completions", "http://h/v1"),
        ("http://h/v1/completions/", "http://h/v1"),
        ("http://h/chat/completions", "http://h"),
        ("http://h/v1/models", "http://h/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai/v1"),
        (
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            "https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
        ),
    ],
)
def test_a_url_is_the_same_however_its_end_is_written(url: str, base: str) -> None:
    assert base_url(url) == base


def test_a_deployment_of_azure_is_named_by_its_url_and_gets_its_own_header() -> None:
    url = "https://r.openai.azure.com/openai/deployments/gpt-5/?api-version=2024-10-21"
    assert split_address(url) == ("gpt-5", url)
    assert split_address(f"other@{url}") == ("other", url)
    base = base_url(url)
    assert endpoint(base, "chat/completions") == url.replace("/?", "/chat/completions?")
    assert authorization(base, "k") == {"api-key": "k"}
    assert authorization("https://r.openai.azure.com/openai/v1", "k") == {"api-key": "k"}
    assert authorization("http://h/v1", "k") == {"Authorization": "Bearer k"}
    assert authorization("http://h/v1", "") == {}


@pytest.mark.parametrize("url", ["http://h:99999/v1", "http://h:port", "http://[::1", "ftp://h"])
def test_what_is_no_url_is_told_before_anything_is_asked(url: str) -> None:
    with pytest.raises(InputError, match="is not a"):
        base_url(url)
