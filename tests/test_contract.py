"""Each name of docs/bends.md exists in the installed version and has the form that the code relies on."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
import types
from importlib import import_module

import pytest

pytest.importorskip("verl", reason="the training extra is not installed")
pytest.importorskip("lmms_eval", reason="the evaluation extra is not installed")

from verl.trainer import main_ppo
from verl.trainer.ppo.v1 import trainer_base

from tests.bends import rows
from tests.test_bends import private

QWEN2_5 = "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl"
QWEN3 = "transformers.models.qwen3_vl.modeling_qwen3_vl"
ENGINE = "verl.workers.engine.fsdp.transformer_impl.FSDPEngineWithLMHead"
TRAINER = "verl.trainer.ppo.v1.trainer_sync.PPOTrainerSync"
BUFFER = "verl.trainer.ppo.v1.replay_buffer.ReplayBuffer"
SYNC = "verl.workers.rollout.vllm_rollout"
BROADCAST = "vllm.distributed.device_communicators.shm_broadcast"

PARAMETERS = {
    "verl.trainer.main_ppo.run_ppo": "config task_runner_class",
    f"{TRAINER}.__init__": "self config",
    f"{TRAINER}.step": "self metrics timing_raw",
    f"{TRAINER}._next_train_batch": "self num_prompts",
    f"{TRAINER}._compute_old_log_prob": "self batch metrics",
    f"{TRAINER}._compute_advantage": "self batch metrics",
    f"{TRAINER}._update_actor": "self batch metrics",
    f"{TRAINER}._save_checkpoint": "self",
    f"{ENGINE}.initialize": "self",
    f"{ENGINE}.prepare_model_inputs": "self micro_batch",
    f"{ENGINE}.prepare_model_outputs": "self output output_args micro_batch logits_processor_func",
    f"{ENGINE}.forward_step": "self micro_batch loss_function forward_only",
    "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop.run": "self sampling_params priority",
    "verl.utils.dataset.rl_dataset.RLHFDataset._build_messages": "self example key",
    "verl.experimental.agent_loop.agent_loop.AgentLoopWorker._compute_multi_modal_inputs": "self output input_ids",
    "verl.experimental.agent_loop.agent_loop.AgentLoopWorker._run_agent_loop": (
        "self sampling_params trajectory agent_name"
    ),
    "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopManagerTQ.__init__": "self args",
    f"{BUFFER}.sample": "self global_steps partition_id batch_size",
    f"{BUFFER}._sync_metadata_from_transfer_queue": "self",
    f"{BUFFER}._clear_groups": "self partition_id uids",
    f"{BUFFER}._dapo_filtered_keys": "self partition_id",
    f"{BUFFER}._materialize_batch": "self partition_id selected_prompt_uids partition_snapshot",
    "verl.trainer.ppo.core_algos.compute_grpo_outcome_advantage": "token_level_rewards response_mask index",
    "verl.utils.tensordict_utils.maybe_fix_3d_position_ids": "data",
    "verl.workers.engine.base.maybe_fix_3d_position_ids": "data",
    "verl.workers.engine_workers.maybe_fix_3d_position_ids": "data",
    "verl.models.transformers.qwen2_vl._get_input_embeds": (
        "model input_ids attention_mask pixel_values pixel_values_videos image_grid_thw video_grid_thw"
    ),
    "verl.models.transformers.qwen2_vl.unpack_visual_output": "visual_output",
    "verl.models.transformers.qwen2_vl.qwen2_vl_attn_forward": (
        "self hidden_states attention_mask position_ids position_embeddings"
    ),
    f"{SYNC}.vllm_rollout.ServerAdapter.__init__": "self config model_config device_mesh replica_rank",
    f"{SYNC}.vllm_rollout.ServerAdapter.update_weights": "self weights",
    f"{SYNC}.bucketed_weight_transfer.BucketedWeightSender._init_socket": "self",
    f"{SYNC}.utils.vLLMColocateWorkerExtension._get_zmq_handle": "self",
    "verl.model_merger.fsdp_model_merger.FSDPModelMerger.save_lora_adapter": "self state_dict",
    "verl.utils.device.get_torch_device": "",
    "verl.utils.distributed.initialize_global_process_group_ray": "timeout_second backend",
    "verl.utils.model.extract_multi_modal_inputs": "batch_data",
    "vllm.utils.system_utils._maybe_force_spawn": "",
    f"{BROADCAST}.sched_yield": "",
    f"{BROADCAST}.SpinCondition.__init__": "self is_reader context notify_address busy_loop_s",
    "vllm.model_executor.layers.utils.dispatch_cpu_unquantized_gemm": "layer remove_weight",
    "ray._raylet.Config.initialize": "config_list",
    "torch.distributed.fsdp.CPUOffloadPolicy.__init__": "self pin_memory",
    f"{QWEN2_5}.Qwen2_5_VisionTransformerPretrainedModel.forward": "self hidden_states grid_thw",
    f"{QWEN3}.Qwen3VLVisionModel.forward": "self hidden_states grid_thw",
    f"{QWEN2_5}.Qwen2_5_VLAttention.forward": "self hidden_states attention_mask position_ids past_key_values",
    f"{QWEN2_5}.Qwen2_5_VLVisionAttention.forward": (
        "self hidden_states cu_seqlens rotary_pos_emb position_embeddings"
    ),
    f"{QWEN3}.Qwen3VLVisionAttention.forward": "self hidden_states cu_seqlens rotary_pos_emb position_embeddings",
    f"{QWEN2_5}.apply_multimodal_rotary_pos_emb": "q k cos sin mrope_section",
    f"{QWEN3}.apply_rotary_pos_emb": "q k cos sin",
    f"{QWEN2_5}.apply_rotary_pos_emb_vision": "q k cos sin",
    "transformers.vision_utils.get_vision_window_index": "grid_thw spatial_merge_size window_size patch_size",
    "transformers.models.qwen2_vl.image_processing_qwen2_vl.smart_resize": (
        "height width factor min_pixels max_pixels"
    ),
    "transformers.Qwen2VLImageProcessor.preprocess": "self images",
    "transformers.Qwen2_5_VLForConditionalGeneration.forward": (
        "self input_ids attention_mask position_ids past_key_values"
    ),
    "transformers.Qwen3VLForConditionalGeneration.forward": (
        "self input_ids attention_mask position_ids past_key_values"
    ),
    "transformers.GenerationMixin.generate": "self inputs",
    "transformers.cache_utils.DynamicCache.batch_select_indices": "self indices",
    "lmms_eval.models.chat.qwen2_5_vl.Qwen2_5_VL.clean": "self",
    "lmms_eval.models.chat.qwen2_5_vl.Qwen2_5_VL.generate_until": "self requests",
    "lmms_eval.models.chat.qwen3_vl.Qwen3_VL.generate_until": "self requests",
    "matplotlib.axes._base._process_plot_var_args._make_line": "self axes x y kw kwargs",
    "matplotlib.axes.Axes.plot": "self args",
    "matplotlib.projections.polar.PolarAxes.plot": "self args",
    "matplotlib.image.NonUniformImage.__init__": "self ax",
    "matplotlib.patches.Ellipse.__init__": "self xy width height",
    "matplotlib.backends.backend_pdf.RendererPdf.draw_text": "self gc x y s prop angle",
    "matplotlib.figure.Figure.savefig": "self fname",
    "matplotlib.figure.Figure.show": "self warn",
    "matplotlib.pyplot.show": "args",
    "matplotlib_venn._common.VennDiagram.__init__": "self patches subset_labels set_labels centers radii",
    "squarify.plot": "sizes",
    "networkx.draw_networkx_nodes": "G pos",
    "networkx.drawing.nx_pylab.draw_networkx_nodes": "G pos",
    "numpy.random.default_rng": "seed",
    "threading._shutdown": "",
    "importlib.machinery.SourceFileLoader.exec_module": "self module",
}
"""Name -> its first parameters; whatever follows them may be left out."""

KINDS = {
    "verl.trainer.ppo.v1.trainer_base.TRAINER_REGISTRY": dict,
    "verl.plugin.platform.PlatformBase": type,
    "verl.workers.engine.base.EngineRegistry": type,
    "vllm.sampling_params.RequestOutputKind.FINAL_ONLY": object,
    "vllm.model_executor.models.registry._SUBPROCESS_COMMAND": list,
    "importlib.metadata.DistributionFinder": type,
    "ray.actor.ActorClassID": type,
    "ray.dashboard.consts": types.ModuleType,
    "torchvision._meta_registrations": types.ModuleType,
    "verl.trainer.main_ppo.TaskRunnerV1": object,
    "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopWorkerTQ": object,
    "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": bool,
    "submitit.core.utils.FailedJobError": type,
    "submitit.core.job_environment.JobEnvironment.paths": property,
    "transformers.PreTrainedConfig._attn_implementation": property,
    "builtins.exit": object,
    "builtins.quit": object,
    "os._Environ": type,
    "os.environ.__class__": type,
    "atexit._run_exitfuncs": types.BuiltinFunctionType,
}
"""Name -> what it is, where it is no function with parameters."""

IN_SOURCE = {
    f"{TRAINER}.total_training_steps": r"self\.global_steps >= self\.total_training_steps",
    "verl.trainer.main_ppo.TaskRunnerV1.__ray_metadata__": "",
    "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__": "",
    "lmms_eval.models.chat.qwen2_5_vl.Qwen2_5_VL._model": r"self\._model = .*\.from_pretrained\(",
    "lmms_eval.models.chat.qwen3_vl.Qwen3_VL._model": r"self\._model = .*\.from_pretrained\(",
    "lmms_eval.models.chat.qwen3_vl.Qwen3_VL.processor.apply_chat_template": r"self\.processor\.apply_chat_template\(",
}
"""Name of what only an instance has -> what its class and the bases of that say of it."""


def test_the_page_and_this_table_name_the_same():
    assert {name for row in rows() for name in row.names} == {*PARAMETERS, *KINDS, *IN_SOURCE} - {
        "verl.trainer.main_ppo.run_ppo",  # public, but ours passes it a class of its own
        f"{TRAINER}.__init__",
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_function_takes_what_we_pass(name):
    parameters = list(inspect.signature(pkgutil.resolve_name(name)).parameters.values())
    asked = PARAMETERS[name].split()
    assert [each.name for each in parameters[: len(asked)]] == asked
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert all(each.default is not each.empty or each.kind in optional for each in parameters[len(asked) :])


@pytest.mark.parametrize("name", KINDS)
def test_anything_else_is_what_we_take_it_for(name):
    assert isinstance(pkgutil.resolve_name(name), KINDS[name])


@pytest.mark.parametrize("name", [name for name, pattern in IN_SOURCE.items() if pattern])
def test_an_instance_has_what_its_class_says(name):
    kind, _, _ = re.match(r"(.*?\.[A-Z]\w+)(?=\.)", name)[0].partition(" ")
    sources = [inspect.getsource(sys.modules[base.__module__]) for base in pkgutil.resolve_name(kind).__mro__[:-1]]
    assert re.search(IN_SOURCE[name], "\n".join(sources))


@pytest.mark.parametrize("name", [*PARAMETERS, *KINDS])
def test_a_module_has_the_name_of_its_own(name):
    """A correction that sets a name which is gone would make it, and correct nothing."""
    module, _, last = name.rpartition(".")
    if not isinstance(pkgutil.resolve_name(module), types.ModuleType) or name in sys.modules:
        return
    try:
        source = inspect.getsource(import_module(module))
    except TypeError:  # written in C
        return
    assert re.search(rf"\b{last}\b|import \*", source)


def ours() -> list[type]:
    from hydra_plugins.kawhi_sweeper.table_sweeper import TableSweeper
    from kawhi.verl_plugin import (
        agent_loop,
        engine,
        lost_responses,
        main,
        picture_dataset,
        replay_buffer,
        trainer,
        weight_sync,
    )
    from kawhi.verl_plugin.cpu import platform, vllm_worker

    plugin = [agent_loop.SeededAgentLoop, agent_loop.KawhiAgentLoop, engine.KawhiEngine, trainer.KawhiTrainer]
    plugin += [picture_dataset.PictureDataset]
    plugin += [replay_buffer.OrderedReplayBuffer, weight_sync.WorkerExtension, vllm_worker.CpuWorkerExtension]
    plugin += [platform.CpuPlatform, main.KawhiTaskRunner.__ray_metadata__.modified_class]
    return [*plugin, lost_responses.NotingWorker, lost_responses.NotingManager, TableSweeper]


@pytest.mark.parametrize("kind", ours(), ids=lambda kind: kind.__name__)
def test_what_we_add_to_a_class_hides_nothing_of_the_library_s(kind):
    listed = {name.rpartition(".")[2] for row in rows() for name in row.names}
    foreign = [base for base in kind.__mro__[1:] if not base.__module__.startswith("kawhi.")]
    hidden = {name for name in vars(kind) if private(name) and any(name in vars(base) for base in foreign)}
    assert hidden - listed <= {"_abc_impl", "__annotations__", "__parameters__"}


def test_a_trainer_s_name_is_taken_once():
    class Other(trainer_base.PPOTrainer):
        pass

    with pytest.raises(ValueError, match="already registered"):
        trainer_base.register_trainer("sync")(Other)


def test_a_remote_class_cannot_be_subclassed():
    assert isinstance(main_ppo.TaskRunnerV1.__ray_metadata__.modified_class, type)
    with pytest.raises(TypeError, match="Inheriting from actor classes is not currently supported"):

        class Other(main_ppo.TaskRunnerV1):
            pass


def test_ray_knows_the_variables_that_the_fork_server_sets():
    from ray._private.ray_constants import RAY_INTERNAL_FLAGS
    from ray.dashboard import consts

    from kawhi import fork_server

    assert fork_server._IN_SERVER.keys() & set(RAY_INTERNAL_FLAGS) == {"RAY_JOB_ID", "RAY_RAYLET_PID"}
    assert all(variable in inspect.getsource(consts) for variable in fork_server._RAY)


def test_lmms_eval_lets_half_a_picture_pass():
    assert "ImageFile.LOAD_TRUNCATED_IMAGES = True" in inspect.getsource(import_module("lmms_eval.api.task"))
