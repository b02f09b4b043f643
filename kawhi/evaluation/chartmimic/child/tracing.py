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


def _faces(artist: Any) -> Read:
    return lambda: [_hex(color) for color in artist.get_facecolor()]


def _first_face(artist: Any) -> Read:
    return lambda: [_hex(color) for color in artist.get_facecolor()[:1]]


def _edges(artist: Any) -> Read:
    return lambda: [_hex(color) for color in artist.get_edgecolor()]


def _map(artist: Any) -> Read:
    return lambda: [artist.get_cmap().name]


def _named(cmap: Any) -> Read:
    return lambda: [cmap if isinstance(cmap, str) else cmap.name]


def _flat(patches: Any) -> Iterable[Any]:
    if hasattr(patches, "__iter__"):
        for each in patches:
            yield from _flat(each)
    else:
        yield patches


def _painted(name: str, result: Any, args: tuple, kwargs: dict[str, Any]) -> list[Read]:
    """The colours of what a call of ``name`` drew."""
    match name:
        case "line":
            return [_line(result[0])]
        case "axhline" | "axvline":
            return [_line(result)]
        case "bar" | "hist":
            return [_face(patch) for patch in _flat(result if name == "bar" else result[2])]
        case "axhspan" | "axvspan":
            return [_face(result)]
        case "fill":
            return [_face(patch) for patch in result]
        case "pie":
            return [_face(wedge) for wedge in result[0]]
        case "boxplot":
            return [_face(box) for box in result["boxes"] if isinstance(box, PathPatch)]
        case "violinplot":
            return [_first_face(body) for body in result["bodies"]]
        case "fill_between":
            return [_first_face(result)]
        case "scatter" | "polar scatter" | "3d scatter" | "3d plot_surface" if kwargs.get("cmap") is not None:
            return [_named(kwargs["cmap"])]
        case "scatter" | "polar scatter" | "3d plot_surface" | "3d bar3d":
            return [_first_face(result)]
        case "hlines" | "vlines":
            return [_edges(result)]
        case "polar plot" | "3d plot":
            return [_line(line) for line in result]
        case "3d bar":
            return [_face(patch) for patch in result]
        case "quiver" | "broken_barh" | "3d scatter" | "3d add_collection3d" | "draw_networkx_nodes":
            return [_faces(result)]
        case "imshow" | "pcolor" | "contour" | "contourf" | "tripcolor":
            return [_map(result)]
        case "image":
            return [_map(args[0])]
        case "ellipse":
            return [_face(args[0])] if type(args[0]) in (Ellipse, Circle) else []
        case "venn":
            return [_face(patch) for patch in args[0].patches if patch is not None]
        case "squarify":
            return [_face(patch) for container in result.containers for patch in container]
        case "draw_networkx_edges":
            return [_face(arrow) for arrow in result] if isinstance(result, list) else [_edges(result)]
        case "draw_networkx_labels":
            return [_line(text) for text in result.values()]
    raise AssertionError(name)


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
