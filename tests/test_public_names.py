"""The public names: stable, importable, documented, typed; importing the package stays free of torch."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

NAMES = {
    "pggan_framework": "DepthDataset Every Plugin Pretrained Run RunResult Sound UserError load_generator register run",
    "pggan_framework.audio": "Codec Wave build_codec codec_from_state estimate_pitch spectral_convergence",
    "pggan_framework.metrics": "Clips Metric PictureMetric Pictures evaluate_pictures evaluate_sounds frechet_distance"
    " ms_ssim pitch_errors sliced_wasserstein",
    "pggan_framework.networks": "AutoencoderDiscriminator DCGANDiscriminator DCGANGenerator Discriminator"
    " DiscriminatorBase Generator GeneratorBase GrowingNetwork MapDiscriminator"
    " ProjectedDiscriminator ProjectionDiscriminator R3GANDiscriminator R3GANGenerator SPADEGenerator"
    " StyleGAN2Discriminator StyleGAN2Generator Verdict describe",
}
"""What users may rely on: a name is added here on purpose, and taken away only with a line in CHANGELOG.md."""
ALIASES = {"Wave"}
EACH = [(module, name) for module, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize("module", NAMES)
def test_the_names_are_these(module: str) -> None:
    assert sorted(import_module(module).__all__) == sorted(NAMES[module].split())
    assert set(NAMES[module].split()) <= set(dir(import_module(module)))


@pytest.mark.parametrize(("module", "name"), EACH)
def test_each_is_documented_and_typed(module: str, name: str) -> None:
    found = getattr(import_module(module), name)
    if name in ALIASES:
        return
    assert inspect.getdoc(found)
    call = found.__init__ if inspect.isclass(found) else found
    for parameter in list(inspect.signature(call).parameters.values())[inspect.isclass(found) :]:
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert variadic or parameter.annotation is not parameter.empty, f"{name}({parameter.name})"


@pytest.mark.parametrize(("module", "name"), [pair for pair in EACH if pair[0] in ("pggan_framework",)])
def test_the_page_of_the_python_api_has_each(module: str, name: str) -> None:
    assert f"`{name}" in (Path(__file__).parents[1] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


def test_importing_the_package_does_not_import_torch() -> None:
    program = "import sys, pggan_framework; from pggan_framework import Run, Sound; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
