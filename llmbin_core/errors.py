"""The errors a stage can end with; each class carries its exit code.

A message says what is wrong, where (file, line, record) and what to do about it.
Anything that is not an `LlmbinError` is a defect of the program and ends with code 1.
"""

from __future__ import annotations


class LlmbinError(Exception):
    """Base of every expected failure."""

    exit_code = 1


class UsageError(LlmbinError):
    """The options contradict each other or are out of range."""

    exit_code = 2


class InputError(LlmbinError):
    """An input file is missing, damaged or does not fit the others."""

    exit_code = 3


class EnvironmentFault(LlmbinError):
    """The machine lacks something: a device, disk space, a permission."""

    exit_code = 4
