"""How charts in mails look: ink on white, no frame, fonts that this machine has."""

from __future__ import annotations

import warnings
from io import BytesIO

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT, GRID = "#1B2430", "#5B6675", "#E3E7EC"
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei")


def tidy(axis: Axes) -> None:
    """Only what is read: a faint grid and a base line."""
    axis.tick_params(colors=FAINT, labelsize=9, length=0)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)


def fonts() -> list[str]:
    """Those of our fonts that this machine has; names of carriers and providers come in every script."""
    there = set(font_manager.get_font_names())
    return [name for name in _FONTS if name in there]


def png(figure: Figure, *, transparent: bool = False) -> bytes:
    """The figure as a PNG."""
    file = BytesIO()
    with warnings.catch_warnings():
        # A script that no font here has is drawn as boxes; the tables beside the picture name it in letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="png", metadata={"Software": None}, transparent=transparent)
    return file.getvalue()
