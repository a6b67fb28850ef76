# SPDX-License-Identifier: LGPL-2.1-or-later
"""What help() says of Afrpc: what PyGObject does, with the words of the documentation."""
import types

try:
    from gi import docstring  # type: ignore[attr-defined] # which stubs of gi do not have
    from gi._gi import FunctionInfo

    _describe = docstring.get_doc_string_generator()
except (AttributeError, ImportError):  # another version of PyGObject: help() says less then
    _describe = None


def _describe_with_words(info):
    """What PyGObject says of the things of a namespace, with the words of their documentation. Only help() asks."""
    said = _describe(info)
    try:
        if info.get_namespace() != "Afrpc":
            return said
        from afrpc._docs import DOCS

        container = info.get_container()
        name = info.get_name()
        words = DOCS.get(f"{container.get_name()}.{name}" if container is not None else name, "")
    except Exception:
        return said
    return "\n\n".join(part for part in ((words, said) if container is None else (said, words)) if part)


if _describe is not None:
    docstring.set_doc_string_generator(_describe_with_words)


class _Method:
    """A method that introspection brings, as help() knows one: not as a piece of data."""

    def __init__(self, info):
        self._info = info
        self.__name__ = info.__name__

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self._info, instance)

    def __call__(self, *args, **kwargs):
        return self._info(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._info, name)

    @property
    def __doc__(self):
        return self._info.__doc__


def document(cls, replaced):
    """For the classes that programs use most; replaced: names of methods that have been put in the place of others."""
    if _describe is None:
        return cls
    own = {name for base in cls.__mro__[:-1] if base.__module__ == cls.__module__ for name in vars(base)}
    for base in cls.__mro__:
        if base.__module__ == "gi.repository.Afrpc":
            for name, value in list(vars(base).items()):
                if isinstance(value, FunctionInfo) and value.is_method() and name not in own and name not in replaced:
                    setattr(cls, name, _Method(value))
                    own.add(name)
    return cls
