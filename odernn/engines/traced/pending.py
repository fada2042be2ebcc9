"""A build of a field's kernels that a thread makes while the field goes on in torch."""

from __future__ import annotations

from threading import Thread
from typing import final

from ..native.build import NativeUnavailable, load_field


@final
class Build:
    """The operators of a field, built and loaded by a thread of its own, which ends with the process.

    Args:
        header: what `load_field` takes.
    """

    def __init__(self, header: str) -> None:
        self._found: str | NativeUnavailable | None = None
        Thread(target=self._run, args=(header,), name="odernn-build", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return self._found is not None

    def namespace(self) -> str:
        """Where the operators are, of a build that is done.

        Raises:
            NativeUnavailable: it has failed.
        """
        assert self._found is not None
        if isinstance(self._found, NativeUnavailable):
            raise self._found
        return self._found

    def _run(self, header: str) -> None:
        try:
            self._found = load_field(header)
        except NativeUnavailable as unavailable:
            self._found = unavailable
        except Exception as error:  # whatever it is: nobody waits for a thread that has ended
            self._found = NativeUnavailable(f"the build ended with {type(error).__name__}: {error}")
