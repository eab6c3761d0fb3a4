from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import mechsteer.kernels

MODULES = [module.name for module in pkgutil.iter_modules(mechsteer.kernels.__path__)]


def load(name: str) -> ModuleType:
    return importlib.import_module(f"mechsteer.kernels.{name}")


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("_triton")])
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(load(name)).failed == 0


def test_every_public_name_is_documented() -> None:
    assert MODULES
    public = [getattr(mechsteer.kernels, name) for name in mechsteer.kernels.__all__]
    for thing in filter(lambda thing: inspect.isfunction(thing) or inspect.isclass(thing), public):
        assert thing.__doc__, thing
