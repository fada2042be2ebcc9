"""The settings of the rows that ship, read once for all tests of a process; not to be changed."""

from functools import cache

from benchmarks.settings.names import RunName
from benchmarks.settings.parser import read_settings
from benchmarks.settings.types import Settings


@cache
def settings_of(name: RunName) -> Settings:
    """What a row's file says."""
    return read_settings(name)
