"""Mistakes that would be found out after minutes or days: each is one sentence, and nothing is started."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kawhi.commands.cli import main
from kawhi.data.schema import SCHEMA
from kawhi.probes.grounding import CONDITIONS
from kawhi.runs import plan
from kawhi.runs.credit_settings import IMAGES
from kawhi.runs.model_settings import PATCH
from kawhi.runs.validation import validate
from kawhi.tiny.architectures import FAMILIES
from tests.cells import ROOT, cell, options

FULL = "scale=h200x8 model=qwen2_5_vl_7b data=geo3k benchmarks=math"
ONE = FULL.replace("h200x8", "gpu80x1")
JUDGED = "benchmarks=ablation judge=qwen3_vl_30b_a3b"
ROLLOUT, ACTOR = "verl.actor_rollout_ref.rollout", "verl.actor_rollout_ref.actor"
RECEIVER = "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls"
TINY = "pkg://kawhi.tiny/checkpoints/qwen2_5_vl"
STOCK = "verl.workers.rollout.vllm_rollout.utils.vLLMColocateWorkerExtension"

MISTAKES = {
    "verl's keys": {
        "+verl.trainer.no_such_key=1": "verl.trainer.no_such_key: verl's configuration has no trainer.no_such_key",
        "+verl_added.trainer.nnodes=1": "verl's configuration has trainer.nnodes, so it is set as verl.trainer.nnodes",
    },
    "what stands where ours must": {
        "+verl.data.custom_cls.path=mine.py": "custom_cls cannot be chosen: kawhi/verl_plugin/picture_dataset.py",
    },
    "numbers": {
        "steps=0": "steps must be a whole number of at least 1, not 0",
        "study=baseline steps=ten": "steps must be a whole number of at least 1, not 'ten'",
        "seeds.rollout=-1": "seeds.rollout must be a whole number of at least 0, not -1",
        "seeds.data=-1": "seeds.data must be a whole number",
        "evaluation.seed=-1": "evaluation.seed must be a whole number",
        "benchmarks.0.problems=0": "benchmarks.0.problems must be a whole number of at least 1",
        "data.train_problems=2.5": "data.train_problems must be a whole number of at least 1, not 2.5",
        "verl.data.max_prompt_length=0": "verl.data.max_prompt_length must be a whole number of at least 1",
        "verl.data.max_response_length=0": "verl.data.max_response_length must be a whole number of at least 1",
        "verl.trainer.save_freq=-1": "verl.trainer.save_freq must be a whole number of at least 1",
        "scale.limits.train=0": "scale.limits.train must be a number above 0, not 0",
        f"{ACTOR}.optim.lr=-1": f"{ACTOR}.optim.lr must be a number above 0, not -1",
        f"+{ROLLOUT}.temperature=0": f"{ROLLOUT}.temperature must be a number above 0",
        "evaluation.temperature=-1": "evaluation.temperature must be a number at least 0",
        "study=baseline evaluation.batch_size=0": "evaluation.batch_size must be a whole number of at least 1",
        "validity.truncated=2": "validity.truncated must be a number in [0, 1], not 2",
        "verl.trainer.nnodes=two": "verl.trainer.nnodes must be a whole number of at least 1, not 'two'",
    },
    "the CPU world": {
        "scale=h200x8": "model tiny-qwen2.5-vl, data tiny, benchmark kawhi_tiny: drawn for the CPU world",
        f"{FULL} data=tiny": "data tiny: drawn for the CPU world",
    },
    "GPUs": {
        f"{FULL} {ROLLOUT}.tensor_model_parallel_size=3": "does not divide the 8 GPUs of a node",
        f"{FULL} {ROLLOUT}.tensor_model_parallel_size=8": "does not divide the 28 heads of qwen2.5-vl-7b",
        f"{FULL} verl.trainer.nnodes=2": "a cell's own Ray has one node; slurm/ray.sh starts one over several",
        "verl.trainer.n_gpus_per_node=2": "num_gpus=1 is below the 2 that verl asks Ray for",
        f"{FULL} evaluation.server.tensor_parallel=16": "evaluation.server.tensor_parallel=16 is above the 8 GPUs",
        f"{FULL} judge.serve.tensor_parallel=9": "judge.serve.tensor_parallel=9 is above the 8 GPUs",
        f"+{ACTOR}.ulysses_sequence_parallel_size=2": "KAWHI needs whole sequences",
    },
    "memory": {
        f"{ONE} verl.actor_rollout_ref.model.lora_rank=0": "needs 138.5 of each in its rollout (Adam 66.3, weights 33.",
        f"{ONE} scale.gpu_gb=24": "has GPUs of 24 GB, and qwen2.5-vl-7b needs",
        f"{FULL} {ACTOR}.ppo_max_token_len_per_gpu=98304": "in its update (of logits 59.8,",
        f"{FULL} {ROLLOUT}.gpu_memory_utilization=0.05": "leaves vLLM no room for one sequence in its share: raise",
    },
    "lengths": {
        f"{ROLLOUT}.max_model_len=191": "max_model_len=191 is below the 192 tokens of a prompt and a response",
        f"{ROLLOUT}.max_model_len=9000": "tiny-qwen2.5-vl is made for 4096 tokens: lower rollout.max_model_len",
        f"{ACTOR}.ppo_max_token_len_per_gpu=100": "actor.ppo_max_token_len_per_gpu=100 is below the 192 tokens",
        f"+{ROLLOUT}.log_prob_max_token_len_per_gpu=9": "rollout.log_prob_max_token_len_per_gpu=9 is below the 192",
        f"{FULL} +verl.actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=9": "_len_per_gpu=9 is below the 3072",
        "algorithm=dapo scale.overlong_buffer=96": "scale.overlong_buffer=96 must be below the response's 96",
        "evaluation.min_pixels=99999": "evaluation.min_pixels=99999 is above evaluation.max_pixels=28224",
    },
    "batches": {
        f"{ACTOR}.ppo_mini_batch_size=3": "train_batch_size=8 must be a multiple of actor.ppo_mini_batch_size=3",
        f"{FULL} {ROLLOUT}.n=5 {ACTOR}.ppo_mini_batch_size=4": "4 prompts with 5 responses each",
        f"{ROLLOUT}.n=1": "a prompt needs at least 2 responses",
        f"+{ROLLOUT}.log_prob_use_dynamic_bsz=false": "use_dynamic_bsz must be the same",
        f"{ACTOR}.use_dynamic_bsz=false": "use_dynamic_bsz=false needs actor.ppo_micro_batch_size_per_gpu",
        "data.train_problems=7": "data.train_problems has 7 rows; needed are 8 (verl.data.train_batch_size=8)",
        "data.train_file=TMP/three.parquet": "three.parquet has 3 rows; needed are 8",
        "data.validation_file=TMP/none.parquet": "none.parquet has 0 rows; needed are 1",
        "data.train_file=TMP/text.parquet": "text.parquet is no parquet file",
    },
    "files": {
        "verl.reward.custom_reward_function.path=TMP/no.py": "custom_reward_function.path=TMP/no.py does not exist",
        "verl.reward.custom_reward_function.path='pkg://no.such/a.py'": "names a package that is not installed (no)",
        "verl.reward.custom_reward_function.name=no_such": "has no no_such, which its name asks for",
        "verl.reward.custom_reward_function.path=TMP/text.parquet": "is no Python file that can be read",
        "data.train_file=TMP/gone.parquet": "TMP/gone.parquet does not exist; set data.train_file and data.validation_",
        "model.path=TMP/nothing": "the model folder TMP/nothing does not exist; set model.path",
        "model.path=./nothing": "the model folder nothing does not exist; set model.path",
        "model.path='~/nothing'": "the model folder ~/nothing does not exist; set model.path",
        "model.path='pkg://kawhi.tiny/checkpoints/nothing'": "checkpoints/nothing does not exist; set model.path",
        "model.path='pkg://no_such/x'": "pkg://no_such/x names a package that is not installed (no_such)",
        "model.path=TMP/half": "the model folder TMP/half has no config.json; set model.path to a complete checkpoint",
        "model.path=results/runs/folder": "the model folder results/runs/folder does not exist; set model.path",
        "model.path=TMP/empty": "the model folder TMP/empty has no weights (*.safetensors)",
        "+benchmarks.0.data_file=TMP/no.parquet": "the data_file TMP/no.parquet of kawhi_tiny does not exist",
    },
    "the model": {
        "model.family=llava": "model.family=llava is not supported: choose a model of qwen2_5_vl, qwen3_vl",
        "study=baseline model.family=qwen3_vl": "is a model of the family qwen2_5_vl, not model.family=qwen3_vl",
        "verl.data.image_patch_size=16": "verl.data.image_patch_size=16 must be 14, the patch of qwen2_5_vl",
        "model.critical_heads=[1,4]": "tiny-qwen2.5-vl has 4 query heads, 0 to 3",
        f"{FULL} model.critical_heads=[28]": "qwen2.5-vl-7b has 28 query heads, 0 to 27",
        "kawhi.alignment.heads=[-1]": "must be null for all heads, or a list of different numbers from 0",
        "kawhi.alignment.heads=[]": "must be null for all heads, or a list of different numbers from 0",
        "+verl.actor_rollout_ref.model.lora_rank=8": "needs exclude_modules for the vision encoder: choose lora=r64",
        "scale.attention=flash_attention_2": "flash_attention_2 needs a GPU; here there is sdpa: scale.attention=auto",
        "study=baseline evaluation.attention=flash": "scale.attention=flash is not one of auto, flash_attention_2,",
        f"{FULL} scale.attention=flash_attention_4": "needs the package flash-attn-4 4.0.0b1 or newer",
        "ablation=grounding kawhi.alignment.heads=[9]": "tiny-qwen2.5-vl has 4 query heads",
    },
    "credit methods": {
        "kawhi.method=nope": "unknown credit method 'nope'; known: ft_rl, kawhi",
        "+kawhi.optinos.w_min=0.2": "kawhi.optinos is not one of method, options",
        "kawhi.options.temperature=0": "need temperature > 0",
        "kawhi.options.w_min=2": "finite w_min <= w_max",
        "kawhi.options.w_max=high": "kawhi.options.w_max must be a finite number, not 'high'",
        "kawhi.options.smoothing=1.5": "smoothing in [0, 1]",
        "kawhi.options.granularity=word": "choose one of paragraph, sentence, token",
        "kawhi.options.normalize=sum": "unknown normalize 'sum'",
        "+kawhi.options.lambda=0.1": "lambda",
        "kawhi.alignment.statistic=mean": "unknown statistic 'mean'; choose one of mean_cosine, max_cosine, attention_",
        "kawhi.alignment.statistic=max_attention kawhi.alignment.rope=before": "has metric key_query and rope after",
        "kawhi.alignment.layer=null": "kawhi.alignment: layer must be last, a number from 0 or one from -2 downwards",
        "kawhi.alignment.layer=4": "kawhi.alignment.layer=4: tiny-qwen2.5-vl has 4 decoder layers, 0 to 3",
        f"{FULL} kawhi.alignment.layer=-29": "qwen2.5-vl-7b has 28 decoder layers, 0 to 27",
        "kawhi.alignment.metric=cosine": "unknown metric 'cosine'; choose one of key_query, key_key",
        "kawhi.regions.strategy=best": "is not one of sguf, all, random, inverse",
        "kawhi.regions.skip_ratio=1.5": "kawhi.regions.skip_ratio must be a number in [0, 1], not 1.5",
        "kawhi.regions.keep_ratio=0": "kawhi.regions.keep_ratio must be a number in (0, 1], not 0",
        "kawhi.regions.sigma=-1": "kawhi.regions.sigma must be a number at least 0, not -1",
        "kawhi.regions.seed=-1": "kawhi.regions.seed, a whole number of at least 0, not -1",
        "+kawhi.regions.skip=0.7": "kawhi.regions needs energy_scale, keep_ratio,",
        "~kawhi.regions.sigma": "and nothing else: see to sigma",
        "~kawhi.regions": "needs the blocks kawhi.regions and kawhi.alignment",
        f"{ROLLOUT}.agent.default_agent_loop=kawhi_seeded": "selects no regions, which kawhi.method=kawhi needs",
        "+kawhi.also.ft_rl.keep=0.2": "kawhi.also.ft_rl takes all of its options, as in conf/credit/ft_rl.yaml",
        "+kawhi.also.tor={types:none}": "kawhi.also.tor takes all of its options",
        "credit=ft_rl kawhi.options.keep=0": "keep must lie in (0, 1], got 0",
        "credit=ft_rl kawhi.options.scope=all": "unknown scope 'all'",
        "credit=vppo kawhi.options.scale_min=2": "scale_min must lie in [0, 1]",
        "credit=vppo kawhi.signals.perturbed_share=0": "needs kawhi.signals.perturbed_share in (0, 1]",
        "credit=vppo kawhi.signals.seed=-2": "needs kawhi.signals.seed, a whole number of at least 0, not -2",
        "credit=tor kawhi.options.reasoning_share=0": "reasoning_share must lie in (0, 1]",
        "credit=tor kawhi.options.reasoning_weight=nan": "reasoning_weight must be a finite number, not nan",
        "credit=tor kawhi.signals.nucleus_p=2": "needs kawhi.signals.nucleus_p in (0, 1]",
        "credit=step_grpo kawhi.options.step_weight=-1": "weights of rewards cannot be negative",
        "credit=oracle kawhi.options.elsewhere=-1 data=reading": "elsewhere must be a finite number of at least 0",
        "credit=oracle": "data=tiny does not say what has to be read: take data=reading",
        f"{FULL} credit=process": "data=geo3k does not say what has to be read",
        "credit=process data=reading +kawhi.also.uniform={}": "cannot be multiplied with others",
        f"{RECEIVER}={STOCK}": "does not listen where our actor sends",
        f"~{RECEIVER} kawhi.method=off": "does not listen where our actor sends",
        "+verl.algorithm.rollout_correction.bypass_mode=true": "bypass_mode=True must be False",
        "+verl.trainer.use_v1=false": "verl.trainer.use_v1=False must be True",
    },
    "studies, benchmarks, judges, loggers": {
        "study.name=grounded": "study.name=grounded is not one of training, timing, baseline, grounding",
        "ablation=grounding study.image=black": "study.image=black is not one of true_image, blank",
        "ablation=grounding credit=uniform": "credit=uniform has no alignment to control",
        "ablation=grounding study.problems=1": "study.problems must be a whole number of at least 2",
        "benchmarks.0.task=kawhi_nothing": "there is no task kawhi_nothing in kawhi/evaluation/benchmarks",
        "+benchmarks.0.split=test": "benchmark kawhi_tiny: unknown option split",
        "benchmarks=reading benchmarks.0.world=reading_hard": "there is no drawn world reading_hard; choose one",
        "data=reading data.difficulty=hard": "there is no drawn world reading_hard; choose one of tiny, reading_plain,",
        "evaluation.backend=vlm": "evaluation.backend=vlm is not one of hugging_face, vllm",
        "benchmarks=ablation": "a judge decides kawhi_mathverse, kawhi_mathvision and the cell has none: set judge=",
        "benchmarks=math judge=endpoint": "judge.base_url is not set",
        f"{JUDGED} judge.api_key_env=NO_KEY": "set the environment variable NO_KEY",
        f"{JUDGED} judge.attempts=abc": "judge.attempts='abc' must be a number of at least 1",
        f"{JUDGED} judge.concurrency=0": "judge.concurrency=0 must be a number of at least 1",
        f"{JUDGED} judge.timeout=0": "judge.timeout=0 must be a number of at least 0.001",
        f"{JUDGED} judge.temperature=abc": "judge.temperature='abc' must be a number of at least 0",
        f"{JUDGED} judge.seed=0.5": "judge.seed=0.5 must be a number of at least 0",
        "verl.trainer.logger=[console]": "must contain file, which the health checks read",
    },
    "tables": {
        "experiment=no_such_table": "Could not find 'experiment/no_such_table'",
        "no_such_key=1": "no_such_key",
        "experiment=main_table,tor_main": "are several tables: ask for one at a time",
    },
}
"""By kind: the words of a command -> what its sentence says."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the mistakes name, and what a launch would write to."""
    folder = tmp_path_factory.mktemp("files")
    for name, rows in (("none", []), ("three", [{"data_source": "own"}] * 3)):
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / f"{name}.parquet")
    (folder / "text.parquet").write_text("not a table")
    (folder / "empty").mkdir()
    (folder / "half").mkdir()
    (folder / "half" / "model.safetensors").touch()
    return folder


def words(command: str, files) -> list[str]:
    paths = [f"paths.{name}={files / name}" for name in ("runs", "records", "data")]
    return [*command.replace("TMP", str(files)).split(" "), *paths]


@pytest.mark.parametrize(
    ("kind", "command", "sentence"),
    [(kind, command, sentence) for kind, told in MISTAKES.items() for command, sentence in told.items()],
    ids=[command for told in MISTAKES.values() for command in told],
)
def test_a_mistake_is_one_sentence_of_a_plan(files, monkeypatch, capsys, kind, command, sentence):
    if kind != "tables":  # Hydra takes half a second for a cell, and these are about what it has composed
        monkeypatch.setattr(plan, "compose_cells", lambda conf, given: ([cell(files, *given)], [given]))
    assert main(["plan", *words(command, files)]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert sentence.replace("TMP", str(files)) in found.err
    assert found.err.count("\n") == 1
    assert len(list(files.iterdir())) == 5, "a plan writes nothing"


def run(command: str, files, folder) -> subprocess.CompletedProcess:
    program = [sys.executable, str(ROOT / "experiments" / "run.py")]
    return subprocess.run([*program, *words(command, files)], capture_output=True, text=True, cwd=folder, timeout=600)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (f"-m seeds.data=1,2 {ACTOR}.ppo_mini_batch_size=8,3", "must be a multiple of actor.ppo_mini_batch_size=3"),
        (f"-m seeds.data=1,2 model.path='{TINY}',TMP/empty", "the model folder TMP/empty has no weights"),
        (f"{RECEIVER}={STOCK}", "does not listen where our actor sends its weights"),
    ],
    ids=["the last cell of a sweep", "the last model of a sweep", "a single cell"],
)
def test_nothing_is_started(files, tmp_path, command, sentence):
    done = run(command, files, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert sentence.replace("TMP", str(files)) in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(list(files.iterdir())) == 5


@pytest.mark.parametrize("credit", options("credit"))
def test_shipped_methods_are_fine(tmp_path, credit):
    validate(cell(tmp_path, f"credit={credit}", "data=reading"))  # which the controls need


@pytest.mark.parametrize(
    "fine",
    [
        "scale.overlong_buffer=96",  # which GRPO does not read
        "kawhi.alignment.heads=[3,0]",
        "kawhi.method=off ~kawhi.regions",
        f"kawhi.method=off +{ACTOR}.ulysses_sequence_parallel_size=2",
        "study=baseline data.train_problems=1",
        JUDGED,
        f"{ROLLOUT}.max_model_len=null",
        f"{ACTOR}.ppo_mini_batch_size=2 verl.trainer.n_gpus_per_node=2 verl_added.ray_kwargs.ray_init.num_gpus=2",
        f"{FULL} verl.trainer.nnodes=2 verl_added.ray_kwargs.ray_init.address=auto",
        "verl.reward.custom_reward_function.path=null",
    ],
)
def test_what_is_no_mistake_is_accepted(tmp_path, fine):
    validate(cell(tmp_path, *fine.split(" ")))


def test_what_is_written_twice_is_the_same():
    """In rooms that ours may not import, or that import a model's libraries."""
    assert {name: family.patch_size for name, family in FAMILIES.items()} == PATCH
    assert IMAGES == CONDITIONS
