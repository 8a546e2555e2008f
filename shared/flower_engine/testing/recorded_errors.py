"""Errors of a production flow, raised again in a test: their classes need not be importable there."""

from flower_engine.programs.outcomes import Fatal, Retry


def recorded_error(kind: str, message: str, *, is_final: bool = False) -> Exception:
    """An error of the type that a flow's history names, such as ``requests.ConnectionError``.

    ``is_final``: it suspended its task, whatever attempts were left.
    """
    module, _, name = kind.rpartition(".")
    bases = (Fatal,) if is_final else (Retry,) if kind == "flower_engine.Retry" else (Exception,)
    return type(name, bases, {"__module__": module or "builtins"})(message)
