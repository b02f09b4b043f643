"""Two trainings are one when their numbers must be equal, and only then; so are two evaluations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from omegaconf import DictConfig

from kawhi.base.errors import DataMissing
from kawhi.records.hashing import config_hash
from kawhi.runs import identity as identity_module
from kawhi.runs.identity import cell_hash, cell_name, evaluation_identity, identity
from tests.cells import cell, options

SAME = {
    "paths": [],  # the two cells below write to different folders
    "table": ["table=elsewhere"],
    "ablation": ["ablation=region_selection"],
    "limits": ["scale.limits.train=7", "scale.limits.record=7", "scale.limits.weight_sync=7"],
    "needs": ["scale.needs.disk_gib=3"],
    "parallel": ["scale.parallel_cells=9"],
    "threads": ["scale.omp_threads=2"],
    "logger": ["verl.trainer.logger=[console,file]"],
    "tensorboard": ["logger=tensorboard"],
    "wandb": ["logger=wandb", "logger.project=other"],
    "launcher": ["hydra/launcher=basic"],
    "what the paper computes": ["kawhi.alignment.statistic=mean_cosine", "kawhi.alignment.layer=last"],
    "options that a record may lack": ["~kawhi.alignment.statistic", "~kawhi.alignment.layer"],
    "label": ["credit.label='KAWHI, ours'"],
    "health": ["health.kl=0.5"],
    "environment_variables": ["environment_variables.VLLM_LOGGING_LEVEL=INFO"],
    "model server": ["evaluation.server.timeout=7"],
    "validity": ["validity.truncated=0.5"],
    "gate": ["gate.stop=false"],
    "judge of nothing": ["judge=endpoint", "judge.model=other"],
}

DIFFERENT = {
    "data seed": ["seeds.data=2"],
    "rollout seed": ["seeds.rollout=2"],
    "region seed": ["seeds.regions=2"],
    "steps": ["steps=77"],
    "method": ["credit=uniform"],
    "strategy": ["kawhi.regions.strategy=random"],
    "option": ["kawhi.options.temperature=0.2"],
    "statistic of alpha": ["kawhi.alignment.statistic=max_cosine"],
    "layer of alpha": ["kawhi.alignment.layer=2"],
    "region option": ["kawhi.regions.sigma=2.0"],
    "learning rate": ["verl.actor_rollout_ref.actor.optim.lr=1.0e-4"],
    "adapters": ["lora=r64"],
    "attention": ["scale.attention=eager"],
    "new key": ["+verl_added.trainer.something=1"],
    "model": ["model=tiny_qwen3_vl"],
    "problems": ["data.train_problems=77"],
    "world": ["data=reading", "benchmarks=reading"],
    "difficulty": ["data=reading", "benchmarks=reading", "data.difficulty=long"],
}

OF_EVALUATION = {
    "decoding": ["evaluation.temperature=0.5"],
    "seed of the sampling": ["evaluation.seed=3"],
    "backend": ["evaluation.backend=vllm"],
    "server's options": ["evaluation.server.options=[--quantization,fp8]"],
    "problems": ["benchmarks.0.problems=3"],
    "seed of the problems": ["benchmarks.0.seed=3"],
    "benchmark": ["benchmarks.0.task=kawhi_mathvista"],
    "world": ["benchmarks=reading"],
    "difficulty": ["benchmarks=reading", "benchmarks.0.world=reading_long"],
}


def hashes(asked: DictConfig) -> tuple[str, ...]:
    """Of the training, and of its evaluations."""
    own = cell_hash(asked)
    return own, *(config_hash(evaluation_identity(asked, each, own)) for each in asked.benchmarks)


@pytest.mark.parametrize("overrides", SAME.values(), ids=SAME)
def test_what_changes_no_number_changes_no_hash(tmp_path, overrides):
    assert hashes(cell(tmp_path, *overrides)) == hashes(cell(tmp_path / "other"))


def test_how_a_model_is_evaluated_changes_its_evaluation_and_not_its_training(tmp_path):
    found = [hashes(cell(tmp_path, *overrides)) for overrides in ([], *OF_EVALUATION.values())]
    assert len({training for training, _ in found}) == 1
    assert len({evaluation for _, evaluation in found}) == len(found)


JUDGED = ("benchmarks.0.task=kawhi_mathvision", "judge=endpoint", "judge.model=one", "judge.base_url=http://here/v1")


def test_who_judges_and_what_is_asked_changes_an_evaluation_where_a_judge_is_does_not(tmp_path, monkeypatch):
    before = hashes(cell(tmp_path, *JUDGED))
    for same in ("base_url=http://there/v1", "concurrency=1", "attempts=9"):
        assert hashes(cell(tmp_path, *JUDGED, f"judge.{same}")) == before, same
    for other in ("model=two", "name=two", "temperature=1", "retry_temperature=1", "seed=1"):
        training, evaluation = hashes(cell(tmp_path, *JUDGED, f"judge.{other}"))
        assert (training == before[0], evaluation == before[1]) == (True, False), other
    read = identity_module.prompts_of
    monkeypatch.setattr(identity_module, "prompts_of", lambda task: replace(read(task), version="other"))
    training, evaluation = hashes(cell(tmp_path, *JUDGED))
    assert (training == before[0], evaluation == before[1]) == (True, False)


def test_a_judge_changes_what_it_judges_alone(tmp_path):
    asked, other = cell(tmp_path, *JUDGED[1:]), cell(tmp_path, *JUDGED[1:], "judge.seed=1")
    for each in (asked, other):
        each.benchmarks.append({"task": "kawhi_mathvision", "title": "MathVision"})
    (_, tiny, judged), (_, same, judged_otherwise) = hashes(asked), hashes(other)
    assert tiny == same
    assert judged != judged_otherwise


@pytest.mark.parametrize("key", ["+benchmarks.0.data_file", "data.train_file"])
def test_a_file_counts_by_content_not_by_place(tmp_path, key):
    for name, content in (("a", b"rows"), ("b", b"rows"), ("c", b"other rows")):
        (tmp_path / name).write_bytes(content)
    one, same, other = (hashes(cell(tmp_path, f"{key}={tmp_path / name}")) for name in "abc")
    found = [one, other, hashes(cell(tmp_path))]
    assert one == same
    assert len({evaluation for _, evaluation in found}) == 3
    assert len({training for training, _ in found}) == (1 if "benchmarks" in key else 3)


def test_an_untrained_model_is_one_however_it_would_be_trained(tmp_path):
    """Its critical heads, which only training and its study use, are no part of it."""
    first = hashes(cell(tmp_path, "study=baseline"))
    for same in ("steps=77", "credit=uniform", "data.train_problems=77", "seeds.data=2", "model.critical_heads=[0]"):
        assert hashes(cell(tmp_path, "study=baseline", same)) == first, same
    assert first != hashes(cell(tmp_path, "study=baseline", "model=tiny_qwen3_vl"))
    training, evaluation = hashes(cell(tmp_path, "study=baseline", "evaluation.temperature=0.5"))
    assert training == first[0]
    assert evaluation != first[1]
    assert first[1] != hashes(cell(tmp_path))[1], "the trained model is another one"


def test_a_study_without_training_depends_on_its_own_numbers_alone(tmp_path):
    first = cell(tmp_path, "ablation=grounding")
    assert cell_hash(first) != cell_hash(cell(tmp_path))
    for same in ("steps=77", "benchmarks.0.problems=7", "algorithm.name=other", "evaluation.temperature=0.5"):
        assert cell_hash(cell(tmp_path, "ablation=grounding", same)) == cell_hash(first), same
    for other in ("study.image=blank", "study.seed=1", "kawhi.alignment.metric=key_key", "model=tiny_qwen3_vl"):
        assert cell_hash(cell(tmp_path, "ablation=grounding", other)) != cell_hash(first), other
    assert cell_name(first) == "tiny-qwen2.5-vl_grounding-true_image_kawhi_tiny_s0"


@pytest.mark.parametrize("credit", options("credit"))
def test_a_name_has_the_credit_method_and_what_a_row_calls_its_options(tmp_path, credit):
    def name(*words: str) -> str:
        return cell_name(cell(tmp_path, f"credit={credit}", *words))

    assert name() == f"tiny-qwen2.5-vl_grpo_{credit}_tiny_s1-0"
    assert name("credit.label='Skip ratio 0.1'") == f"tiny-qwen2.5-vl_grpo_{credit}-skip-ratio-0.1_tiny_s1-0"
    assert name("credit.label='Key–Key/../x'") == f"tiny-qwen2.5-vl_grpo_{credit}-key-key-..-x_tiny_s1-0"


def test_what_changes_numbers_changes_the_hash(tmp_path):
    found = {name: hashes(cell(tmp_path, *overrides)) for name, overrides in {"": [], **DIFFERENT}.items()}
    different = {each for its in found.values() for each in its}
    assert len(different) == 2 * len(found), found
    assert all(len(each) == 12 and int(each, 16) >= 0 for each in different)


def test_the_title_of_a_benchmark_does_not_count(tmp_path):
    title = cell(tmp_path)
    title.benchmarks[0].title = "Another title"
    assert hashes(title) == hashes(cell(tmp_path))


def test_asking_for_the_identity_leaves_the_cell_as_it_was(tmp_path):
    asked, untouched = cell(tmp_path), cell(tmp_path)
    identity(asked)
    assert asked == untouched
    assert asked.credit.label == "GRPO + KAWHI"


def test_another_generator_of_problems_is_another_cell(tmp_path, monkeypatch):
    first = hashes(cell(tmp_path))
    monkeypatch.setattr(identity_module, "generator_fingerprint", lambda world: "changed")
    assert not {*hashes(cell(tmp_path))} & {*first}


def test_a_name_tells_the_cell_apart_for_a_reader(tmp_path):
    assert cell_name(cell(tmp_path, "seeds.data=4")) == "tiny-qwen2.5-vl_grpo_kawhi_tiny_s4-0"
    assert cell_name(cell(tmp_path, "lora=r64")) == "tiny-qwen2.5-vl_grpo_kawhi_tiny_s1-0_lora64"


def test_weights_and_config_are_part_of_the_identity(tmp_path, checkpoint):
    def found():
        return cell_hash(cell(tmp_path, f"model.path={checkpoint}"))

    first = found()
    assert found() == first
    (checkpoint / "model.safetensors").write_bytes(b"trained")
    second = found()
    (checkpoint / "config.json").write_text('{"rope_theta": 1}')
    assert len({first, second, found()}) == 3


def test_a_reward_of_one_s_own_counts_by_what_is_in_it(tmp_path):
    def hash_of(file, text, name="score"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return cell_hash(cell(tmp_path, "data=custom", f"data.reward={file}:{name}", *data))

    for split in ("train", "validation"):
        (tmp_path / f"{split}.parquet").write_bytes(split.encode())
    data = [f"data.{split}_file={tmp_path / split}.parquet" for split in ("train", "validation")]
    first = hash_of(tmp_path / "a" / "mine.py", "def score(): ...")
    assert hash_of(tmp_path / "b" / "other.py", "def score(): ...") == first
    assert hash_of(tmp_path / "a" / "mine.py", "def score(): return 1") != first
    assert hash_of(tmp_path / "a" / "mine.py", "def score(): ...", "another") != first
    assert cell_hash(cell(tmp_path, "data=custom", *data)) != first


def test_data_of_one_s_own_is_known_by_its_content_and_its_name_is_a_name(tmp_path):
    asked = cell(tmp_path, "data=custom", "data.name=charts")
    assert asked.data.train_file == str(tmp_path / "data" / "charts" / "train.parquet")
    with pytest.raises(DataMissing, match=r"run `kawhi prepare charts --from FILE_OR_FOLDER` first"):
        cell_hash(asked)
    assert len(cell_hash(asked, planned=True)) == 12
