"""Ship the folder ``kernels/`` as the package ``mechsteer.kernels``.

The folder has no ``__init__.py``: as a regular top-level package it would shadow the distribution
``kernels`` that transformers imports, and every model load would fail. In a checkout
``mechsteer/kernels/__init__.py`` extends its ``__path__`` instead; in a wheel the files are copied.
"""

import shutil
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Copy the folders of ``kernels/`` beside ``mechsteer/kernels/__init__.py``."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "mechsteer", "kernels")
        for source in sorted(Path("kernels").rglob("*.[pc][yu]")):  # .py and .cu
            copy = target / source.relative_to("kernels")
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(source, copy)


setup(
    packages=find_namespace_packages(
        include=["mechsteer", "mechsteer.*"], exclude=["*.__pycache__", "*.__pycache__.*"]
    ),
    cmdclass={"build_py": BuildPy},
)
