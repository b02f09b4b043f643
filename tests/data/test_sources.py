"""Every source reads its real layouts, and says what it misses."""

from __future__ import annotations

import random

import pytest

from kawhi.data import origins
from kawhi.data.sampling import first_by_hash, stratified
from kawhi.data.sources import NAMES, PrepareError, chartqa_20k, source_class
from kawhi.data.sources.chartqa_20k import Reader as ChartQA
from kawhi.data.sources.geo3k import Reader as Geo3K
from kawhi.data.sources.virl39k import Reader as ViRL39K
from tests.data import layouts


def all_of(source, split):
    entries = source.entries(split)
    examples = list(source.examples(split, [number for number, _ in entries]))
    assert [(example.number, example.id) for example in examples] == entries
    return examples


def test_geo3k(tmp_path):
    source = Geo3K(layouts.geo3k(tmp_path))
    assert source.splits == ("train", "validation", "test")
    assert [len(source.entries(split)) for split in source.splits] == [23, 3, 2]
    last = all_of(source, "train")[-1]
    assert (last.id, last.question, last.answer) == ("train-00022", "<image>Find x22.", "22")
    assert [read() for read in last.images] == [layouts.picture(22)]


def test_geo3k_s_newer_columns(tmp_path):
    rows = [layouts.geo3k_row(n, id=70 + n, choices=["1", "2"]) for n in range(4)]
    example = all_of(Geo3K(layouts.geo3k(tmp_path, rows)), "train")[3]
    assert (example.id, example.choices) == ("train-73", ()), (
        "choices that no prompt shows would make a letter an answer"
    )


def test_rows_are_found_across_files_and_row_groups(tmp_path):
    source = Geo3K(layouts.geo3k(tmp_path))
    wanted = [0, 4, 5, 10, 11, 12, 22]
    assert [example.answer for example in source.examples("train", wanted)] == [str(number) for number in wanted]


def test_one_parquet_file_is_the_training_split(tmp_path):
    layouts.geo3k(tmp_path)
    source = Geo3K(tmp_path / "data" / "train-00000-of-00002.parquet")
    assert source.splits == ("train",)
    assert len(source.entries("train")) == 11


@pytest.mark.parametrize("zipped", [False, True])
def test_virl39k(tmp_path, zipped):
    rows = [layouts.virl_row(number) for number in range(3)]
    rows.append(layouts.virl_row(3, answer="\\boxed{\\frac{1}{2}}", image=["images/a.jpg", "images/b.jpg"]))
    rows.append(layouts.virl_row(4, answer="\\boxed{\\frac{1}{2}"))
    rows.append(layouts.virl_row(5, answer=" 7 "))
    examples = all_of(ViRL39K(layouts.virl39k(tmp_path, rows, zipped)), "train")
    assert [example.answer for example in examples] == ["0", "1", "2", "\\frac{1}{2}", "", "7"]
    assert examples[0].id == "Processed-0"
    assert len(examples[3].images) == 2
    assert examples[0].images[0]() == layouts.picture(0, kind="JPEG")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", ["images/none.jpg", "../outside.jpg"])
def test_virl39k_s_missing_images(tmp_path, zipped, name):
    (tmp_path / "outside.jpg").write_bytes(layouts.picture(0))
    folder = tmp_path / "ViRL39K"
    folder.mkdir()
    source = ViRL39K(layouts.virl39k(folder, [layouts.virl_row(0)], zipped))
    with pytest.raises(FileNotFoundError, match=name):
        source._read(name)


TRAIN, VALIDATION = layouts.questions(7, 21), layouts.questions(2, 2, start=50)
SAME = [("human", 80, "Same?", "1"), ("human", 81, "Same?", "1")]


@pytest.mark.parametrize("make", [layouts.chartqa_hub, layouts.chartqa_zip])
def test_chartqa(tmp_path, make):
    source = ChartQA(make(tmp_path, TRAIN, VALIDATION))
    assert set(source.splits) == {"train", "validation"}
    examples = all_of(source, "train")
    assert len(examples) == 28
    assert {example.task for example in examples} == {"human", "augmented"}
    assert examples[8].question.startswith("What is ")
    assert examples[8].answer.endswith("%")
    assert examples[8].images[0]()


def test_chartqa_s_ids_depend_on_neither_layout_nor_order(tmp_path):
    shuffled = TRAIN + SAME
    random.Random(0).shuffle(shuffled)
    first = ChartQA(layouts.chartqa_hub(tmp_path / "hub", TRAIN + SAME, VALIDATION))
    second = ChartQA(layouts.chartqa_zip(tmp_path / "zip", shuffled, VALIDATION))
    ids = [[example.id for example in all_of(source, "train")] for source in (first, second)]
    assert sorted(ids[0]) == sorted(ids[1])
    assert len(set(ids[0])) == 30  # two charts with the same question and answer are told apart


def test_the_sample_has_the_source_s_proportions_whatever_its_order(tmp_path, monkeypatch):
    monkeypatch.setattr(chartqa_20k, "SIZE", 14)
    shuffled = TRAIN.copy()
    random.Random(0).shuffle(shuffled)
    first = ChartQA(layouts.chartqa_hub(tmp_path / "a", TRAIN, VALIDATION))
    second = ChartQA(layouts.chartqa_hub(tmp_path / "b", shuffled, VALIDATION))
    assert first.drawn() == second.drawn()
    tasks = [example.task for example in all_of(first, "train")]
    assert (tasks.count("human"), tasks.count("augmented")) == (3, 11)  # 3.5 and 10.5: a tie, by name
    assert len(all_of(first, "validation")) == 4


def test_chartqa_s_real_sizes_give_the_shares_of_20000():
    strata = {"human": map(str, range(7398)), "augmented": map(str, range(10**6, 10**6 + 20901))}
    chosen = stratified({name: list(ids) for name, ids in strata.items()}, 20_000, 0)
    assert len(chosen) == 20_000
    assert sum(int(name) < 10**6 for name in chosen) == 5228  # 20000 x 7398 / 28299 = 5228.45


def test_committed_ids_are_used_and_a_missing_one_is_named(tmp_path, monkeypatch):
    source = ChartQA(layouts.chartqa_hub(tmp_path, TRAIN, VALIDATION))
    drawn = source.selection()
    names = sorted(example.id for example in all_of(source, "train"))
    monkeypatch.setattr(chartqa_20k, "IDS", tmp_path / "ids.txt")
    (tmp_path / "ids.txt").write_text("\n".join(names[:5]))
    source = ChartQA(tmp_path)
    assert sorted(name for _, name in source.entries("train")) == names[:5]
    assert source.finish(tmp_path, names[:5]) == source.instead("train", names[:1]) == []
    assert source.selection() != drawn
    (tmp_path / "ids.txt").write_text("\n".join([*names[:5], "human-0000"]))
    with pytest.raises(PrepareError, match=r"1 of the 6 ids in ids.txt .* the first is human-0000"):
        ChartQA(tmp_path).entries("train")


def test_a_sample_grows_by_what_the_source_does():
    names = [f"id{number}" for number in range(50)]
    assert first_by_hash(names, 20, 0) == first_by_hash(reversed(names), 20, 0)
    assert len(first_by_hash(names, 20, 0) - first_by_hash([*names, "one more"], 20, 0)) <= 1
    assert first_by_hash(names, 20, 0) != first_by_hash(names, 20, 1)
    assert stratified({}, 3, 0) == set()


def folder_of(name, folder):
    folder.mkdir(parents=True)
    if name == "virl39k":
        return layouts.virl39k(folder, [layouts.virl_row(number) for number in range(4)])
    return layouts.geo3k(folder) if name == "geo3k" else layouts.chartqa_hub(folder, TRAIN, VALIDATION)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_may_mirror_the_hub_or_be_its_cache(tmp_path, name):
    kind = source_class(name)
    cache = tmp_path / "cache" / f"datasets--{kind.repository.replace('/', '--')}"
    inside = {
        tmp_path / "plain": tmp_path / "plain",
        tmp_path / "mirror": tmp_path / "mirror" / kind.repository,
        tmp_path / "other": tmp_path / "other" / "datasets" / kind.repository,
        tmp_path / "cache": cache / "snapshots" / "c0ffee",
    }
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("c0ffee")
    for given, place in inside.items():
        folder_of(name, place)
        assert origins.locate(kind, str(given), "main") == place
    prints = {origins.fingerprint(kind(place).files) for place in inside.values()}
    assert len(prints) == 1  # the same files are the same data, wherever they are


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_without_the_files_is_told_what_is_expected(tmp_path, name):
    kind = source_class(name)
    with pytest.raises(PrepareError, match="has not the expected files") as error:
        origins.locate(kind, str(tmp_path), "main")
    assert kind.layout in str(error.value)
    with pytest.raises(PrepareError, match="there is no file or folder"):
        origins.locate(kind, str(tmp_path / "none"), "main")


def test_an_unknown_name():
    with pytest.raises(PrepareError, match="no data set 'geo4k'; kawhi prepares geo3k, chartqa_20k, virl39k"):
        source_class("geo4k")


@pytest.mark.parametrize(("given", "endpoint"), [("hub", None), ("https://mirror.example", "https://mirror.example")])
def test_hub_and_mirror_are_asked_for_the_files_alone(tmp_path, monkeypatch, given, endpoint):
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *names, **more: asked.append((names, more)) or str(tmp_path)
    )
    assert origins.locate(Geo3K, given, "37e4933") == tmp_path
    assert asked == [
        (
            ("hiyouga/geometry3k",),
            {
                "repo_type": "dataset",
                "revision": "37e4933",
                "allow_patterns": ["data/*.parquet"],
                "endpoint": endpoint,
            },
        )
    ]


def test_no_network_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PrepareError, match=r"cannot be had from http://127.0.0.1:9 .*folder that holds it with --from"):
        origins.locate(Geo3K, "http://127.0.0.1:9", "main")


def test_a_broken_or_foreign_parquet_file_is_named(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 half")
    with pytest.raises(PrepareError, match=r"broken.parquet cannot be read as parquet"):
        Geo3K(broken).entries("train")
    layouts.virl39k(tmp_path, [layouts.virl_row(0)])
    with pytest.raises(PrepareError, match="lacks the columns images, problem; it has question"):
        Geo3K(tmp_path / "39Krelease.parquet").entries("train")
