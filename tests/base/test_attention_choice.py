"""What is chosen is installed and exact; anything else is one sentence."""

from __future__ import annotations

import pytest

from kawhi.base import attention_choice
from kawhi.base.attention_choice import available, chosen
from kawhi.base.errors import CellError


@pytest.fixture
def installed(monkeypatch):
    """A machine with these packages and kernels, and GPUs of one compute capability; none of the real one's."""

    def set_up(*packages: str, cached: tuple[str, ...] = (), capability: str = "9.0"):
        versions = dict(package.split("==") for package in packages)

        def version(package):
            if package not in versions:
                raise attention_choice.metadata.PackageNotFoundError(package)
            return versions[package]

        monkeypatch.setattr(attention_choice.metadata, "version", version)
        monkeypatch.setattr(attention_choice.util, "find_spec", lambda name: True if versions else None)
        monkeypatch.setattr(attention_choice, "_in_cache", lambda name: name in cached)
        monkeypatch.setattr(attention_choice, "ask_driver", lambda _: f"{capability}\n{capability}\n")

    return set_up


FA2, FA3, FA4, KERNELS = "flash-attn==2.8.3", "flash-attn-3==3.0.0", "flash-attn-4==4.0.0b19", "kernels==0.12.3"
HUB2, HUB3 = "kernels-community/flash-attn2", "kernels-community/flash-attn3"


@pytest.mark.parametrize(
    ("packages", "more", "expected"),
    [
        ((), {}, "sdpa"),
        ((FA2, FA3), {}, "flash_attention_2"),
        (("flash-attn==2.1.0",), {}, "sdpa"),
        ((FA3,), {}, "flash_attention_3"),
        ((FA3,), {"capability": "8.9"}, "sdpa"),
        ((FA4,), {}, "sdpa"),
        ((KERNELS,), {}, "sdpa"),
        ((KERNELS,), {"cached": (HUB2, HUB3)}, HUB3),
        ((KERNELS,), {"cached": (HUB2, HUB3), "capability": "8.0"}, HUB2),
    ],
)
def test_auto_takes_the_best_that_is_installed(installed, packages, more, expected):
    installed(*packages, **more)
    assert chosen("auto", "cuda") == expected
    assert chosen("auto", "cpu") == "sdpa"
    assert chosen("auto", "cuda", "float32") == "sdpa"


def test_a_node_without_a_gpu_speaks_for_those_with_its_packages(installed, monkeypatch):
    installed(FA3)
    monkeypatch.setattr(attention_choice, "ask_driver", lambda _: "")
    assert available("cuda") == ["flash_attention_3", "sdpa"]


def test_what_is_named_is_taken(installed):
    installed(FA4, KERNELS, cached=("kernels-community/other",))
    for name in ("flash_attention_4", "kernels-community/other", "eager", "sdpa"):
        assert chosen(name, "cuda") == name


@pytest.mark.parametrize(
    ("asked", "device", "sentence"),
    [
        (
            "flash_attention_2",
            "cuda",
            "needs the package flash-attn 2.3.3 or newer, which is not installed; here",
        ),
        ("flash_attention_2", "cpu", "needs a GPU; here there is sdpa: scale.attention=auto takes the first of them"),
        (
            HUB2,
            "cuda",
            r"is not in Hugging Face's cache \(`kernels.get_kernel\('kernels-community/flash-attn2'\)`",
        ),
        ("flash_attention_4", "cuda", "has kernels for Hopper and newer GPUs, not for compute capability 8.9"),
        (
            "flash",
            "cuda",
            "scale.attention=flash is not one of auto, flash_attention_2, .*, nor a kernels-community/",
        ),
    ],
)
def test_anything_else_is_one_sentence(installed, asked, device, sentence):
    installed(FA4, KERNELS, capability="8.9")
    with pytest.raises(CellError, match=sentence) as raised:
        chosen(asked, device)
    assert "\n" not in str(raised.value)


def test_without_the_package_kernels_a_kernel_is_not_looked_for(installed):
    installed()
    with pytest.raises(CellError, match="needs the package kernels, which is not installed"):
        chosen(HUB3, "cuda")


def test_a_kernel_is_found_where_the_package_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELS_CACHE", str(tmp_path))
    assert not attention_choice._in_cache(HUB2)
    (tmp_path / "models--kernels-community--flash-attn2" / "snapshots" / "abc" / "build").mkdir(parents=True)
    assert attention_choice._in_cache(HUB2)
