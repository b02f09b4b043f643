"""``kawhi bench credit`` and ``kawhi probe credit`` from their words to their files, on studies of one step."""

from __future__ import annotations

import json
import re

import pytest

from kawhi.commands.cli import main
from tests.cells import ROOT
from tests.lab.made import SHIPPED

PAGE = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
STUDY = f"""
algorithm: grpo
models: {{qwen2_5_vl: [model={SHIPPED["qwen2_5_vl"]}], qwen3_vl: [model={SHIPPED["qwen3_vl"]}]}}
shared: [data=reading, steps=2, verl.data.train_batch_size=4, verl.actor_rollout_ref.actor.ppo_mini_batch_size=4]
every: 1
evaluation: {{problems: 6, seed: 11, responses: 1}}
pairs: [[kawhi, uniform]]
rows:
  - {{label: uniform, credit: uniform}}
  - {{label: oracle, credit: oracle}}
  - {{label: anti-oracle, credit: anti_oracle}}
  - {{label: kawhi, credit: kawhi}}
"""


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file


def bench(study, out, *words: str) -> list[dict]:
    assert main(["bench", "credit", "--study", str(study), "--out", str(out), "--no-probe", *words]) == 0
    return json.loads((out / "table.json").read_text())


def numbers(out) -> dict:
    """What every run measured and did, without when and how fast."""
    kept = ("label", "seed", "measured", "steps", "kawhi")
    found = {file: json.loads(file.read_text()) for file in out.rglob("seed-*.json")}
    return {str(file.relative_to(out)): {key: said[key] for key in kept} for file, said in found.items()}


@pytest.mark.slow
def test_the_same_words_give_the_same_numbers_and_finished_runs_stay(study, tmp_path, capsys):
    rows = bench(study, tmp_path / "a", "--seeds", "2", "--jobs", "1")
    told = capsys.readouterr().out
    assert "this bench could" in told
    assert "declared: kawhi minus uniform" in told
    assert [row["label"] for row in rows] == ["uniform", "oracle", "anti-oracle", "kawhi"]
    first = numbers(tmp_path / "a")
    assert len(first) == 8
    # all methods start from one policy and see the same prompts
    assert len({str(run["measured"][0]) for run in first.values()}) == 1
    assert len({str(run["measured"][-1]) for run in first.values()}) == 8
    assert {run["steps"][0]["right"] for run in first.values() if run["seed"] == 0} == {
        next(run["steps"][0]["right"] for run in first.values() if run["seed"] == 0)
    }
    bench(study, tmp_path / "b", "--seeds", "2", "--jobs", "2")
    assert numbers(tmp_path / "b") == first
    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "a").rglob("seed-*.json")}
    gone = sorted(made)[3]
    gone.unlink()
    bench(study, tmp_path / "a", "--seeds", "2", "--jobs", "1")
    now = {file: file.stat().st_mtime_ns for file in (tmp_path / "a").rglob("seed-*.json")}
    assert {file for file in made if now[file] != made[file]} == {gone}
    assert numbers(tmp_path / "a") == first
    for name in ("gains-qwen2_5_vl-grpo.png", "curves-qwen2_5_vl-grpo.png", "table.md", "table.csv"):
        assert (tmp_path / "a" / name).stat().st_size > 100


@pytest.mark.slow
def test_the_method_of_the_page_gets_a_row(study, tmp_path, monkeypatch, capsys):
    code = re.search(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
    (command,) = re.findall(r"^kawhi bench credit --include .*$", PAGE, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unsure.py").write_text(code)
    words = command.split()[1:]
    words[words.index("--seeds") + 1] = "1"
    assert main([*words, "--study", str(study), "--jobs", "1", "--no-probe"]) == 0
    assert re.search(r"^\| unsure ", capsys.readouterr().out, re.MULTILINE)
    found = {}
    for share in ("", "-share-0-5"):
        (run,) = (tmp_path / "results" / "lab").rglob(f"*-unsure{share}-??????????/seed-0.json")
        found[share] = json.loads(run.read_text())["steps"][0]["weight"]
    assert 0.25 < found[""] < found["-share-0-5"] < 0.7  # 0.28 and 0.55 but for ties


WRONG = """
from kawhi.credit.methods.base import register


@register("wrong")
class Wrong:
    needs = frozenset()

    def weights(self, batch):
        return {returned}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("batch.token_ids[:, 0]", "IndexError in line 10: too many indices"),
        ("batch.signals['entropy']", "KeyError in line 10: 'there is no signal entropy here, only none"),
        ("batch.token_ids[1:] * 1.0", "RuntimeError: Wrong returned weights of shape ("),
        ("batch.token_ids / 0 * 0", "RuntimeError: Wrong returned weights of which"),
    ],
)
def test_a_method_that_fails_is_one_sentence_before_anything_is_trained(study, tmp_path, capsys, returned, sentence):
    (tmp_path / "wrong.py").write_text(WRONG.format(returned=returned))
    words = ["--include", str(tmp_path / "wrong.py"), "--methods", "wrong", "--study", str(study), "--no-probe"]
    assert main(["bench", "credit", *words, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"error: the method wrong fails: {sentence}")
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.rglob("seed-*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_probe_writes_what_it_prints(study, tmp_path, family, capsys):
    words = ["--study", str(study), "--family", family, "--prompts", "18", "--share", "0.01"]
    assert main(["probe", "credit", *words, "--out", str(tmp_path / "out"), "--jobs", "2"]) == 0
    (file,) = (tmp_path / "out").glob("probe-*.md")
    assert file.read_text() in capsys.readouterr().out
    said = json.loads(file.with_suffix(".json").read_text())
    assert set(said["methods"]) == {"uniform", "oracle", "anti-oracle", "kawhi"}
    assert said["methods"]["uniform"]["sgd"]["value"] == pytest.approx(1)
    assert sum(kind["signal"]["value"] for kind in said["kinds"].values()) == pytest.approx(1, rel=1e-3)
    assert said["prompts"] == 18
    assert main(["probe", "credit", *words, "--out", str(tmp_path / "alone"), "--jobs", "1"]) == 0
    assert (tmp_path / "alone" / file.with_suffix(".json").name).read_text() == file.with_suffix(".json").read_text()


def test_mistakes_are_sentences_and_an_exit_code(tmp_path, capsys):
    for words, said in (
        (["bench", "credit", "--study", str(tmp_path / "none.yaml")], "there is no study"),
        (["bench", "credit", "--include", str(tmp_path / "none.py")], "there is no file"),
        (["probe", "credit", "--model", "x"], "--model and --rollouts belong together"),
        (["bench", "credit", "--methods", "nobody", "--set", f"model={SHIPPED['qwen2_5_vl']}"], "no method nobody"),
    ):
        assert main(words) == 1
        assert said in capsys.readouterr().err
