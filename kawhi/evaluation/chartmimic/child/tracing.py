"""Which drawing functions a program called, in which colours, and what its figure's texts and axes are.

What counts is what the authors of ChartMimic count (their evaluators, github.com/ChartMimic/ChartMimic):

* types: how often each of a list of drawing functions is called, not counting calls from within one another;
* colours: pairs of a drawing function and the colours of what it drew, as they are at the end.  Of things that were
  drawn by one function and started with one colour only the last is kept, as there;
* texts: every line of text that matplotlib writes into a PDF of the figure without its axes' x and y ticks;
* layout: the grid and the cell of each of the figure's axes.
"""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axes._base import _process_plot_var_args  # type: ignore[attr-defined]
from matplotlib.colors import to_hex
from matplotlib.image import NonUniformImage
from matplotlib.patches import Circle, Ellipse, PathPatch
from matplotlib.projections.polar import PolarAxes

Read = Callable[[], list[str]]

_TYPES = [
    "bar barh plot axhline axvline axvspan axhspan hlines vlines errorbar boxplot violinplot violin hist fill_between",
    "fill_betweenx scatter quiver pie fill imshow pcolor contour contourf broken_barh tripcolor",
]
_TYPES_3D = ["scatter", "plot", "plot_surface", "bar3d", "bar", "add_collection3d"]


def _hex(color: Any) -> str:
    return to_hex(color).upper()


def _line(artist: Any) -> Read:
    return lambda: [_hex(artist.get_color())]


def _face(artist: Any) -> Read:
    return lambda: [_hex(artist.get_facecolor())]


def _faces(artist: Any, most: int | None = None) -> Read:
    return lambda: [_hex(color) for color in artist.get_facecolor()[:most]]


def _edges(artist: Any) -> Read:
    return lambda: [_hex(color) for color in artist.get_edgecolor()]


def _map(artist: Any) -> Read:
    return lambda: [artist.get_cmap().name]


def _flat(patches: Any) -> Iterable[Any]:
    if hasattr(patches, "__iter__"):
        for each in patches:
            yield from _flat(each)
    else:
        yield patches


def _each_face(patches: Iterable[Any]) -> list[Read]:
    return [_face(patch) for patch in patches]


def _edge_colors(result: Any) -> list[Read]:
    return _each_face(result) if isinstance(result, list) else [_edges(result)]


# Of (result, self or first argument): the colours of what a call of each function drew.
_PAINTED: dict[str, Callable[[Any, Any], list[Read]]] = {
    "line": lambda result, _: [_line(result[0])],
    **dict.fromkeys(("axhline", "axvline"), lambda result, _: [_line(result)]),
    "bar": lambda result, _: _each_face(_flat(result)),
    "hist": lambda result, _: _each_face(_flat(result[2])),
    **dict.fromkeys(("axhspan", "axvspan"), lambda result, _: [_face(result)]),
    **dict.fromkeys(("fill", "3d bar"), lambda result, _: _each_face(result)),
    "pie": lambda result, _: _each_face(result[0]),
    "boxplot": lambda result, _: _each_face(box for box in result["boxes"] if isinstance(box, PathPatch)),
    "violinplot": lambda result, _: [_faces(body, 1) for body in result["bodies"]],
    **dict.fromkeys(
        ("fill_between", "scatter", "polar scatter", "3d plot_surface", "3d bar3d"),
        lambda result, _: [_faces(result, 1)],
    ),
    **dict.fromkeys(("hlines", "vlines"), lambda result, _: [_edges(result)]),
    **dict.fromkeys(("polar plot", "3d plot"), lambda result, _: [_line(line) for line in result]),
    **dict.fromkeys(
        ("quiver", "broken_barh", "3d scatter", "3d add_collection3d", "draw_networkx_nodes"),
        lambda result, _: [_faces(result)],
    ),
    **dict.fromkeys(("imshow", "pcolor", "contour", "contourf", "tripcolor"), lambda result, _: [_map(result)]),
    "image": lambda _, image: [_map(image)],
    "ellipse": lambda _, patch: [_face(patch)] if type(patch) in (Ellipse, Circle) else [],
    "venn": lambda _, venn: _each_face(patch for patch in venn.patches if patch is not None),
    "squarify": lambda result, _: _each_face(patch for container in result.containers for patch in container),
    "draw_networkx_edges": lambda result, _: _edge_colors(result),
    "draw_networkx_labels": lambda result, _: [_line(text) for text in result.values()],
}
_BY_COLOR_MAP = ("scatter", "polar scatter", "3d scatter", "3d plot_surface")


def _painted(name: str, result: Any, args: tuple, kwargs: dict[str, Any]) -> list[Read]:
    """The colours of what a call of ``name`` drew."""
    cmap = kwargs.get("cmap")
    if cmap is not None and name in _BY_COLOR_MAP:
        return [lambda: [cmap if isinstance(cmap, str) else cmap.name]]
    return _PAINTED[name](result, args[0] if args else None)


class Tracer:
    """Counts from its creation on.  One per process: it replaces matplotlib's functions."""

    def __init__(self, code: str) -> None:
        self._calls: Counter[str] = Counter()
        self._colors: dict[tuple[str, str], Read] = {}
        self._counting = self._painting = False
        types = " ".join(_TYPES).split()
        for name in types:
            self._replace(Axes, name, name, _PAINTED_AS.get(name, name))
        self._replace(_process_plot_var_args, "_make_line", "", "line")
        self._replace(PolarAxes, "plot", "", "polar plot")
        self._replace(NonUniformImage, "__init__", "image", "image")
        for patch in (Ellipse, Circle):
            self._replace(patch, "__init__", "ellipse", "ellipse")
        # Imported only when needed: each takes a part of a second.
        if "3d" in code:
            from mpl_toolkits.mplot3d import Axes3D

            for name in _TYPES_3D:
                self._replace(Axes3D, name, f"3d {name}", f"3d {name}")
        if "networkx" in code:
            import networkx
            from networkx.drawing import nx_pylab

            for name in ("draw_networkx_nodes", "draw_networkx_edges", "draw_networkx_labels"):
                self._replace(nx_pylab, name, name, name)
                setattr(networkx, name, getattr(nx_pylab, name))
        if "squarify" in code:
            import squarify

            self._replace(squarify, "plot", "squarify", "squarify")
        if "matplotlib_venn" in code:
            from matplotlib_venn._common import VennDiagram

            self._replace(VennDiagram, "__init__", "venn", "venn")

    def types(self) -> dict[str, int]:
        """Drawing function -> how often it was called."""
        self._counting = True  # what drawing the figure itself calls is not the program's
        return dict(self._calls)

    def colors(self) -> list[tuple[str, str]]:
        """Different pairs of drawing function and colour (``#RRGGBB`` or a colour map's name), first drawn first."""
        self._painting = True
        return list(dict.fromkeys((name, color) for (name, _), read in self._colors.items() for color in read()))

    # Empty names: not counted, not painted.
    def _replace(self, owner: Any, attribute: str, counted: str, painted: str) -> None:
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def traced(*args, **kwargs):
            counts, paints = bool(counted) and not self._counting, bool(painted) and not self._painting
            polar = bool(args) and type(args[0]) is PolarAxes
            if counts:
                self._calls[f"polar {counted}" if polar and counted == "plot" else counted] += 1
            self._counting, self._painting = self._counting or counts, self._painting or paints
            try:
                result = function(*args, **kwargs)
            finally:
                self._counting, self._painting = self._counting and not counts, self._painting and not paints
            if paints:
                name = f"polar {painted}" if polar and painted == "scatter" else painted
                for read in _painted(name, result, args, kwargs):
                    if first := read():
                        self._colors[name, first[-1]] = read
            return result

        setattr(owner, attribute, traced)


_PAINTED_AS = dict.fromkeys(("barh", "plot", "errorbar", "violin"), "") | {"fill_betweenx": "fill_between"}


def layout(figure: Any) -> list[list[int] | None]:
    """Per axes: rows and columns of its grid, first and last row, first and last column; ``None`` without a grid."""
    cells: list[list[int] | None] = []
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is None:
            cells.append(None)
            continue
        rows, columns = spec.get_gridspec().get_geometry()
        down, across = spec.rowspan, spec.colspan
        cells.append([rows, columns, down.start, down.stop - 1, across.start, across.stop - 1])
    return cells


def texts(figure: Any) -> list[str]:
    """The lines of text, in the order in which they are drawn.  Takes the figure's ticks away."""
    from matplotlib.backends.backend_pdf import RendererPdf

    for axes in figure.get_axes():
        axes.set_xticks([])
        axes.set_yticks([])
    drawn: list[str] = []
    draw = RendererPdf.draw_text

    def draw_text(self, gc, x, y, s, *args, **kwargs):
        drawn.append(str(s))
        return draw(self, gc, x, y, s, *args, **kwargs)

    RendererPdf.draw_text = draw_text  # type: ignore[method-assign]
    try:
        figure.savefig(io.BytesIO(), format="pdf")
    finally:
        RendererPdf.draw_text = draw  # type: ignore[method-assign]
    return drawn
