"""verl reads its platform when it is imported, so the CPU platform is named before any test module imports it."""

import os

os.environ.setdefault("VERL_PLATFORM", "cpu")
os.environ.setdefault("VERL_USE_EXTERNAL_MODULES", "kawhi.verl_plugin.cpu.platform")
