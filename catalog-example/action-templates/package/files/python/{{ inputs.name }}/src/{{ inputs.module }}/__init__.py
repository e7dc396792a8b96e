"""Start here: one function, to be replaced."""


def greeting(name: str) -> str:
    """What to say to somebody of this name."""
    return f"Hello, {name}!"
