"""What is recorded of a figure, by programs that really run."""

from __future__ import annotations

import pytest

from kawhi.evaluation.chartmimic import drawn as record
from kawhi.evaluation.chartmimic import sandbox
from tests.evaluation.chartmimic.drawer import drawing
from tests.evaluation.examples.chartmimic import LINES

pytestmark = pytest.mark.slow

START = "import matplotlib.pyplot as plt\nimport numpy as np\nfig, ax = plt.subplots()\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    with drawing(tmp_path_factory.mktemp("drawer")) as draw:
        yield lambda code: record.parse(draw(code))[:2]


@pytest.fixture
def drawn(recorded):
    def draw(code):
        figure, error = recorded(code)
        assert figure is not None, error
        return figure

    return draw


def test_the_sandbox_records_the_same(drawn):
    assert sandbox.draw(LINES).figure == drawn(LINES)


@pytest.mark.parametrize(
    ("code", "types", "colors"),
    [
        ("ax.plot([1, 2], 'g')", {"plot": 1}, {("line", "#008000")}),
        ("ax.semilogy([1, 2], 'k')", {"plot": 1}, {("line", "#000000")}),
        ("plt.bar([1, 2], [3, 4], color=['red', 'blue'])", {"bar": 1}, {("bar", "#FF0000"), ("bar", "#0000FF")}),
        ("ax.barh([1], [3], color='red')", {"barh": 1}, {("bar", "#FF0000")}),
        ("ax.scatter([1, 2], [1, 2], c='red')", {"scatter": 1}, {("scatter", "#FF0000")}),
        ("ax.scatter([1, 2], [1, 2], c=[1, 2], cmap='hot')", {"scatter": 1}, {("scatter", "hot")}),
        ("ax.hist([1, 2, 2], color='red')", {"hist": 1}, {("hist", "#FF0000")}),
        ("ax.hist([[1, 2], [2]], color=['red', 'lime'])", {"hist": 1}, {("hist", "#FF0000"), ("hist", "#00FF00")}),
        ("ax.pie([1, 2], colors=['red', 'blue'])", {"pie": 1}, {("pie", "#FF0000"), ("pie", "#0000FF")}),
        ("ax.imshow([[1, 2]], cmap='Blues')", {"imshow": 1}, {("imshow", "Blues")}),
        ("ax.contourf([[1, 2], [3, 4]], cmap='Reds')", {"contourf": 1}, {("contourf", "Reds")}),
        ("ax.fill_between([1, 2], [1, 2], color='red')", {"fill_between": 1}, {("fill_between", "#FF0000")}),
        ("ax.stackplot([1, 2], [1, 2], colors=['red'])", {"fill_between": 1}, {("fill_between", "#FF0000")}),
        ("ax.axhline(1, color='red')", {"axhline": 1}, {("axhline", "#FF0000")}),
        ("ax.axvspan(1, 2, color='red')", {"axvspan": 1}, {("axvspan", "#FF0000")}),
        ("ax.hlines([1], 0, 1, color='red')", {"hlines": 1}, {("hlines", "#FF0000")}),
        ("ax.errorbar([1], [1], yerr=1, color='red')", {"errorbar": 1}, {("line", "#FF0000"), ("vlines", "#FF0000")}),
        ("ax.quiver([1], [1], color='red')", {"quiver": 1}, {("quiver", "#FF0000")}),
        ("ax.fill([0, 1, 1], [0, 0, 1], 'r')", {"fill": 1}, {("fill", "#FF0000")}),
        ("ax.violinplot([1, 2, 3])", {"violinplot": 1}, {("violinplot", "#1F77B4")}),
        ("ax.boxplot([1, 2, 3])", {"boxplot": 1}, set()),
        ("ax.add_patch(plt.Circle((0, 0), color='red'))", {"ellipse": 1}, {("ellipse", "#FF0000")}),
        ("b = ax.bar([1], [1])\nb[0].set_color('red')", {"bar": 1}, {("bar", "#FF0000")}),
        (
            "plt.close()\nplt.subplot(projection='polar').plot([1, 2], color='red')",
            {"polar plot": 1},
            {("polar plot", "#FF0000")},
        ),
        (
            "plt.close()\nplt.subplot(projection='3d').plot_surface(*np.mgrid[:2, :2], np.eye(2), cmap='jet')",
            {"3d plot_surface": 1},
            {("3d plot_surface", "jet")},
        ),
        ("ax.plot([1])\nax.plot([2])\nax.legend(['a', 'b'])", {"plot": 2}, {("line", "#1F77B4"), ("line", "#FF7F0E")}),
        (
            "import networkx as nx\nnx.draw(nx.path_graph(2), node_color='red', with_labels=True)",
            {"draw_networkx_nodes": 1, "draw_networkx_edges": 1, "draw_networkx_labels": 1},
            {
                ("draw_networkx_nodes", "#FF0000"),
                ("draw_networkx_edges", "#000000"),
                ("draw_networkx_labels", "#000000"),
            },
        ),
    ],
)
def test_types_and_colours(code, types, colors, drawn):
    figure = drawn(START + code)
    assert dict(figure.types) == types
    assert set(figure.colors) == colors


def test_of_what_started_in_one_colour_the_last_is_kept_as_the_authors_do(drawn):
    code = "boxes = ax.boxplot([[1, 2], [2, 3]], patch_artist=True)['boxes']\n"
    figure = drawn(START + code + "boxes[0].set_facecolor('red')\nboxes[1].set_facecolor('blue')")
    assert figure.colors == (("boxplot", "#0000FF"),)


def test_texts_are_lines_without_ticks(drawn):
    code = "ax.bar(['x', 'y'], [1, 2], label='L')\nax.set_title('two\\nlines')\nax.legend()\nax.text(0, 0, '')\n"
    figure = drawn(START + code + "fig.suptitle('$a^2$')\nax.text(0, 1, 'hidden', visible=False)")
    assert sorted(figure.texts) == ["$a^2$", "L", "lines", "two"]


def test_cells_of_a_grid(drawn):
    code = "import matplotlib.pyplot as plt\nfig = plt.figure()\ngrid = fig.add_gridspec(2, 3)\n"
    code += "fig.add_subplot(grid[0, :])\nfig.add_subplot(grid[1, 1:])\nfig.add_axes((0, 0, 0.1, 0.1))"
    assert drawn(code).layout == ((2, 3, 0, 0, 0, 2), (2, 3, 1, 1, 1, 2), None)


def test_the_ticks_are_still_in_the_picture(drawn):
    with_ticks = drawn(START + "ax.plot([1, 2])")
    without = drawn(START + "ax.plot([1, 2])\nax.set_xticks([])\nax.set_yticks([])")
    assert with_ticks.texts == without.texts == ()
    assert with_ticks.png != without.png


@pytest.mark.parametrize(
    "end",
    [
        "",
        "plt.show()",
        "plt.savefig('x.png')\nplt.close()\nraise ValueError",
        "fig.savefig('x.png')\nax.plot([3])",
        "plt.show()\nplt.plot([5])",
        "exit()",
        "import sys\nsys.exit(0)",
        "if __name__ == '__main__':\n    plt.savefig('x')",
    ],
)
def test_the_figure_is_that_which_is_saved_shown_or_left(end, drawn):
    figure = drawn(START + "ax.plot([1, 2])\n" + end)
    assert dict(figure.types) == {"plot": 1}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = 1", "no figure"),
        ("", "no figure"),
        (START + "plt.close('all')", "no figure"),
        (START + "ax.plot([1], [1, 2])", "ValueError: x and y must have same first dimension"),
        ("if", "SyntaxError"),
        ("\0", "SyntaxError"),
        (START + "raise SystemExit(3)", "SystemExit: 3"),
        (START + "ax.set_title('$\\\\nope$')", "ValueError"),
        (START + "raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_a_program_that_fails_has_no_figure_but_a_reason(code, error, recorded):
    figure, found = recorded(code)
    assert figure is None
    assert found.startswith(error)


def test_the_same_program_draws_the_same_picture_even_at_random():
    code = START + "ax.plot(np.random.rand(9))\nax.plot(np.random.default_rng().random(9))\n"
    code += "import random\nax.plot([random.random() for _ in range(9)])"
    first, second = (sandbox.run(code, sandbox._fonts()).figure for _ in range(2))
    assert first.png == second.png


def test_a_large_figure_is_drawn_small(drawn):
    figure = drawn("import matplotlib.pyplot as plt\nplt.figure(figsize=(100, 50), dpi=600).add_subplot().plot([1])")
    assert len(figure.png) < 1 << 20
