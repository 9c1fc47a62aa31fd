"""The table of flags and switches."""

from __future__ import annotations

import re

import pytest

from cybersecqwen.serving.backends import BACKENDS, DEVICES

EVERY = [(backend, setting) for backend in BACKENDS.values() for setting in backend.settings]


def test_every_setting_has_a_reason_and_a_device() -> None:
    for backend, setting in EVERY:
        assert len(setting.why.split()) >= 3, (backend.name, setting.name)
        assert set(setting.on) <= set(DEVICES) and setting.on
        assert setting.is_switch == setting.name.isupper()
        assert setting.is_switch or setting.name.startswith("--")


def test_rocm_has_the_settings_of_the_model_card() -> None:
    settings = {s.name: s.value for s in BACKENDS["vllm"].settings_on("rocm")}
    assert (
        settings.items()
        >= {
            "VLLM_ROCM_USE_AITER": "1",
            "TORCH_BLAS_PREFER_HIPBLASLT": "1",
            "--attention-backend": "TRITON_ATTN",
            "--dtype": "bfloat16",
            "--gpu-memory-utilization": "0.9",
            "--served-model-name": "{name}",
            "--max-model-len": "{length}",
        }.items()
    )
    assert BACKENDS["vllm"].images["rocm"] == "vllm/vllm-openai-rocm:v0.33.0"


def test_a_type_of_model_has_settings_of_its_own() -> None:
    def value(model_type: str) -> str:
        settings = BACKENDS["vllm"].settings_on("rocm", model_type)
        (setting,) = (s for s in settings if s.name == "VLLM_ROCM_USE_AITER")
        return setting.value

    assert (value("gpt_oss"), value("qwen3")) == ("0", "1")


@pytest.mark.parametrize(("backend", "device"), [("vllm", d) for d in ("cuda", "cpu")])
def test_what_is_for_rocm_is_set_nowhere_else(backend: str, device: str) -> None:
    names = " ".join(s.name for s in BACKENDS[backend].settings_on(device))
    assert not re.search("ROCM|HIPBLASLT|attention", names)
