"""The folder ``kernels/`` is ``mechsteer.kernels`` everywhere and top-level ``kernels`` nowhere.

transformers imports a distribution named ``kernels`` when it finds a package of that name. A
regular package ``kernels/`` at the root of the checkout would be taken for it and break every
model load.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BOOTS_A_MODEL = """
import sys
from transformers import LlamaForCausalLM
import mechsteer.kernels, mechsteer as ms
model = ms.load_model()
loaded = sys.modules.get("kernels")
assert loaded is None or getattr(loaded, "__file__", None) is None, f"imported {loaded}"
import mechsteer.kernels.scoring.operation as scoring
assert scoring.__name__ == "mechsteer.kernels.scoring.operation"
print("booted", model.cfg.n_layers)
"""


def run(*args: str, cwd: Path, path: str = "") -> str:
    env = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    result = subprocess.run(
        [sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_the_kernels_folder_is_no_package_of_its_own() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_kernel_files_do_not_shadow_libraries_when_run_as_scripts() -> None:
    libraries = {"triton", "torch", "numba", "numpy", "scipy", "select", "profile", "numbers"}
    names = {file.stem for file in (ROOT / "kernels").rglob("*.py")}
    assert not names & (libraries | set(sys.stdlib_module_names))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["repository root", "elsewhere"])
def test_a_model_boots_from_a_plain_script(elsewhere: bool, tmp_path: Path) -> None:
    script = tmp_path / "boot.py"
    script.write_text(BOOTS_A_MODEL)
    place = tmp_path if elsewhere else ROOT
    assert "booted" in run(str(script), cwd=place, path=str(ROOT))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["repository root", "elsewhere"])
def test_a_model_boots_with_python_m(elsewhere: bool, tmp_path: Path) -> None:
    (tmp_path / "boot_module.py").write_text(BOOTS_A_MODEL)
    place = tmp_path if elsewhere else ROOT
    assert "booted" in run("-m", "boot_module", cwd=place, path=f"{ROOT}{os.pathsep}{tmp_path}")


def test_a_wheel_holds_the_kernels_and_the_embedded_model(tmp_path: Path) -> None:
    run(
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
        cwd=ROOT,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 26e6
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [file for kind in ("*.py", "*.cu") for file in (ROOT / "kernels").rglob(kind)]
    expected = {f"mechsteer/{file.relative_to(ROOT)}" for file in sources}
    expected |= {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "mechsteer" / "embedded").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert expected <= names
    assert "mechsteer/py.typed" in names
    (folder,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    licences = ["LICENSE", *(f"LICENSES/{file.name}" for file in (ROOT / "LICENSES").iterdir())]
    assert {f"{folder}/licenses/{name}" for name in licences} <= names
    metadata = zipfile.ZipFile(wheel).read(f"{folder}/METADATA").decode()
    assert "License-Expression: Apache-2.0 AND CC-BY-4.0 AND CC0-1.0\n" in metadata
    assert not any(name.startswith("kernels") for name in names)
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    loaded = "import mechsteer.kernels.scoring.operation as s; print(s.__file__)"
    assert str(tmp_path / "site") in run("-c", loaded, cwd=tmp_path, path=str(tmp_path / "site"))


def test_importing_mechsteer_is_light() -> None:
    heavy = "{'torch', 'transformer_lens', 'transformers', 'numba', 'triton', 'matplotlib'}"
    code = f"import sys, mechsteer; print(sorted({heavy} & set(sys.modules)))"
    assert run("-c", code, cwd=ROOT).strip() == "[]"


def test_importing_the_kernels_needs_neither_triton_nor_numba() -> None:
    code = (
        "import sys; sys.modules['triton'] = sys.modules['numba'] = None; import mechsteer.kernels"
    )
    run("-c", code, cwd=ROOT)


def code_of(file: Path) -> str:
    """A source without the one harmless mention: a suffix of files that are refused as text."""
    return file.read_text().replace('".pickle"', "")


def test_nothing_is_ever_unpickled() -> None:
    sources = [*(ROOT / "mechsteer").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]
    for word in ("pickle", "torch.load(", "allow_pickle=True", "trust_remote_code=True"):
        guilty = [file.name for file in sources if word in code_of(file)]
        assert not guilty, f"{word} in {guilty}"
