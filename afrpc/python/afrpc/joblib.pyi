import abc
import typing

__all__ = ["Backend"]

class Backend(metaclass=abc.ABCMeta):
    def __init__(self, nesting_level: typing.Optional[int] = None, inner_max_num_threads: typing.Optional[int] = None, **options: typing.Any) -> None: ...
