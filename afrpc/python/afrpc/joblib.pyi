import typing

__all__ = ["Backend"]

class Backend:
    def __init__(self, **options: typing.Any) -> None: ...
