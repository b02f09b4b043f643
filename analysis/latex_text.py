"""Text for LaTeX: every sign that it does not print as itself is replaced, whatever the text is."""

from __future__ import annotations

import re

_SIGNS = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "…": r"\dots{}"},
    **{"|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}"},
    **{"–": "--", "—": "---", "“": "``", "”": "''", "‘": "`", "’": "'", "§": r"\S{}"},
    **{"×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$"},
    **{"→": r"$\rightarrow$", "←": r"$\leftarrow$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "≠": r"$\neq$"},
    **{"≈": r"$\approx$", "∞": r"$\infty$", "ϵ": r"$\epsilon$", "°": r"\textdegree{}", "²": r"$^2$"},
    **{"α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\varepsilon$"},
    **{"ζ": r"$\zeta$", "η": r"$\eta$", "θ": r"$\theta$", "ι": r"$\iota$", "κ": r"$\kappa$"},
    **{"λ": r"$\lambda$", "μ": r"$\mu$", "ν": r"$\nu$", "ξ": r"$\xi$", "π": r"$\pi$"},
    **{"ρ": r"$\rho$", "ς": r"$\varsigma$", "σ": r"$\sigma$", "τ": r"$\tau$", "υ": r"$\upsilon$"},
    **{"φ": r"$\varphi$", "χ": r"$\chi$", "ψ": r"$\psi$", "ω": r"$\omega$", "Γ": r"$\Gamma$"},
    **{"Δ": r"$\Delta$", "Θ": r"$\Theta$", "Λ": r"$\Lambda$", "Σ": r"$\Sigma$", "Φ": r"$\Phi$"},
    **{"Ψ": r"$\Psi$", "Ω": r"$\Omega$"},
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}
_PRINTED = re.compile("[\x20-\x7e\xc0-\xffŁłŒœŠšŽžŸĞğİıŞşČčĆćĘęŃńŚśŹźŻżŘřŮůŐőŰű]")
"""What the fonts have besides :data:`_SIGNS`."""
BREAKABLE = 24
"""Characters from which on a word may be broken after its punctuation."""


def latex(text: str) -> str:
    """On one line; a signed number gets a real minus, an en dash is one, a sign that no font has its number."""
    text = " ".join(text.split())
    if re.fullmatch(r"[+-][0-9.]+", text):
        return f"${text}$"
    if re.fullmatch(r"\[[+-]?[0-9.]+, [+-]?[0-9.]+\]", text) and re.search("[+-]", text):
        return f"${text}$"
    opened = re.sub(r"(?<![\w'])'(?=\w)", "‘", text)
    return "".join(map(_sign, opened))


def prose(text: str) -> str:
    """As :func:`latex`, for lines that end at a margin: names of files and keys may be broken."""
    words = (_broken(latex(word)) if len(word) > BREAKABLE else latex(word) for word in text.split())
    return " ".join(words)


def code(text: str) -> str:
    """A command in typewriter, which may be broken after any punctuation; no signs melt into one."""
    straight = {"'": r"\textquotesingle{}", "`": r"\textasciigrave{}"}
    return rf"\texttt{{{_broken(''.join(straight.get(sign) or _sign(sign) for sign in ' '.join(text.split())))}}}"


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    return sign if _PRINTED.fullmatch(sign) else f"[U+{ord(sign):04X}]"


def _broken(escaped: str) -> str:
    """Neither an option's dashes nor a decimal point end a line."""
    return re.sub(r"(?<=[_=/,:+])(?=[^ ])|(?<=\.)(?=[^ \d])|(?<=\w-)(?=[^ ])", r"\\allowbreak{}", escaped)
