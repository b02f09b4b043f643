"""What the judge asks, keeps and refuses, against a real HTTP server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.reply_log import ReplyLog
from kawhi.evaluation.samples import Reply, read_images, read_samples
from tests.cells import ROOT, until
from tests.evaluation.judged import (
    TOY,
    TOY_EXAMPLES,
    good_judge,
    judge_of,
    right_replies,
    toy,
    toy_prompts,  # noqa: F401  a fixture
    write_folder,
)
from tests.evaluation.stub_server import MODEL, StubServer, read

pytestmark = pytest.mark.usefixtures("toy_prompts")
NOWHERE = SimpleNamespace(base_url="http://127.0.0.1:1/v1")


def decide(folder, stub, **more):
    samples = write_folder(folder, TOY)
    judge = more.pop("judge", None) or judge_of(stub, **more)
    return judge.decide(toy, samples, read_images(folder / "images.parquet"), folder)


def log(folder):
    (file,) = folder.glob("judge/*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_sample_is_asked_about_and_gets_the_judges_outcome(tmp_path):
    with good_judge(TOY) as stub:
        samples = decide(tmp_path, stub)
        assert [sample.score for sample in samples] == [example.score for example in TOY_EXAMPLES]
        assert [each.parts for each in samples] == [{"style": 1}, {"style": 0.75}, {"style": 0}, {}, {"style": 0.25}]
        assert [sample.verdict for sample in samples] == ["right", "right", "wrong", "wrong", "right"]
        assert samples[1].extraction == "two"
        assert samples[3].replies == []  # an empty response: the rule decides
        stub.become("down")
        assert decide(tmp_path, stub) == samples  # a second time nothing is asked, and no server is needed
    assert len(stub.requests) == 8
    body = next(body for body in stub.requests if "What is 3?" in str(body))
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Reply with 0 or 1."}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert read(body)[1] == [read_images(tmp_path / "images.parquet")["2-0"]]
    sent = {"model": MODEL, "temperature": 0.0, "seed": 0, "max_tokens": 8}
    assert {key: body[key] for key in sent} == sent
    blind = next(body for body in stub.requests if "How well" in str(body))
    assert blind["messages"] == [{"role": "user", "content": blind["messages"][0]["content"]}]
    assert isinstance(blind["messages"][0]["content"], str)


def test_every_reply_is_kept_with_the_whole_request(tmp_path):
    with good_judge(TOY, delay=0.03) as stub:
        judge = judge_of(stub, concurrency=3)
        samples = decide(tmp_path, stub, judge=judge)
    assert stub.largest == 3
    records = {record["request"]: record for record in log(tmp_path)}
    assert len(records) == len(stub.requests) == 8
    image = hashlib.sha256(read_images(tmp_path / "images.parquet")["2-0"]).hexdigest()
    reply = samples[2].replies[0]
    record = records[reply.request]
    assert record["messages"][1]["content"][0] == {"type": "image", "sha256": image}
    assert record["sampling"] == {"temperature": 0.0, "seed": 0}
    known = (MODEL, prompts_of(TOY).version, "verdict")
    assert (record["judge"], record["prompts"], record["question"]) == known
    assert (record["reply"], record["ok"], record["error"], record["attempts"]) == ("0", True, "", 1)
    assert reply == Reply("verdict", reply.request, judge.identity(prompts_of(TOY)), "0", "", 1)
    assert (tmp_path / "judge" / f"{reply.judge}.jsonl").exists()
    assert "base64" not in json.dumps(log(tmp_path))


@pytest.mark.parametrize(
    ("image", "sentence"), [(None, "lacks 0-0 of sample 0/1"), (b"no image", "an image of sample 0/1 cannot be shown")]
)
def test_a_lost_or_broken_image_is_named(tmp_path, image, sentence):
    samples = write_folder(tmp_path, TOY)
    images = {} if image is None else dict.fromkeys(read_images(tmp_path / "images.parquet"), image)
    with good_judge(TOY) as stub, pytest.raises(CellError, match=sentence):
        judge_of(stub).decide(toy, samples, images, tmp_path)
    assert stub.requests == []


def test_an_unusable_reply_is_asked_for_again_with_another_seed(tmp_path):
    known = right_replies(TOY)
    asked = []

    def once_wrong(text, images):
        asked.append(text)
        return known[text, tuple(images)] if asked.count(text) > 1 else "It is 1."

    with StubServer(once_wrong) as stub:
        samples = decide(tmp_path, stub)
    assert [sample.score for sample in samples] == [example.score for example in TOY_EXAMPLES]
    assert {reply.attempts for sample in samples for reply in sample.replies} == {2}
    for text in set(asked):
        first, second = (body for body in stub.requests if read(body)[0] == text)
        assert (first.pop("seed"), second.pop("seed")) == (0, 1)
        assert first == second
    assert sorted(record["ok"] for record in log(tmp_path)) == [False] * 8 + [True] * 8


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("garbage_with_1", "no usable reply in 2 attempts: the reply 'Both answers agree"),
        ("deep", "no usable reply in 2 attempts: maximum recursion depth"),
        ("empty", "no usable reply in 2 attempts: the reply ''"),
        ("cut_off", "no usable reply in 2 attempts: the reply was cut off after 8 tokens"),
        ("wrong_shape", "no chat completion"),
        ("400", "HTTP 400: the prompt is too long"),
    ],
)
def test_no_verdict_is_an_error_and_no_score(tmp_path, behaviour, reason):
    with good_judge(TOY, behaviour=behaviour) as stub:
        samples = decide(tmp_path, stub)
    for sample, example in zip(samples, TOY_EXAMPLES, strict=True):
        assert sample.score == (None if example.replies else 0.0)
        assert bool(sample.judge_error) == bool(example.replies)
    assert reason in " ".join(reply.error for reply in samples[0].replies)
    assert samples[0].verdict == "error"
    assert not any(record["ok"] for record in log(tmp_path))


def test_a_further_attempt_may_be_warmer(tmp_path):
    with good_judge(TOY, behaviour="garbage_with_1") as stub:
        decide(tmp_path, stub, attempts=3, retry_temperature=0.7)
    sent = {(body["temperature"], body["seed"]) for body in stub.requests}
    assert sent == {(0.0, 0), (0.7, 1), (0.7, 2)}


@pytest.mark.parametrize(
    "change", [{"seed": 7}, {"temperature": 0.5}, {"retry_temperature": 0.5}, {"model": "other"}, "prompt", "response"]
)
def test_what_can_change_a_verdict_is_asked_anew(tmp_path, toy_prompts, change):  # noqa: F811
    with StubServer(lambda text, images: "1" if "Right answer" in text else '{"score": 2}') as stub:
        stub.models = (MODEL, "other")
        decide(tmp_path, stub)
        samples = write_folder(tmp_path, TOY)
        more, expected = {}, 16
        if change == "prompt":
            file = toy_prompts / f"{TOY}.yaml"
            file.write_text(file.read_text().replace("How well", "How very well"))
        elif change == "response":
            samples[0] = replace(samples[0], response="one")
            expected = 10
        else:
            more = change
        judge_of(stub, **more).decide(toy, samples, read_images(tmp_path / "images.parquet"), tmp_path)
    assert len(stub.requests) == expected
    assert len(list(tmp_path.glob("judge/*.jsonl"))) == (2 if change == "prompt" or "model" in change else 1)


def test_two_samples_with_the_same_question_ask_once(tmp_path):
    with good_judge(TOY) as stub:
        samples = write_folder(tmp_path, TOY)
        twice = [samples[0], replace(samples[0], id="again")]
        decided = judge_of(stub).decide(toy, twice, read_images(tmp_path / "images.parquet"), tmp_path)
    assert len(stub.requests) == 2
    assert [sample.score for sample in decided] == [1.0, 1.0]


def test_a_server_that_cannot_be_used_is_named_before_anything_is_asked(tmp_path):
    with good_judge(TOY) as stub:
        with pytest.raises(CellError, match=f"does not serve other but {MODEL}"):
            decide(tmp_path, stub, model="other")
        assert stub.requests == []


ODD = "é\n1\u2028y\x85z\x0b\x1d"


@pytest.mark.parametrize("rest", [b'{"request": "abc", "ok": tr', b'{"ok"', b"\xc3"])
def test_a_line_that_a_kill_left_unfinished_is_dropped(tmp_path, rest):
    file = tmp_path / "log.jsonl"
    with ReplyLog(file) as kept:
        kept.append({"request": "a", "ok": True, "reply": ODD})
        kept.append({"request": "b", "ok": False, "reply": "x"})
    with file.open("ab") as more:
        more.write(rest)
    with ReplyLog(file) as kept:
        assert {key: record["reply"] for key, record in kept.good.items()} == {"a": ODD}
        kept.append({"request": "c", "ok": True, "reply": "2"})
    with ReplyLog(file) as kept:
        assert list(kept.good) == ["a", "c"]


def test_a_broken_line_inside_the_file_is_named(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text('{"request": "a", "ok": true}\nnonsense\n')
    with pytest.raises(CellError, match=r"line 2 of .* is no judge's reply"):
        ReplyLog(file)


def test_a_run_that_is_killed_keeps_every_reply_it_had(tmp_path, toy_prompts):  # noqa: F811
    write_folder(tmp_path, TOY)
    with good_judge(TOY, delay=0.05) as stub:
        code = f"""
from pathlib import Path
from kawhi.evaluation import prompts
from kawhi.evaluation.scoring import score
from kawhi.evaluation.judge import Judge, JudgeSettings
from tests.evaluation.judged import toy
prompts._FOLDER = Path({str(toy_prompts)!r})
settings = JudgeSettings("stub", {MODEL!r}, {stub.base_url!r}, 1, 2, 60, 60, 0.0, 0)
score(Path({str(tmp_path)!r}), toy, Judge(settings))
"""
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        until(lambda: len(stub.requests) >= 4, alive=process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "score.json").exists()
        assert all(sample.score is None for sample in read_samples(tmp_path / "samples.parquet"))
        done = len(log(tmp_path))
        assert done >= 3
        time.sleep(0.1)  # what was in flight
        before = len(stub.requests)
        samples = decide(tmp_path, stub)
        assert len(stub.requests) - before == 8 - done
    assert [sample.score for sample in samples] == [example.score for example in TOY_EXAMPLES]


def test_the_identity_is_of_the_model_and_the_prompts():
    prompts, judge = prompts_of(TOY), judge_of(NOWHERE)
    identity = judge.identity(prompts)
    assert len(identity) == 12
    elsewhere = SimpleNamespace(base_url="http://elsewhere/v1")
    assert judge_of(elsewhere, name="k", concurrency=9).identity(prompts) == identity
    assert judge_of(NOWHERE, model="n").identity(prompts) != identity
    assert judge.identity(replace(prompts, version="0")) != identity


def test_a_key_comes_from_the_environment(monkeypatch):
    with pytest.raises(CellError, match="set the environment variable KEY_OF_THIS_TEST"):
        judge_of(NOWHERE, api_key_env="KEY_OF_THIS_TEST")
    monkeypatch.setenv("KEY_OF_THIS_TEST", "secret")
    assert "secret" not in repr(judge_of(NOWHERE, api_key_env="KEY_OF_THIS_TEST").settings)
