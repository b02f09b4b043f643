"""What runs: our task runner with KAWHI on, verl's own, untouched, with KAWHI off."""

import pytest
from omegaconf import OmegaConf
from verl.trainer import main_ppo
from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from kawhi.verl_plugin.main import KawhiTaskRunner, task_runner


@pytest.mark.parametrize(
    ("method", "runner"), [("off", main_ppo.TaskRunnerV1), ("uniform", KawhiTaskRunner), ("kawhi", KawhiTaskRunner)]
)
def test_off_is_stock_verl_and_on_is_ours(method, runner):
    assert task_runner(OmegaConf.create({"kawhi": {"method": method}})) is runner
    assert TRAINER_REGISTRY["sync"] is PPOTrainerSync, "importing the plug-in must not change verl"


def test_the_engine_is_chosen_by_vendor_alone(monkeypatch):
    from verl.workers.engine.base import EngineRegistry
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    from kawhi.verl_plugin.engine import KawhiEngine

    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")
    monkeypatch.setenv("VERL_ENGINE_VENDOR", "kawhi")
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is KawhiEngine
    monkeypatch.setenv("VERL_ENGINE_VENDOR", "nvidia")
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is FSDPEngineWithLMHead
