from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import mechsteer.kernels

MODULES = [
    module.name
    for module in pkgutil.walk_packages(mechsteer.kernels.__path__, "mechsteer.kernels.")
    if not module.name.endswith("triton") and "triton_" not in module.name
]


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(load(name)).failed == 0


def test_every_public_name_is_documented() -> None:
    assert MODULES
    public = [getattr(mechsteer.kernels, name) for name in mechsteer.kernels.__all__]
    for thing in filter(lambda thing: inspect.isfunction(thing) or inspect.isclass(thing), public):
        assert thing.__doc__, thing
