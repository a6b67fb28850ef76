# Of what this is, the types may be elsewhere, or nowhere: anything may be in it.
import typing

def __getattr__(name: str) -> typing.Any: ...
