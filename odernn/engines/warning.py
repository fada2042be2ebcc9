"""The one warning of the engines."""


class EngineWarning(UserWarning):
    """An engine or kernels that were asked for cannot serve here; torch serves instead."""
