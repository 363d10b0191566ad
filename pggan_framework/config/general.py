"""The general flags: components, length, device and output of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pggan_framework.errors import UserError

TOTAL_KIMG = 3000.0
"""Default length of a run in kimg."""


@dataclass(frozen=True)
class General:
    """The flags that do not belong to a component.

    Args:
        exp_name: name of the run; if not given, the name of the config file or dataset.
        result_dir: folder that receives the run folders.
        dataset_class: dataset to train on.
        generator: generator network, G.
        discriminator: discriminator network, D.
        loss: adversarial loss.
        penalties: penalties that are added to the loss, by name.
        augmentations: random changes of the images that D sees, in order.
        schedule: growth schedule; None uses DepthManager's phases.
        optimizer: optimizer of both networks.
        by_depth: parameter values for each depth, such as {G_lr_max: {0: 0.003, 5: 0.001}}.
        by_progress: values by fraction of the training, such as {R1.weight: {0: 1, 1: 0.1}}.
        plugins: additional trainer plugins, by name.
        plugin_dirs: folders of user-defined components; their .py files are loaded.
        postprocessors: savers of samples; None selects the savers that fit the data.
        loggers: loggers of metrics, images and sounds.
        progressive_growing: grow depth by depth; False: full size from the first step.
        minibatch_size: number of images per step, unless DepthManager sets another number.
        micro_batch: largest micro-batch; larger batches accumulate gradients, with the same result.
        activation_checkpointing: recompute feature maps: auto (if memory is scarce), never or always.
        total_kimg: length of the run in thousand real images.
        total_epochs: length of the run in passes over the data, instead of total_kimg.
        minutes: wall-clock budget of this run, start-up and saving included.
        lr_rampup_kimg: length of the learning rate ramp-up, in thousand images.
        G_lr_max: learning rate of the generator after the ramp-up.
        D_lr_max: learning rate of the discriminator after the ramp-up.
        random_seed: random seed.
        num_data_workers: number of data loading processes; 0 loads in the main process.
        comet_key: API key of comet.com, never stored; enables CometLogger.
        comet_project_name: project on comet.com.
        iwass_lambda: weight of the gradient penalty; alias of the loss's parameter.
        iwass_epsilon: weight of the drift term; alias of the loss's parameter.
        iwass_target: target gradient norm; alias of the loss's parameter.
        checkpoints_dir: folder for checkpoints; if not given, the folder of the run.
        save_dataset: .h5 file to write the prepared data to.
        load_dataset: .h5 file to read prepared data from.
        resume: run to resume: 'latest', a run folder or a checkpoint.
        resume_network: checkpoint with the initial weights.
        allow_config_change: resume although the config has changed.
        moved_data: resume with the same data in another folder.
        device: device to train on: auto, cpu, cuda, cuda:1 or mps.
        precision: fp32, tf32 (rounded products), bf16 (fp32 penalties) or auto (by GPU type).
        deterministic: bit-exact resume on a GPU, at the cost of speed.
        compile: use of torch.compile for gradients: never, always, or auto (long phases only).
        kernels: CPU convolutions: auto, native (our own) or torch (PyTorch's).
        dry_run: check data and config, print the plan, train nothing.
        verbosity: terminal output: quiet (-q), normal, or verbose (-v).
        debug: show tracebacks of errors.
    """

    exp_name: str | None = None
    result_dir: str = "results"
    dataset_class: str = "TonesDataset"
    generator: str = "Generator"
    discriminator: str = "Discriminator"
    loss: str = "WGANGP"
    penalties: list[str] = field(default_factory=list)
    augmentations: list[str] = field(default_factory=list)
    schedule: str | None = None
    optimizer: str = "Adam"
    by_depth: dict[str, dict[int, Any]] = field(default_factory=dict)
    by_progress: dict[str, dict[float, Any]] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)
    plugin_dirs: list[str] = field(default_factory=lambda: ["plugins"])
    postprocessors: list[str] | None = None
    loggers: list[str] = field(default_factory=lambda: ["TeeLogger", "JSONLLogger", "ProgressLogger"])
    progressive_growing: bool = True
    minibatch_size: int = 16
    micro_batch: int | None = None
    activation_checkpointing: Literal["auto", "never", "always"] = "auto"
    total_kimg: float = TOTAL_KIMG
    total_epochs: float | None = None
    minutes: float | None = None
    lr_rampup_kimg: float = 40.0
    G_lr_max: float = 0.001
    D_lr_max: float = 0.001
    random_seed: int = 1337
    num_data_workers: int = 0
    comet_key: str = field(default="", repr=False)
    comet_project_name: str = ""
    iwass_lambda: float | None = None
    iwass_epsilon: float | None = None
    iwass_target: float | None = None
    checkpoints_dir: str = ""
    save_dataset: str = ""
    load_dataset: str = ""
    resume: str = ""
    resume_network: str = ""
    allow_config_change: bool = False
    moved_data: bool = False
    device: str = "auto"
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    deterministic: bool = False
    compile: Literal["auto", "never", "always"] = "auto"
    kernels: Literal["auto", "native", "torch"] = "auto"
    dry_run: bool = False
    verbosity: Literal["quiet", "normal", "verbose"] = "normal"
    debug: bool = False

    def __post_init__(self) -> None:
        if self.micro_batch is not None and self.micro_batch < 1:
            raise UserError(f"micro_batch {self.micro_batch} is not allowed; allowed: 1 and up, or None")
        for name in ("minibatch_size", "total_kimg"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} {getattr(self, name)} is not above 0")
        for name in ("total_epochs", "minutes"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UserError(f"{name} {getattr(self, name)} is not above 0")
        if self.total_epochs is not None and self.total_kimg != TOTAL_KIMG:
            raise UserError(
                f"total_kimg {self.total_kimg:g} and total_epochs {self.total_epochs:g} are given; allowed: one of them"
            )
        for name in ("lr_rampup_kimg", "G_lr_max", "D_lr_max", "num_data_workers"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} {getattr(self, name)} is below 0")


LOSS_ALIASES = ("iwass_lambda", "iwass_epsilon", "iwass_target")
"""General flags that are aliases of parameters of the loss; a resolved config contains only the parameters."""

UNSTORED = frozenset(
    {"comet_key", "resume", "allow_config_change", "moved_data", "dry_run", "verbosity", "debug", *LOSS_ALIASES}
)
"""General flags omitted from resolved configs: the secret, the aliases, and flags that affect one call only."""
