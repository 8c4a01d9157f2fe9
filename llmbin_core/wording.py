"""Figures as a person says them."""

from __future__ import annotations


def megabases(bp: int) -> str:
    """Bases as Mb or kb."""
    return f"{bp / 1e6:.1f} Mb" if bp >= 1e6 else f"{bp / 1e3:.0f} kb"


def duration(seconds: float) -> str:
    """Seconds below a minute, else minutes or hours.

    >>> duration(4.25), duration(61), duration(7300)
    ('4.2 s', '1 min 01 s', '2 h 02 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def percent(share: float) -> str:
    """A share of 0..1 in percent."""
    return f"{100 * share:.1f} %"


def counted(number: int, noun: str) -> str:
    """A number of things, with thousands set apart.

    >>> counted(1, "sample"), counted(19647, "contig")
    ('1 sample', '19,647 contigs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
