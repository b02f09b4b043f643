"""One benchmark of one checkpoint, with the real lmms-eval, against models that answer, die, lie and are cut off."""

from __future__ import annotations

import json
import re

import pytest
from omegaconf import OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.evaluation.generate import encode, generate
from kawhi.evaluation.samples import read_images, read_samples
from kawhi.runs.cell_folders import place_of
from kawhi.tiny.drawn_files import tiny_file
from tests.cells import cell
from tests.evaluation.stub_server import MODEL, StubServer

PROBLEMS = 12
pytestmark = pytest.mark.slow


def prepared(folder, *overrides: str):
    """An untrained model's cell, the folder of its evaluation and its benchmark's entry."""
    asked = cell(folder, "study=baseline", f"benchmarks.0.problems={PROBLEMS}", *overrides)
    (evaluation,) = place_of(asked).evaluations
    return asked, evaluation.path, OmegaConf.to_container(asked.benchmarks[0])


def served(folder, *overrides: str):
    quick = ("evaluation.server.timeout=2", "evaluation.server.attempts=2", "evaluation.server.patience=2")
    return prepared(folder, f"model.name={MODEL}", "evaluation.batch_size=2", *quick, *overrides)


def reply(text: str, images: list[bytes]) -> str:
    """A policy that sees its one image and answers differently to different questions."""
    assert len(images) == 1
    return f"\\boxed{{{len(text)}}}"


def test_the_hugging_face_model_goes_on_where_it_was_killed(tmp_path):
    asked, folder, entry = prepared(tmp_path, "evaluation.batch_size=5", "validity.truncated=1")
    model = resolve_package_paths(asked.model.path)
    generate(asked, folder, entry, model, None)
    first = read_samples(folder / "samples.parquet")
    assert len(first) == PROBLEMS
    assert len({sample.response for sample in first}) > 3
    lines = (folder / "responses.jsonl").read_text().splitlines(keepends=True)
    (folder / "responses.jsonl").write_text("".join(lines[:7]))  # a batch and a part of the next one
    (folder / "samples.parquet").unlink()
    generate(asked, folder, entry, model, None)
    assert read_samples(folder / "samples.parquet") == first
    images = read_images(folder / "images.parquet")
    assert {key for sample in first for key in sample.images} == set(images)


def test_a_server_s_responses_are_the_samples(tmp_path):
    asked, folder, entry = served(tmp_path, "evaluation.temperature=0.7", "evaluation.max_new_tokens=33")
    with StubServer(reply, delay=0.1) as stub:
        generate(asked, folder, entry, "unused", stub.base_url)
    samples = read_samples(folder / "samples.parquet")
    assert [sample.response for sample in samples] == [f"\\boxed{{{len(sample.prompt)}}}" for sample in samples]
    assert {sample.finish_reason for sample in samples} == {"stop"}
    assert stub.largest == 2
    sent = stub.requests
    assert len(sent) == len({request["seed"] for request in sent}) == PROBLEMS
    assert all((r["temperature"], r["top_p"], r["max_tokens"]) == (0.7, 1.0, 33) for r in sent)
    told = json.loads((folder / "generation.json").read_text())
    assert (told["n"], told["truncated"], told["decoding"]["temperature"]) == (PROBLEMS, 0, 0.7)
    assert set(told["decoding"]["server"]) == {"options", "tensor_parallel"}


@pytest.mark.parametrize("fault", ["down", "always_500", "dies_mid_run", "hangs", "wrong_shape", "html", "401"])
def test_a_server_that_fails_gives_no_samples_and_the_next_run_asks_for_what_is_missing(tmp_path, fault):
    asked, folder, entry = served(tmp_path)
    with StubServer(reply, "ok" if fault == "down" else fault, lives=5) as stub:
        if fault == "down":
            stub.become("down")
        with pytest.raises(CellError) as caught:
            generate(asked, folder, entry, "unused", stub.base_url)
        assert not (folder / "samples.parquet").exists()
        assert not (folder / "generation.json").exists()
        path = folder / "responses.jsonl"
        kept = len(path.read_text().splitlines()) if path.exists() else 0
        assert kept == (5 if fault == "dies_mid_run" else 0)
        if fault == "dies_mid_run":
            assert re.search(
                rf"{PROBLEMS - 5} of {PROBLEMS} requests to the model failed.*5 responses are", str(caught.value)
            )
        stub.requests.clear()
        stub.become("ok")
        generate(asked, folder, entry, "unused", stub.base_url)
        assert len(stub.requests) == PROBLEMS - kept
    samples = read_samples(folder / "samples.parquet")
    assert [sample.response for sample in samples] == [f"\\boxed{{{len(sample.prompt)}}}" for sample in samples]


@pytest.mark.parametrize("fault", ["429_then_fine", "503_then_fine", "slow"])
def test_a_server_that_recovers_gives_all_samples(tmp_path, fault):
    asked, folder, entry = served(tmp_path)
    with StubServer(reply, fault) as stub:
        generate(asked, folder, entry, "unused", stub.base_url)
    assert len(read_samples(folder / "samples.parquet")) == PROBLEMS


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("cut_off", "12 of 12 samples of kawhi_tiny are truncated"),
        ("empty", "12 of 12 samples of kawhi_tiny are empty"),
    ],
)
def test_responses_that_are_cut_off_or_empty_are_refused_and_kept(tmp_path, fault, sentence):
    asked, folder, entry = served(tmp_path)
    with StubServer(reply, fault) as stub:
        with pytest.raises(CellError, match=sentence):
            generate(asked, folder, entry, "unused", stub.base_url)
        assert len((folder / "responses.jsonl").read_text().splitlines()) == PROBLEMS
        assert not (folder / "generation.json").exists()


def test_a_server_with_another_model_is_refused_before_the_first_request(tmp_path):
    asked, folder, entry = served(tmp_path, "model.name=other")
    with StubServer(reply) as stub, pytest.raises(CellError, match=f"does not serve other but {MODEL}"):
        generate(asked, folder, entry, "unused", stub.base_url)
    assert stub.requests == []


def test_a_data_set_of_another_size_is_refused(tmp_path):
    asked, folder, entry = served(tmp_path)
    own = entry | {"data_file": str(tiny_file(asked, "heldout", PROBLEMS, 0)), "problems": 11}
    with StubServer(reply) as stub, pytest.raises(CellError, match=r"has 12 samples .* instead of 11"):
        generate(asked, folder, own, "unused", stub.base_url)


def test_an_image_that_is_cut_off_is_refused(tmp_path):
    import pyarrow.parquet as pq

    from kawhi.data import schema

    asked, folder, entry = served(tmp_path)
    rows = pq.read_table(tiny_file(asked, "heldout", PROBLEMS, 0)).to_pylist()
    rows[3]["images"][0]["bytes"] = rows[3]["images"][0]["bytes"][:-300]
    schema.write(tmp_path / "cut.parquet", rows)
    own = entry | {"data_file": str(tmp_path / "cut.parquet")}
    with StubServer(reply) as stub, pytest.raises(OSError, match="truncated"):
        generate(asked, folder, own, "unused", stub.base_url)
    assert not (folder / "samples.parquet").exists()


def test_kept_images_are_small_unless_the_judge_sees_them():
    from PIL import Image

    image = Image.radial_gradient("L").resize((2000, 1000)).convert("RGB")
    assert encode(image, full=True)[:4] == b"\x89PNG"
    thumbnail = encode(image, full=False)
    assert len(thumbnail) < 50_000
