"""The four mathematics tasks inside lmms-eval, on local files in the data sets' schemas."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from kawhi.evaluation import TASKS
from kawhi.evaluation.benchmark import load
from tests.evaluation.examples import examples
from tests.evaluation.local_tasks import lmms_task

NAMES = ("mathvista", "mathverse", "mathvision", "wemath")
ORIGINALS = {
    "mathvista": "mathvista/mathvista_testmini_cot.yaml",
    "mathverse": "mathverse/mathverse_testmini.yaml",
    "mathvision": "mathvision/mathvision_reason_testmini.yaml",
    "wemath": "wemath/reasoning/wemath_testmini_thinking.yaml",
}


def _plain_yaml(path):
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    return yaml.load(path.read_text(), Loader)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_task_runs_in_lmms_eval_on_a_local_file(name, tmp_path):
    task, cases = f"kawhi_{name}", examples(f"kawhi_{name}")
    features = import_module(f"tests.evaluation.examples.{name}").FEATURES
    loaded = lmms_task(task, [case.doc for case in cases], features, tmp_path)
    assert loaded.config.generation_kwargs["until"] == []
    assert len(loaded.test_docs()) == len(cases)
    for doc, case in zip(loaded.test_docs(), cases, strict=True):
        assert load(task).facts(doc) == load(task).facts(case.doc)  # the rows come back in their schema
        assert loaded.doc_to_text(doc) == load(task).prompt(case.doc, {})
        assert [image.size for image in loaded.doc_to_visual(doc)] == [(48, 40)]
        assert all(image.mode == "RGB" for image in loaded.doc_to_visual(doc))
        assert loaded.process_results(doc, [case.response]) == {"rule": case.rule}


@pytest.mark.slow
def test_options_reach_the_prompt(tmp_path):
    module = import_module("tests.evaluation.examples.mathvista")
    loaded = lmms_task("kawhi_mathvista", [module.CHOICE], module.FEATURES, tmp_path, options={"prompt": "format"})
    assert loaded.doc_to_text(loaded.test_docs()[0]).endswith("from the given choices directly.")


@pytest.mark.parametrize("name", NAMES)
def test_data_and_split_are_the_original_s(name):
    import lmms_eval.tasks

    ours = _plain_yaml(TASKS / f"kawhi_{name}" / f"kawhi_{name}.yaml")
    original = _plain_yaml(Path(lmms_eval.tasks.__file__).parent / ORIGINALS[name])
    for key in ("dataset_path", "dataset_name", "test_split"):
        assert ours.get(key) == original.get(key)
