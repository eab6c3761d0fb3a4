"""Where a command's model goes: one device for each process, or one model over all of them."""

from __future__ import annotations

from typing import Any

import pytest

from mechsteer.cli.do import models
from mechsteer.cli.do.models import open_model
from mechsteer.cli.do.plan import plan_command
from mechsteer.cli.requests import PlanRequest
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.load import load_model
from mechsteer.ranks import Ranks
from mechsteer.ranks.current import acting

ONE_PROCESS = "--parallel model: one process spreads the model over its devices, got "


def test_one_process_spreads_one_model_over_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    whole = load_model
    monkeypatch.setattr(models, "load_model", lambda *_, **how: asked.append(how) or whole(**how))
    spread, single = open_model("embedded", parallel="model"), open_model("embedded")
    assert [how.get("device_map") for how in asked] == ["auto", None]
    assert spread.identity() == single.identity()


def test_a_device_of_its_own_and_all_devices_are_not_both_asked() -> None:
    with pytest.raises(ModelError, match="a device or a device_map, got both"):
        open_model("embedded", "cpu", parallel="model")


def test_several_processes_do_not_spread_one_model() -> None:
    with acting(Ranks(0, 3)), pytest.raises(MechsteerError, match=f"{ONE_PROCESS}3"):
        open_model("embedded", parallel="model")
    asked = PlanRequest(corpus="nowhere", gpu="H100", ranks=8, parallel="model")
    with pytest.raises(MechsteerError, match=f"{ONE_PROCESS}8: start mechsteer without torchrun"):
        plan_command("embedded", asked, None)
