"""Help without libraries: the same text for every component, and nothing heavy is imported."""

from __future__ import annotations

import subprocess
import sys

from pggan_framework.config.discovery import index, load_builtin
from pggan_framework.config.help import component_help
from pggan_framework.registry import REGISTRY

LIGHT = """
import json, sys
from pggan_framework.config.discovery import index
from pggan_framework.config.help import component_help
from pggan_framework.config.light import light_component
texts = {}
for entry in index():
    with light_component(entry.name, ()) as component:
        texts[entry.name] = None if component is None else component_help(component)
assert "torch" not in sys.modules and not any("losses" in name for name in sys.modules)
import torch
assert torch.zeros(2).sum() == 0
with light_component("Adam", ()) as component:
    assert component is None
print(json.dumps(texts))
"""


def test_it_is_the_help_of_the_real_thing_for_every_component():
    import json

    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    light = json.loads(done.stdout)
    load_builtin()
    assert set(light) == {entry.name for entry in index()}
    for name, text in light.items():
        assert text == component_help(REGISTRY.get(name)), name


def test_the_command_imports_no_library(tmp_path):
    for words in (["train", "--help_component", "WGANGP"], ["components", "SoundImageDataset"]):
        command = [sys.executable, "-X", "importtime", "-m", "pggan_framework", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert not imported & {"torch._C", "numpy.linalg", "scipy.signal", "librosa.core"}
        assert f"--{words[-1]}." in done.stdout
