"""What README.md and docs/ show is run as it is there: on small stand-ins for the data, cut short by more flags."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forgotten import forgotten_plugins
from page_stand_ins import data, installed
from pages import blocks, commands, name_of, pages_with

from pggan_framework.cli.main import main
from pggan_framework.config import resolve_overrides
from pggan_framework.config.resolve import resolve_general
from pggan_framework.launch import start as launch
from pggan_framework.recipes import RECIPES
from pggan_framework.runs.folders import runs, stored_config

SHORT: dict[str, Any] = {
    "Generator.fmap_base": 64,
    "Generator.fmap_max": 8,
    "Generator.latent_size": 8,
    "Discriminator.fmap_base": 64,
    "Discriminator.fmap_max": 8,
    "minibatch_size": 8,
    "OutputGenerator.samples_count": 2,
}
GROWING: dict[str, Any] = {
    "DepthManager.lod_training_nimg": 8,
    "DepthManager.lod_training_overrides": {},
    "DepthManager.lod_transition_nimg": 8,
    "DepthManager.lod_transition_overrides": {},
    "DepthManager.minibatch_overrides": {},
    "DepthManager.tick_kimg_default": 0.03,
    "DepthManager.tick_kimg_overrides": {},
}
SMALL_SOUND: dict[str, Any] = {"SoundImageDataset.n_fft": 64, "SoundImageDataset.hop_length": 16}
DATA: dict[str, dict[str, Any]] = {
    "TonesDataset": {"TonesDataset.count": 30},
    "SoundImageDataset": SMALL_SOUND,
}
SAVERS = {"ImageSaver": {"ImageSaver.resolution": 16}, "SoundSaver": {"SoundSaver.griffin_lim_iter": 1}}
LONG = {"PitchMonitor": {"PitchMonitor.count": 2}, "SoundMetrics": {"TonesDataset.count": 130}}
PLANNED: dict[str, Any] = {"SoundImageDataset.frames": 16, "SoundImageDataset.bins": 16}
"""For trainings whose config is chosen by the data, or was and is in a file now."""
KIMG = 0.05
"""Just beyond where 32x32, the largest of the stand-ins, begins."""


def words_of(line: str) -> list[str]:
    """The words that bash makes of a line; what it cannot read fails."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.split("\0")[:-1]


def flags(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def cut_short(words: list[str]) -> list[str]:
    """Further flags that make a training of seconds out of a training of hours, a longer one of a longer one."""
    general = resolve_general(words)
    asked = [float(words[at + 1]) for at, word in enumerate(words) if word == "--total_kimg"]
    more: dict[str, Any] = {"total_kimg": asked[-1] * 0.004 if asked else 3 * KIMG if general.resume else KIMG}
    if "--total_epochs" in words:
        more = {"total_epochs": 4}
    if general.resume and "--config" not in words:
        return flags(more)  # the stored run was cut short already
    # Our other networks have the same sizes.
    for name, value in SHORT.items():
        kind, _, parameter = name.partition(".")
        own = {"Generator": general.generator, "Discriminator": general.discriminator}.get(kind, kind)
        more[f"{own}.{parameter}" if parameter else name] = value
    if general.progressive_growing:
        # A schedule has its own lengths.
        more |= {name: value for name, value in GROWING.items() if not (general.schedule and ".lod_" in name)}
    if "--Trainer.resume_nimg" in words:
        more["Trainer.resume_nimg"] = 24
    if not general.load_dataset:
        more |= DATA.get(general.dataset_class, {})
    if "configs/notes.yaml" in words:
        more["SoundImageDataset.seed_shape"] = "32,2"  # its own has more rows than the stand-ins
    sound = general.dataset_class in DATA or general.load_dataset
    for saver in general.postprocessors or (["ImageSaver", "SoundSaver"] if sound else ["ImageSaver"]):
        more |= SAVERS.get(saver, {})
    for plugin in general.plugins:
        more |= LONG.get(plugin, {})
    return flags(more)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages speak of it: datasets/, configs/, plugins/, results/007-piano/."""
    root = tmp_path_factory.mktemp("template")
    data(root)
    installed(root)
    with pytest.MonkeyPatch.context() as patch, forgotten_plugins():
        patch.chdir(root)
        train_models(root)
    return root


def train_models(root: Path) -> None:
    """results/007-piano, 005-cats and 003-notes, in the working folder."""
    line = ["--dataset_class", "SoundImageDataset", "--SoundImageDataset.dir_path", "datasets/piano"]
    assert main(["train", *line, "--exp_name", "piano", *cut_short(line)]) == 0
    run = root / "results" / "007-piano"
    (root / "results" / "000-piano").rename(run)
    (run / "network-snapshot-000000.pt").rename(run / "network-snapshot-000120.pt")
    shutil.copy(run / "images" / "fakes_000000.png", run / "images" / "fakes_000120.png")
    labels = ["--SoundImageDataset.labels", "pitch", "--SoundImageDataset.labels_pattern", r"(?P<pitch>\d+)\.wav"]
    assert main(["train", *line, *labels, "--exp_name", "notes", *cut_short(line)]) == 0
    notes = root / "results" / "003-notes"  # below 007, which is the latest
    (root / "results" / "008-notes").rename(notes)
    (notes / "network-snapshot-000000.pt").rename(notes / "network-snapshot-000120.pt")
    cats = ["--dataset_class", "DefaultImageFolderDataset", "--DefaultImageFolderDataset.dir_path", "datasets/cats"]
    assert main(["train", *cats, "--exp_name", "cats", *cut_short(cats)]) == 0
    (root / "results" / "008-cats").rename(root / "results" / "005-cats")


@pytest.fixture
def laid_out(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_plugins: None
) -> Iterator[Callable[[Path], None]]:
    """Creates a separate folder for a page, with the page's plugin files and config files in it, to run in."""
    root = tmp_path / "root"
    shutil.copytree(template, root)
    monkeypatch.syspath_prepend(root / "site")
    monkeypatch.setenv("PATH", str(root / "site" / "bin"), prepend=":")
    monkeypatch.setattr("pggan_framework.recipes.notes.SOUNDFONTS", (str(root / "site" / "font.sf2"),))
    monkeypatch.setattr("pggan_framework.recipes.fashion.FOLDER", root / "site")
    monkeypatch.setattr("pggan_framework.recipes.drums.INSTALLED", root / "site")
    monkeypatch.setattr("pggan_framework.recipes.units.INSTALLED", (str(root / "site" / "wesnoth"),))
    monkeypatch.chdir(root)

    def lay_out(page: Path) -> None:
        for number, block in enumerate(blocks(page)):
            if block.language == "python" and "@register(" in block.text:
                (root / "plugins" / f"{page.stem.lower()}_{number}.py").write_text(block.text)
            path = re.match(r"# (\S+\.yaml)\n", block.text) if block.language == "yaml" else None
            if path:
                (root / path[1]).write_text(block.text)

    yield lay_out


def run_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run one line of a page and check what can be said of any such line."""
    words = words_of(line)
    if words[0] == "torchrun":  # one process does; tests/training/test_distributed_runs.py starts several
        from torch.distributed.run import get_args_parser

        given = get_args_parser().parse_args(words[1:])
        script = "pggan" if given.module else "python"
        words = [script, *([] if given.module else [given.training_script]), *given.training_script_args]
    if words[:2] == ["python", "train.py"]:
        words = ["pggan", "train", *words[2:]]
    assert words[0] == "pggan", f"{line}: neither 'python train.py' nor 'pggan'"
    command, words = words[1], words[2:]
    if command == "plan":
        words = [*words, *flags(PLANNED)]
    before = set(runs(Path("results")))
    grows = command == "grow" and "--dry_run" not in words
    trains = command == "train" and not {"-h", "--help", "--help_component", "--print_config"} & set(words)
    recipe = command == "prepare" and words[0] in RECIPES
    if recipe:
        shutil.rmtree(words[1], ignore_errors=True)
        words = [*words, "--count", "6", *(["--seconds", "0.2"] if words[0] == "notes" else [])]
    elif command == "inspect" and words[0] == "datasets/piano":
        words = [*words, *flags({**SMALL_SOUND, "SoundImageDataset.too_short": "pad"})]
    elif command == "generate" and "--seconds" in words:
        at = words.index("--seconds") + 1
        words[at] = str(float(words[at]) / 128)  # so much shorter than 4.1 s are the clips of the stand-ins
    elif command == "grow":
        asked = [float(words[at + 1]) for at, word in enumerate(words) if word == "--total_kimg"]
        words = [*words, *flags({"total_kimg": asked[-1] * 0.0002 if asked else KIMG})]
    elif command == "branch":
        words = [*words, "--kimg", "0.016", "--repeats", "2", "--count", "16"]
    elif command == "verify":  # the last snapshot is renamed, which hides that the best one is at the same images
        (Path(words[0]) / "network-best.pt").unlink(missing_ok=True)
    elif command == "project":
        words = [*words, "--random", "20", "--restarts", "2", "--steps", "3"]
    elif trains and not words[0].startswith("-"):
        planned = PLANNED if words[0] == "datasets/piano" else {}
        own = {} if "--from" in words else {**SHORT, **planned}  # the model has been cut short already
        words = [*words, *flags({"total_kimg": KIMG, **own})]
    elif trains:
        words = [*words, *cut_short(words)]
    if command == "generate" and words[0] in ("results/007-piano", "results/003-notes"):
        words = [*words, "--griffin_lim_iter", "1"]
    if command == "generate" and "--count" in words:
        at = words.index("--count") + 1
        words[at] = str(min(int(words[at]), 8))
    status = main([command, *words])
    out, error = capsys.readouterr()
    advice = command == "doctor" and status == 1  # the machine of the tests may be short of memory or disk
    assert status == 0 or advice, f"{line}\n{out}{error}"
    assert "note:" not in error, f"{line}\n{error}"
    made = set(runs(Path("results"))) - before
    if command == "prepare" and not recipe:
        config = resolve_general(["--config", str(Path(words[1]).with_suffix(".yaml"))])
        assert config.dataset_class == "OldH5Dataset" and Path(words[1]).is_file()
    elif recipe:
        files = [path for path in Path(words[1]).rglob("*") if path.suffix in (".png", ".wav", ".flac")]
        assert len([path for path in files if path.parent.name != "labels"]) == 6
    elif grows:
        (folder,) = made
        table = re.search(r"^from \S+\.pt, [\d.]+ kimg: (.+)$", (folder / "log.txt").read_text(), re.MULTILINE)
        assert table and re.search(r"(kept|mapped|widened) \d", table[1]) and list(folder.glob("network-snapshot-*.pt"))
    elif not trains or "--dry_run" in words:
        assert out.strip() and not made
    elif "--resume" in words:
        assert not made
    else:
        (folder,) = made
        assert (folder / "reals.png").is_file() and list(folder.glob("network-snapshot-*.pt"))
        length = "total_epochs" if "--total_epochs" in words else "total_kimg"
        assert stored_config(folder)[length] == float(words[len(words) - words[::-1].index(f"--{length}")])
    if "--save_dataset" in words:
        assert Path(words[words.index("--save_dataset") + 1]).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("bash"), ids=name_of)
def test_every_command_runs(
    page: Path, template: Path, laid_out: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    laid_out(page)
    for block in blocks(page):
        if block.language == "bash":
            shutil.rmtree("results/007-piano")  # an earlier block may have continued with it
            shutil.copytree(template / "results" / "007-piano", "results/007-piano")
            for line in commands(block):
                run_command(line, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_every_python_example_runs(
    page: Path,
    laid_out: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laid_out(page)

    def shortened(config: Any, overrides: dict[str, Any], base: Any = None) -> Any:
        return resolve_overrides(
            config, {**overrides, **SHORT, **GROWING, **DATA["TonesDataset"], "total_kimg": KIMG}, base
        )

    monkeypatch.setattr(launch, "resolve_overrides", shortened)
    scope: dict[str, Any] = {"__name__": "example"}
    for block in blocks(page):
        if block.language == "python" and "@register(" not in block.text:
            exec(compile(block.text, str(page), "exec"), scope)
        elif block.language == "python":
            for name in re.findall(r"^@register\(.*\)\nclass (\w+)", block.text, re.MULTILINE):
                assert main(["components", name]) == 0
                assert f"--{name}." in capsys.readouterr().out


@pytest.mark.usefixtures("own_plugins")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("curl example.com", "neither"),
        ("pggan train --total_kimgs 3 --print_config", "unknown flag"),
        ("pggan train --SoundImageDataset.n_fft 64 --print_config", "note: --SoundImageDataset.n_fft is given but"),
        ("pggan components Generater", "did you mean 'Generator'"),
    ],
)
def test_lines_that_do_not_hold_fail(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=message):
        run_command(line, capsys)
