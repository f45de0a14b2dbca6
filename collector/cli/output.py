"""Printing: lines that are never cut or wrapped when they are piped, and never obeyed by the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text


def say(line: str | Text = "") -> None:
    """Print one line (or several) on standard output; text is text, whatever brackets are in it."""
    Console(highlight=False, soft_wrap=True).print(line, markup=False)


def say_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values below each other."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        say(Text(f"  {name:{width}}  ", style="dim").append(plain(str(value)), style="default"))


def plain(text: str) -> str:
    """`text` without anything that a terminal would obey or hide: what visitors send must not move the cursor."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def utc(ms: int) -> str:
    """A time as people read it."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"  # the clock of some browsers goes anywhere
