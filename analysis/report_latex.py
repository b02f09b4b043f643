"""The report as one LaTeX file; from each number a link leads to its command in the last section."""

from __future__ import annotations

import os
from pathlib import Path

from analysis.latex_text import code, latex, prose
from analysis.pdf import MARK
from analysis.render_latex import fragment
from analysis.report import NO_FIGURES, READING, TITLE, Part, Picture, Report
from analysis.table import Source
from kawhi.records.folder import record_name

PAGE = 16
"""Lines from which on a table may go over a page's end; shorter ones stay together."""
NAMED = 8
"""Records that a figure's source names; more are counted."""
PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1
\usepackage[T1]{fontenc}
\usepackage{lmodern}
\input{glyphtounicode} \pdfgentounicode=1
\usepackage[textwidth=17cm,textheight=25cm,footskip=10mm]{geometry}
\usepackage{microtype,graphicx,booktabs,longtable,multicol,array}
\usepackage[table]{xcolor}
\definecolor{link}{rgb}{0.05,0.15,0.42}
\usepackage[colorlinks,allcolors=link,bookmarksnumbered]{hyperref}
\raggedbottom \setlength{\parindent}{0pt} \setlength{\parskip}{4pt plus 1pt} \emergencystretch=2em
\renewcommand{\arraystretch}{1.04} \setlength{\LTpost}{4pt}
\clubpenalty=10000 \widowpenalty=10000
\makeatletter
% Tables and figures stay where they are, between the texts that speak of them.
\renewcommand{\fps@table}{}
\renewenvironment{table}[1][]{\par\addvspace{14pt}\noindent\begin{minipage}{\linewidth}\def\@captype{table}}%
  {\end{minipage}\par\addvspace{14pt}}
\renewcommand{\@makecaption}[2]{\vskip4pt{\small\raggedright\textbf{#1.} #2\par}\vskip5pt}
\def\LT@makecaption#1#2#3{\LT@mcol\LT@cols c{\hbox to0pt{\hss\parbox[t]\LTcapwidth{%
  \small\raggedright#1{\textbf{#2.} }#3\par\vskip5pt}\hss}}}
\renewcommand{\l@section}{\@dottedtocline{1}{0em}{2em}}
\renewcommand{\section}{\@startsection{section}{1}{0pt}{-18pt plus -4pt}{6pt}{\Large\bfseries\raggedright}}
\renewcommand{\@pnumwidth}{2em}
% Ends the page when less than #1 of it is left.
\newcommand{\room}[1]{\par\penalty0 \ifdim\dimexpr\pagegoal-\pagetotal<#1\newpage\fi}
% A figure and its caption; narrow ones stand two in a line.
\newcommand{\shown}[3]{\setbox0\hbox{\includegraphics{#1}}\dimen0=\linewidth
  \ifdim\wd0<0.54\linewidth\dimen0=0.485\linewidth\fi
  \begin{minipage}[t]{\dimen0}\def\@captype{figure}\centering\fitted{#1}\caption[]{#2}\label{#3}%
  \end{minipage}\hskip0.03\linewidth plus 1fil minus 0.03\linewidth}
\newcommand{\fitted}[1]{\setbox0\hbox{\includegraphics{#1}}%
  \ifdim\wd0>\linewidth\includegraphics[width=\linewidth,height=0.78\textheight,keepaspectratio]{#1}%
  \else\ifdim\ht0>0.78\textheight\includegraphics[height=0.78\textheight]{#1}\else\includegraphics{#1}\fi\fi}
\makeatother
"""


def report_tex(report: Report, out: Path) -> str:
    """The file for the folder ``out``, which is where it has to be typeset."""
    blocks = [
        [PREAMBLE + rf"\hypersetup{{pdftitle={{{latex(TITLE)}}}}}", r"\begin{document}"],
        _title(report),
        _reading(report),
        *(_part(part) for part in report.parts),
        _figures(report.pictures, out),
        _section("Where the papers disagree", _disagreements(report)),
        _section("Left out", _left_out(report)),
        _sources(report),
        [r"\end{document}", ""],
    ]
    return "\n".join("\n".join(block) for block in blocks)


def _title(report: Report) -> list[str]:
    facts = [rf"{latex(name)} & {prose(text)} \\" for name, text in report.facts.items()]
    return [
        rf"{{\LARGE\bfseries\raggedright {latex(TITLE)}\par}}",
        r"\medskip Made from records alone; the same records give the same report.",
        r"\par\medskip{\small\renewcommand{\arraystretch}{1.25}",
        r"\begin{tabular}{@{}>{\bfseries}l>{\raggedright\arraybackslash}p{14.4cm}@{}}",
        *facts,
        r"\end{tabular}\par}",
        r"\bigskip\setcounter{tocdepth}{1}\tableofcontents",
    ]


def _section(title: str, lines: list[str], label: str = "", room: int = 90) -> list[str]:
    """``room``: points that have to be left on the page."""
    place = rf"\label{{{label}}}" if label else ""
    return [rf"\room{{{room}pt}}", rf"\section{{{latex(title)}}}{place}", *lines]


def _reading(report: Report) -> list[str]:
    lines = [rf"\textbf{{{latex(name)}.}} {prose(text)}\par" for name, text in READING]
    lines += [prose(note) + r"\par" for note in report.notes]
    return _section("How to read the tables", lines)


def _part(part: Part) -> list[str]:
    lines = [latex(part.text) + r"\par"]
    for table in part.tables:
        lines += [MARK + table.name, *fragment(table, PAGE), MARK]
    lines += [r"\medskip"] if part.tables and part.absent else []
    lines += [f"{prose(text)} {code(command) if command else ''}\\par" for text, command in part.absent]
    return _section(part.title, lines, room=280 if part.tables else 90)


def _items(texts: list[str]) -> list[str]:
    return [
        r"\begin{itemize}\raggedright\setlength{\itemsep}{1pt}",
        *(rf"\item {{}}{prose(t)}" for t in texts),
        r"\end{itemize}",
    ]


def _figures(pictures: list[Picture], out: Path) -> list[str]:
    if not pictures:
        return _section("Figures", [prose(NO_FIGURES)])
    # One paragraph, whose lines are figures: a page may end after each.
    lines = [r"{\raggedright\setlength{\lineskip}{16pt}\setlength{\lineskiplimit}{10pt}\clubpenalty=0 \widowpenalty=0"]
    for picture in pictures:
        file = Path(os.path.relpath(picture.file("pdf"), out)).as_posix()
        caption = rf"\textbf{{{latex(picture.title)}.}} {prose(picture.caption)} "
        link = rf"\hyperlink{{{picture.anchor}}}{{Command and records.}}"
        lines.append(rf"\shown{{{file}}}{{{caption}{link}}}{{fig:{picture.name}}}")
    return _section("Figures", [*lines, r"\par}"])


def _disagreements(report: Report) -> list[str]:
    return [
        "Every number and every claim of the papers that their printed cells can decide was computed again. These are "
        r"the ones that the cells do not allow; \texttt{docs/discrepancies.md} has them too, and what was found by "
        "reading.",
        *_items(report.disagreements),
    ]


def _left_out(report: Report) -> list[str]:
    if not report.left_out:
        return ["Nothing: every record of the folder is used, and every table is made."]
    return _items(report.left_out)


def _sources(report: Report) -> list[str]:
    lines = [
        r"A command starts from the repository's root. Records are files of \texttt{results/records}, published ones "
        r"of \texttt{results/published/records}; \texttt{results/cards} has a page about each.",
        r"\raggedcolumns\begin{multicols}{2}\scriptsize\raggedright\setlength{\parskip}{2pt plus 1pt}",
        r"\clubpenalty=100 \widowpenalty=100",
    ]
    for table in report.tables:
        if table.anchors:
            lines += _source_head(rf"Table \ref*{{tab:{table.name}}}", f"tab:{table.name}", table.caption)
            lines += [_source(source, at) for source, at in table.anchors.items()]
    for picture in report.pictures:
        lines += _source_head(rf"Figure \ref*{{fig:{picture.name}}}", f"fig:{picture.name}", picture.title)
        few = picture.records if len(picture.records) <= NAMED else ()
        source = Source("made by", (picture.command,), few)
        lines.append(_source(source, picture.anchor))
        if not few and picture.records:
            lines.append(rf"from {len(picture.records)} records, which \texttt{{captions.json}} beside it lists\par")
    return _section("Where the numbers come from", [*lines, r"\end{multicols}"], "sec:sources")


def _source_head(number: str, label: str, title: str) -> list[str]:
    return [rf"\medskip\textbf{{\hyperref[{label}]{{{number}}}: {prose(title)}}}\par\nopagebreak"]


def _source(source: Source, at: str) -> str:
    told = f"{source.label}: {source.place}" if source.place else source.label
    text = rf"\hangindent=1em\hypertarget{{{at}}}{{}}{prose(told)}"
    if source.commands:
        text += ": " + " and ".join(map(code, source.commands))
    if source.records:
        text += f" ({', '.join(code(record_name(file)) for file in source.records)})"
    return text + r"\par"
