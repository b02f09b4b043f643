"""The report from nothing, from many records and from hostile ones: it compiles, its links lead somewhere."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from lxml import html

from analysis import make_report, pdf
from analysis.make_report import main
from analysis.report import TITLE, gather
from analysis.report_html import report_html
from analysis.report_latex import report_tex
from kawhi.records.folder import read_folder
from tests.analysis.paper_records import HOSTILE, measured, needs, talkative, tiny
from tests.analysis.synthetic import Folder, changed, hashed, record

pytestmark = pytest.mark.slow

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def figures(folder: Path, caption: str = "A caption.", records: tuple[str, ...] = ()) -> Path:
    """A narrow and a wide figure as make_figures.py leaves them."""
    from matplotlib.figure import Figure

    folder.mkdir()
    content = {}
    for name, width in {"narrow_a": 3.3, "narrow_b": 3.3, "wide": 7.2}.items():
        drawn = Figure(figsize=(width, 2))
        drawn.subplots().plot([0, 1])
        drawn.savefig(folder / f"{name}.pdf")
        (folder / f"{name}.png").write_bytes(PIXEL)
        command = f"python analysis/make_figures.py {name}"
        content[name] = {"title": f"Title of {name}", "caption": caption, "command": command, "records": list(records)}
    (folder / "captions.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def run(folder: Folder, *arguments: str) -> tuple[int, Path]:
    out = folder.out.parent / "report"
    places = ["--records", str(folder.records), "--figures", str(folder.out.parent / "figures"), "--out", str(out)]
    return main([*places, *arguments]), out


def words_of(file: Path) -> str:
    done = subprocess.run(["pdftotext", "-layout", str(file), "-"], check=True, capture_output=True, text=True)
    return done.stdout


def resolved(out: Path) -> html.HtmlElement:
    """The page, all of whose links lead somewhere, and which loads nothing."""
    page = html.fromstring((out / "report.html").read_text(encoding="utf-8"))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    for href in page.xpath("//a/@href"):
        assert href[1:] in ids if href.startswith("#") else (out / href).exists(), href
    assert all(each.startswith("data:") for each in page.xpath("//@src | //*[not(self::a)]/@href"))
    return page


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of every table; the folder has one record that cannot be used."""
    needs("pdflatex", "pdftotext")
    folder = Folder(tmp_path_factory.mktemp("full"))
    folder.add(*tiny(), *measured())
    folder.add("{", name="broken.json")
    figures(folder.out.parent / "figures", records=("../records/000.json",))
    code, out = run(folder)
    assert code == 1  # the record
    return out


def test_a_report_without_records(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    needs("pdflatex", "pdftotext")
    code, out = run(folder)
    assert (code, capsys.readouterr().err) == (0, "")
    assert {file.name for file in out.iterdir()} == {"report.tex", "report.pdf", "report.html"}
    words = words_of(out / "report.pdf")
    assert TITLE in words
    assert "67.47" in words
    assert "nothing was run" in words
    assert "None was drawn" in words
    assert "Nothing was run at full scale, so there is no comparison with" in words
    assert "but GRPO+KAWHI (Ours) has 57.84 on WeMath" in " ".join(words.split())
    resolved(out)


def test_numbers_of_all_provenances_are_in_the_pdf(full: Path) -> None:
    words = words_of(full / "report.pdf")
    for text in ("69.30", "40.00", "within noise", "CPU world, not comparable with the paper", "Table 3, continued"):
        assert text in words
    facts = " ".join(words.split())
    assert re.search(r"Records \d+: 17 measured \(2 baseline, 15 training\), \d+ tiny \(8 grounding, 40 timing", facts)
    assert "qwen2.5-vl-7b (weights cc594898)" in facts


def test_no_table_is_continued_before_it_begins(full: Path) -> None:
    for page in words_of(full / "report.pdf").split("\f"):
        for number in re.findall(r"Table (\d+), continued", page):
            assert f"Table {number}. " not in page


def test_a_full_report_fits_its_pages_and_the_same_records_give_the_same_bytes(full: Path) -> None:
    first = (full / "report.pdf").read_bytes()
    assert pdf.compile_pdf(full / "report.tex") == []
    assert (full / "report.pdf").read_bytes() == first


def test_every_number_leads_to_its_command(full: Path) -> None:
    text = (full / "report.tex").read_text(encoding="utf-8")
    targets = re.findall(r"\\hypertarget\{([^}]+)\}", text)
    assert len(targets) == len(set(targets))
    assert set(re.findall(r"\\hyperlink\{([^}]+)\}", text)) <= set(targets)
    page = resolved(full)
    assert page.xpath("//a[contains(@title, 'experiment=main_table')]")
    assert page.xpath("//a[starts-with(@href, '#main_table_compared-')]")


def test_what_is_left_out_is_named_without_folders(full: Path) -> None:
    for file in ("report.tex", "report.html"):
        text = (full / file).read_text(encoding="utf-8")
        assert "broken.json: it cannot be read" in text
        assert str(full.parent) not in text


def test_notes_that_tables_share_stand_once(full: Path) -> None:
    for file in ("report.tex", "report.html"):
        text = (full / file).read_text(encoding="utf-8")
        assert text.count("whose variance is that of") == 1
        assert text.count("taken as one training seed") == 1


def test_two_records_of_one_row_leave_the_table_out(folder: Folder) -> None:
    folder.add(record("kawhi", 1000), hashed(changed(record("kawhi", 1000), "config", "study", "tag", value="x")))
    report = gather(read_folder(folder.records).joined(), folder.out, ["heads"])
    (text,) = report.left_out
    assert text.startswith("no table heads: 000.json and 001.json are one row")


def test_hostile_text_is_only_text(folder: Folder) -> None:
    needs("pdflatex")
    folder.add(talkative(), talkative(cell={"experiment": HOSTILE, "name": HOSTILE, "hash": ""}, seeds=seeds(1)))
    folder.add(HOSTILE, name="a&b_#%~^ <i>.json")
    figures(folder.out.parent / "figures", caption=HOSTILE, records=("../records/000.json",))
    code, out = run(folder)
    assert code == 1  # the broken record
    assert (out / "report.pdf").exists()
    assert pdf.compile_pdf(out / "report.tex") == []
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<i>" not in page
    resolved(out)


def seeds(rollout: int) -> dict[str, int]:
    return {"data": 1, "rollout": rollout, "regions": 0}


def test_a_table_that_is_too_wide_is_an_error(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("pdflatex")
    made = make_report.report_files

    def widened(report, out):
        files = made(report, out)
        return files | {"report.tex": files["report.tex"].replace("lrrrr}", "l@{\\hskip 15cm}rrrr}")}

    monkeypatch.setattr(make_report, "report_files", widened)
    code, out = run(folder, "--tables", "heads")
    assert code == 1
    assert re.search(
        r"report\.pdf: table \w+ \(line \d+ of the LaTeX file\) is [\d.]+ points too wide", capsys.readouterr().err
    )
    assert (out / "report.pdf").exists()


def test_without_latex_the_rest_is_made(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.add(record("kawhi", 1000))
    monkeypatch.setattr(pdf, "PROGRAM", "no-such-program")
    code, out = run(folder)
    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"no report.pdf: {pdf.MISSING}"
    assert "texlive-latex-base texlive-latex-recommended texlive-fonts-recommended lmodern" in line
    assert {file.name for file in out.iterdir()} == {"report.tex", "report.html"}
    assert {file.name for file in (out.parent / "cards").iterdir()} == {"000.md", "000.html", "README.md"}


def test_figures_without_a_file_are_named_and_others_shown(folder: Folder) -> None:
    place = figures(folder.out.parent / "figures")
    (place / "wide.png").unlink()
    report = gather(read_folder(folder.records).joined(), place)
    assert report.left_out == ["no figure wide: there is no wide.png"]
    assert [picture.name for picture in report.pictures] == ["narrow_a", "narrow_b"]
    page = report_html(report, folder.out)
    assert page.count("data:image/png;base64,") == 2
    assert 'id="figure-narrow_a"' in page
    text = report_tex(report, folder.out)
    assert r"\shown{../figures/narrow_a.pdf}" in text
    assert r"\hypertarget{figure-narrow_a}{}" in text


def test_broken_captions_are_named(folder: Folder) -> None:
    place = folder.out.parent / "figures"
    place.mkdir()
    (place / "captions.json").write_text("{", encoding="utf-8")
    (text,) = gather(read_folder(folder.records).joined(), place).left_out
    assert text.startswith("no figures: captions.json cannot be read")
