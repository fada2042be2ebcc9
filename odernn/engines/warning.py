"""The one warning of the engines."""


class EngineWarning(UserWarning):
    """The native engine was asked for and cannot serve here; the torch engine serves in its place."""
