"""benchmarks/step.py: its values on the smallest networks, and that its contestants train the same networks."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER.parent)
    spec = importlib.util.spec_from_file_location("benchmark_step", FOLDER / "step.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_contestants_are_timed_in_turns(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    # Does nothing, slowly.
    mine.write_text("import time\ndef make(*setting):\n    return lambda real: time.sleep(0.05)\n")
    monkeypatch.setattr(script, "SHORTEST_TURN", 0.01)
    files = [str(FOLDER / "contestants" / "plain.py"), str(FOLDER / "contestants" / "ours.py"), "--against", str(mine)]
    small = ["--fmap_base", "32", "--fmap_max", "4", "--latent", "4", "--batch", "4", "--seconds", "0", "--no_memory"]
    outputs = ["--json", str(tmp_path / "s.json"), "--plot", str(tmp_path / "s.svg")]
    outputs += ["--markdown", str(tmp_path / "s.md")]
    monkeypatch.setattr(sys, "argv", ["step.py", *files, *small, *outputs, "--resolutions", "4,8"])
    script.main()
    text = capsys.readouterr().out
    assert "4x4, batch 4" in text and "8x8, batch 4" in text and "GFLOP/s" in text
    report = json.loads((tmp_path / "s.json").read_text())
    assert report["machine"] and report["torch"] == torch.__version__
    assert [row["name"] for row in report["rows"]] == ["plain", "ours", "mine"] * 2
    for row in report["rows"]:
        assert row["turns"] >= 3 and row["gflops"] > 0 and row["ratio"] > 0
    assert {row["ratio"] for row in report["rows"] if row["name"] == "plain"} == {1.0}
    lines = (tmp_path / "s.md").read_text().splitlines()
    assert "threads" in lines[0] and [line.split("|")[1].strip() for line in lines[2:]] == ["px", "---", "4", "8"]
    assert all(line.count("|") == lines[2].count("|") for line in lines[3:])
    assert f"{report['rows'][1]['ratio']:.2f} (" in lines[4]
    slow = report["rows"][2]
    assert slow["ms_image"] >= 12.5 > slow["cpu_ms_image"]
    drawn = ElementTree.parse(tmp_path / "s.svg").getroot()
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 * 3


OTHER = """
import torch

def make(resolution, fmap_base, fmap_max, latent, batch, alpha):
    D = torch.nn.Linear(3 * resolution**2, 1, bias=False)

    def step(real):
        D.weight.grad = None
        D(real.flatten(1)).mean().backward()

    return step
"""


def test_operations_of_another_implementation_are_counted_too(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(OTHER)
    small = ["--fmap_base", "32", "--fmap_max", "4", "--latent", "4", "--batch", "4", "--resolutions", "4"]
    monkeypatch.setattr(sys, "argv", ["step.py", "--operations", "--against", str(mine), *small])
    script.main()
    heads = [line for line in capsys.readouterr().out.splitlines() if "operations" in line]
    assert [head.split(",")[0] for head in heads] == ["plain", "ours", "mine"]
    plain, ours, other = (int(head.split(": ")[1].split()[0]) for head in heads)
    # flatten, linear and mean, and their derivatives
    assert 6 <= other <= 15 < ours < plain


def test_another_checkout_takes_its_turns_in_a_process_of_its_own(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older"
    (older / "benchmarks" / "contestants").mkdir(parents=True)
    (older / "benchmarks" / "contestants" / "ours.py").write_text(
        OTHER + f"\nimport os\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    )
    monkeypatch.setattr(script, "SHORTEST_TURN", 0.01)
    mine = tmp_path / "mine.py"
    mine.write_text(OTHER)
    words = [str(mine), "--against", str(older), "--resolutions", "4", "--batch", "4", "--fmap_base", "32"]
    words += ["--fmap_max", "4", "--latent", "4", "--seconds", "0", "--no_memory", "--json", str(tmp_path / "s.json")]
    monkeypatch.setattr(sys, "argv", ["step.py", *words])
    script.main()
    rows = json.loads((tmp_path / "s.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["mine", "older"]
    assert all(row["cpu_ms_image"] > 0 and row["turns"] >= 3 for row in rows)
    assert int((tmp_path / "pid").read_text()) != os.getpid()


@pytest.mark.parametrize(
    ("kind", "says"),
    [("missing", "is not a Python file"), ("empty", "has no make"), ("folder", "no benchmarks/contestants/ours.py")],
)
def test_what_is_no_contestant_is_refused_in_one_line(
    script: ModuleType, tmp_path: Path, kind: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("folder" if kind == "folder" else "mine.py")
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    monkeypatch.setattr(sys, "argv", ["step.py", str(path), "--resolutions", "4", "--batch", "4"])
    with pytest.raises(SystemExit, match=says):
        script.main()


def test_arithmetic_by_hand(script: ModuleType) -> None:
    script.load(FOLDER / "contestants" / "ours.py")
    N, C, F, z = 4, 4, 16, 5  # 4x4 px: C = 4 maps, 16 features before the score, latents of 5
    flops = script.arithmetic((4, 32, 4, z, N, 1.0))
    taps = 3 * 3
    dense_G, conv_G, rgb = z * C * 16, C * C * taps * 16, C * 3 * 16
    from_rgb, conv_D, dense_D, score = 3 * C * 16, (C + 1) * C * taps * 16, C * 16 * 4, 4
    G, D = dense_G + conv_G + rgb, from_rgb + conv_D + dense_D + score
    # D's update: G for the fakes; D of three batches forward, of three for the weights and of one for the penalty's
    # input gradient, whose own backward is two more; and back through D. G's: both forward, both back, G's weights.
    forward = G + 3 * D + G + D
    assert 2 * N * forward < flops < 2 * N * (forward + 10 * D + 3 * G)
    assert F == 16


def test_peak_memory_grows_with_what_is_held(script: ModuleType, tmp_path: Path) -> None:
    def peak(mib: int) -> float:
        file = tmp_path / f"holds{mib}.py"
        size = mib * 2**18
        file.write_text(
            f"import torch\ndef make(*setting):\n    return lambda real: torch.ones({size}).sum()\n", encoding="utf-8"
        )
        return float(script.peak_memory(file, [4, 32, 4, 4, 4, 1.0]))

    if math.isnan(script.resident("VmHWM")):
        pytest.skip("the system does not tell")
    peak(200)  # this process has given back by now what it does not need
    assert peak(200) == pytest.approx(200, abs=30)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_plain_contestant_is_the_same_network(script: ModuleType, alpha: float) -> None:
    plain = script.load(FOLDER / "contestants" / "plain.py")
    from pggan_framework.networks import Discriminator, Generator

    torch.manual_seed(0)
    G = Generator([3, 16, 16], fmap_base=64, fmap_max=8, latent_size=5)
    D = Discriminator([3, 16, 16], fmap_base=64, fmap_max=8, fused_downscale=False)
    for parameter in (p for network in (G, D) for name, p in network.named_parameters() if "bias" in name):
        torch.nn.init.normal_(parameter)
    G.alpha = D.alpha = alpha
    maps = [8, 8, 8]
    other_G, other_D = plain.Generator(maps, 5), plain.Discriminator(maps, 8)

    def names(theirs: str) -> str:
        words = theirs.split(".")
        if words[0] == "blocks":
            words[1] = str(int(words[1]) + 1)
        ends = {"dense": "blocks.0.dense", "first": "blocks.0.conv", "last": "blocks.0.conv"}
        return ".".join([ends.get(words[0], words[0]), *words[1:]])

    for mine, theirs in ((G, other_G), (D, other_D)):
        state = mine.state_dict()
        found = {name: state[names(name)] for name in theirs.state_dict()}
        if theirs is other_G:
            found["dense.bias"] = found["dense.bias"].repeat_interleave(16)
        theirs.load_state_dict(found)
    z, x = torch.randn(8, 5), torch.randn(8, 3, 16, 16)
    torch.testing.assert_close(other_G(z, alpha), G(z), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other_D(x, alpha), D(x), rtol=1e-4, atol=1e-4)


def test_a_plain_step_trains(script: ModuleType) -> None:
    plain = script.load(FOLDER / "contestants" / "plain.py")
    torch.manual_seed(0)
    step = plain.make(8, 64, 8, 5, 4, 0.5)
    cells = dict(zip(step.__code__.co_freevars, (cell.cell_contents for cell in step.__closure__), strict=True))
    training = cells["training"]
    before = [[p.clone() for p in getattr(training, name).parameters()] for name in ("G", "D", "average")]
    step(torch.rand(4, 3, 8, 8) * 2 - 1)
    for name, old in zip(("G", "D", "average"), before, strict=True):
        after = list(getattr(training, name).parameters())
        assert all(torch.isfinite(p).all() for p in after)
        moved = sum(not torch.equal(p, q) for p, q in zip(after, old, strict=True))
        assert moved >= len(old) - 2  # D's score bias cancels out, but for the drift
