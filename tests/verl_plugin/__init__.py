"""Tests of the plug-in, all of which need verl."""

import pytest

pytest.importorskip("verl", reason="the training extra is not installed")
