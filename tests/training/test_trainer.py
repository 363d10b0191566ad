"""The loop on its own: counting, plugin intervals, stopping, and ending whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
from tiny import TONES

from pggan_framework import Every, Plugin, register, run
from pggan_framework.registry import REGISTRY
from pggan_framework.training.checkpoint import load_checkpoint

TOY = {
    **TONES,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.lod_training_nimg": 40,
    "DepthManager.lod_transition_nimg": 20,
}
CALLS: list[tuple[str, int]] = []


@pytest.fixture
def toy(tmp_path: Any) -> Any:
    """Run the toy with plugin classes; gives what they noted."""
    names = []

    def train(*plugins: type[Plugin], **flags: Any) -> list[tuple[str, int]]:
        CALLS.clear()
        for plugin in plugins:
            register("plugin")(plugin)
            names.append(plugin.__name__)
        run(overrides={**TOY, "result_dir": str(tmp_path), "plugins": list(names), "total_kimg": 0.12, **flags})
        return list(CALLS)

    yield train
    for name in names:
        REGISTRY.remove(name)


def _note(self: Plugin, what: str) -> None:
    CALLS.append((what, self.trainer.nimg))


class Noting(Plugin):
    """Notes every hook."""

    def before_step(self) -> None:
        _note(self, "before")

    def after_step(self) -> None:
        _note(self, "after")

    def on_tick(self) -> None:
        _note(self, "tick")

    def on_depth_change(self) -> None:
        _note(self, f"depth {self.trainer.depth}")

    def on_end(self) -> None:
        _note(self, "end")


def test_hooks_come_in_order_and_at_the_right_images(toy: Any) -> None:
    calls = toy(Noting)
    assert calls[:4] == [("before", 0), ("after", 4), ("before", 4), ("after", 8)]
    assert [nimg for what, nimg in calls if what == "tick"] == [20, 40, 60, 80, 100, 120]
    # 40 images at 4 px, then 8 px fades in; 60 images later 16 px does.
    assert [call for call in calls if call[0].startswith("depth")] == [("depth 1", 40), ("depth 2", 100)]
    assert calls[-1] == ("end", 120)
    assert len([call for call in calls if call[0] == "end"]) == 1


def test_intervals_thin_the_hook_of_their_unit(toy: Any) -> None:
    cases: dict[str, tuple[Any, str, list[int]]] = {
        "Iterations": (Every(3, "iteration"), "after", [12, 24, 36, 48, 60, 72, 84, 96, 108, 120]),
        "Kimg": (Every(0.03, "kimg"), "after", [32, 60, 92, 120]),
        "Ticks": (Every(2, "tick"), "tick", [40, 80, 120]),
        "Two": ((Every(5, "iteration"), Every(4, "tick")), "after", [20, 40, 60, 80, 100, 120]),
        "TwoTicks": ((Every(5, "iteration"), Every(4, "tick")), "tick", [80]),
        "Seconds": (Every(1e6, "second"), "after", []),
    }

    class Thinned(Plugin):
        """Notes at times, by its name."""

        def after_step(self) -> None:
            _note(self, f"{type(self).__name__} after")

        def on_tick(self) -> None:
            _note(self, f"{type(self).__name__} tick")

    calls = toy(*(type(name, (Thinned,), {"every": every}) for name, (every, _, _) in cases.items()))
    for name, (_, hook, images) in cases.items():
        assert [nimg for what, nimg in calls if what == f"{name} {hook}"] == images, name


def test_old_trigger_intervals_mean_the_same(toy: Any) -> None:
    class Old(Noting):
        """As written for deepsound's trainer."""

        trigger_interval = [(3, "epoch"), (1, "end")]

    assert [nimg for what, nimg in toy(Old) if what in {"tick", "end"}] == [60, 120, 120]


def test_discriminator_repeats_take_new_reals_each_time(toy: Any) -> None:
    class Images(Noting):
        """Notes."""

    calls = toy(Images, **{"Trainer.D_training_repeats": 3})
    assert [nimg for what, nimg in calls if what == "after"] == list(range(12, 121, 12))


def test_on_end_runs_after_an_error_and_the_last_finished_step_is_saved(toy: Any, tmp_path: Any) -> None:
    class Breaking(Noting):
        """Breaks."""

        def after_step(self) -> None:
            if self.trainer.nimg >= 60:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        toy(Breaking)
    assert CALLS[-1] == ("end", 60)
    (saved,) = tmp_path.rglob("*.pt")
    assert load_checkpoint(saved)["nimg"] == 60


def test_a_plugin_can_stop_the_run(toy: Any, tmp_path: Any) -> None:
    class Stopping(Noting):
        """Stops."""

        def after_step(self) -> None:
            if self.trainer.nimg == 48:
                self.trainer.stop("enough")

    assert toy(Stopping)[-1] == ("end", 48)
    assert len(list(tmp_path.rglob("*.pt"))) == 1


def test_without_growing_the_full_network_trains_from_the_first_step(toy: Any) -> None:
    shapes = []

    class Plain(Plugin):
        """Looks at the depth."""

        def after_step(self) -> None:
            shapes.append((self.trainer.depth, float(self.trainer.G.alpha), self.trainer.minibatch_size))

    toy(Plain, progressive_growing=False, total_kimg=0.012)
    assert shapes == [(3, 1.0, 4)] * 3


@pytest.mark.parametrize("interval", [(0, "tick"), (1, "epochs"), (-1, "kimg")])
def test_a_senseless_interval_is_refused(interval: tuple[float, str]) -> None:
    with pytest.raises(ValueError, match=r"interval|unit"):
        Every(*interval)
