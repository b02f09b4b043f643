"""The table of the grounding study from synthetic records."""

import pytest

from tests.analysis.synthetic import Folder, changed, column, grounding_record, hashed, heads, record

IMAGES = ("true_image", "blank", "wrong_image", "background_only")


def test_rows_and_columns(folder: Folder) -> None:
    reading = {"reading_responses": 150, "reading_chance": 0.25}
    folder.add(grounding_record("true_image", reading_top=0.615, **reading), record("kawhi", 1040))
    folder.add(grounding_record("blank", reading_top=0.08, **reading), grounding_record("background_only"))
    rows = folder.made_rows("grounding")
    assert [row["Experiment"] for row in rows] == ["True image", "Blank", "Wrong image", "Background only"]
    assert column(rows, "Alpha") == ["-0.0123", "-0.0123", "–", "-0.0123"]
    assert column(rows, "Reading on top (%)") == ["61.5", "8.0", "–", "–"]
    assert column(rows, "Chance (%)") == ["25.0", "25.0", "–", "–"]
    assert column(rows, "Rank corr.") == ["1.000", "0.870", "–", "0.870"]
    assert column(rows, "Same top (%)") == ["100.0", "90.5", "–", "90.5"]
    assert column(rows, "Weight shift") == ["0.0000", "0.0214", "–", "0.0214"]
    assert column(rows, "Log-prob") == ["-0.512", "-1.250", "–", "-1.250"]
    assert column(rows, ": n") == ["200", "200", "–", "200"]
    for text in (folder.text("md", "grounding"), folder.text("tex", "grounding")):
        text = " ".join(text.replace(r"\allowbreak{}", "").replace(r"\\", " ").split())
        assert "measures no training" in text
        assert "A wrong image is read, too, so that the blank one is the null" in text
        assert "Nothing is trained" in text
        assert "Paragraphs: 650." in text
        assert "Seeds: data 1 rollout 0 regions 0 study 0." in text
        assert "ablation=grounding" in text.replace("\\", "")
        assert "not comparable with the paper" in text
    assert "**Experiment**" in folder.text("md", "grounding")
    assert "**True image**" not in folder.text("md", "grounding")


def test_models_and_settings_are_columns_of_their_own(folder: Folder) -> None:
    folder.add(grounding_record("blank"), grounding_record("blank", family="qwen3_vl", paragraphs=700))
    folder.add(grounding_record("blank", temperature=1.0), grounding_record("true_image", temperature=1.0))
    measured = changed(grounding_record("blank", alpha=0.02), "provenance", value="measured")
    folder.add(hashed(changed(measured, "config", "scale", value={"provenance": "measured"})))
    rows = folder.made_rows("grounding")
    assert heads(rows, "Alpha") == [
        "measured: tiny-qwen2.5-vl, GRPO + KAWHI: Alpha",
        "tiny: tiny-qwen2.5-vl, GRPO + KAWHI, setting 1 (CPU world, not comparable with the paper): Alpha",
        "tiny: tiny-qwen2.5-vl, GRPO + KAWHI, setting 2 (CPU world, not comparable with the paper): Alpha",
        "tiny: tiny-qwen3-vl, GRPO + KAWHI (CPU world, not comparable with the paper): Alpha",
    ]
    assert column(rows, "setting 2", "Alpha") == ["-0.0123", "-0.0123", "–", "–"]
    text = folder.text("md", "grounding")
    assert "setting 1 (kawhi.options.temperature 0.1)" in text
    assert "setting 2 (kawhi.options.temperature 1.0)" in text


def test_one_row_twice_is_refused(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    again = hashed(changed(grounding_record("blank", alpha=0.5), "config", "study", "image", value=KeyError))
    folder.add(grounding_record("blank"), again)
    assert folder.make("grounding") == 1
    assert "000.json" in (error := capsys.readouterr().err)
    assert "001.json are one row" in error
