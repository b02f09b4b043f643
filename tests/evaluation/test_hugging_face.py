"""lmms-eval's own model is bent where it must be, and only there: each test fails when lmms-eval needs no bending."""

from __future__ import annotations

import inspect

import pytest

from kawhi.base.checkout import resolve_package_paths
from kawhi.wheels import torchvision_shim

pytestmark = pytest.mark.slow
FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def path(family: str) -> str:
    return str(resolve_package_paths(f"pkg://kawhi.tiny/checkpoints/{family}"))


def originals(family: str):
    torchvision_shim.install()
    from lmms_eval.models import get_model

    return get_model(family).create_from_arg_string(
        f"pretrained={path(family)},device_map=cpu,attn_implementation=sdpa", {"batch_size": 2, "device": "cpu"}
    )


def ours(family: str, model: str | None = None):
    torchvision_shim.install()
    from kawhi.evaluation.hugging_face import hugging_face

    options = {"device": "cpu", "dtype": "float32", "batch_size": 2, "min_pixels": 784, "max_pixels": 28224}
    return hugging_face(family, model or path(family), attention="sdpa", **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dtype_is_the_one_asked_for(family):
    import torch

    assert originals(family).model.dtype == torch.bfloat16
    assert ours(family).model.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_is_there_after_an_evaluation(family):
    from lmms_eval import evaluator

    original = originals(family)
    original.clean()
    assert not hasattr(original, "_model")
    assert "lm.clean()" in inspect.getsource(evaluator.evaluate)
    kept = ours(family)
    kept.clean()
    assert kept.model is not None


def test_the_checkpoint_s_own_penalty_is_dropped(tmp_path):
    import shutil

    from transformers import GenerationConfig

    shutil.copytree(path("qwen2_5_vl"), tmp_path / "model")
    config = GenerationConfig.from_pretrained(tmp_path / "model")
    config.repetition_penalty = 1.05
    config.save_pretrained(tmp_path / "model")
    loaded = ours("qwen2_5_vl", str(tmp_path / "model")).model.generation_config
    assert loaded.repetition_penalty in (None, 1.0)
    assert loaded.eos_token_id == config.eos_token_id


def test_a_response_is_cut_off_when_its_tokens_have_no_end():
    from kawhi.evaluation.hugging_face import _ends

    class Processor:
        def batch_decode(self, rows, **_):
            return ["".join("abcde"[token] for token in row if token < 4) for row in rows]

    padded, cut, same = [0, 1, 4, 4], [0, 0, 1, 1], [0, 0, 1, 4]
    ends = _ends([[padded, cut], [same]], Processor(), end=4)
    assert ends == {"ab": [("stop", 2)], "aabb": [("length", 4)], "aab": [("stop", 3)]}


def test_no_system_message_reaches_the_template():
    import inspect

    from lmms_eval.models.chat.qwen3_vl import Qwen3_VL

    assert "messages.insert(0" in inspect.getsource(Qwen3_VL.generate_until)
    loaded = ours("qwen3_vl")
    system = {"role": "system", "content": [{"type": "text", "text": "You are a helpful assistant."}]}
    user = {"role": "user", "content": [{"type": "text", "text": "Read A."}]}
    template = "{% for m in messages %}{{ m.role }};{% endfor %}"
    seen = loaded.processor.apply_chat_template([[system, user], [user]], chat_template=template, tokenize=False)
    assert seen == ["user;", "user;"]
