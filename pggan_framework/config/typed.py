"""Flag names from other programs or guessed ones, and the flags to use instead."""

from __future__ import annotations

_DATA = "use --dataset_class NAME and --NAME.dir_path FOLDER, or 'pggan train FOLDER'"
_RATES = "use --G_lr_max and --D_lr_max"
_BATCH = "use --minibatch_size"
_SEED = "use --random_seed"
_LENGTH = "use --total_kimg (thousand images), --total_epochs or --minutes"
_SAMPLES = "use --OutputGenerator.output_snapshot_ticks"
_CHECKPOINTS = "use --SaverPlugin.network_snapshot_ticks or --SaverPlugin.network_snapshot_minutes"
_FORMAT = "use --SoundSaver.format (wav, flac ...)"
_SIZE = "use --DefaultImageFolderDataset.size, or bins and frames of SoundImageDataset"
_RATE = "use --SoundImageDataset.frequency"
_DEVICE = "use --device cpu, cuda or cuda:1"
_WHERE = "use --result_dir"

TYPED = {
    **dict.fromkeys(("data", "dataset", "data_dir", "dataroot", "data_path", "path", "input", "root"), _DATA),
    **dict.fromkeys(("lr", "learning_rate", "g_lr", "d_lr", "lr_g", "lr_d"), _RATES),
    **dict.fromkeys(("batch", "batch_size", "bs", "batchsize"), _BATCH),
    **dict.fromkeys(("seed", "manual_seed", "manualseed"), _SEED),
    **dict.fromkeys(("epochs", "kimg", "steps", "iterations", "num_epochs", "max_steps", "niter"), _LENGTH),
    **dict.fromkeys(("image_snapshot_ticks", "sample_every", "sample_interval"), _SAMPLES),
    **dict.fromkeys(("snap", "save_every", "checkpoint_interval"), _CHECKPOINTS),
    **dict.fromkeys(("soundsaver.mode", "soundsaver.ending", "soundsaver.extension", "soundsaver.kind"), _FORMAT),
    **dict.fromkeys(("size", "resolution", "image_size", "imagesize", "res"), _SIZE),
    **dict.fromkeys(("sample_rate", "sr", "rate", "soundimagedataset.sample_rate", "soundimagedataset.sr"), _RATE),
    **dict.fromkeys(("gpu", "gpus", "cuda", "gpu_ids"), _DEVICE),
    **dict.fromkeys(("outdir", "out", "output", "output_dir", "save_dir", "outf"), _WHERE),
    **dict.fromkeys(("name", "run_name", "experiment"), "use --exp_name"),
    **dict.fromkeys(("workers", "num_workers"), "use --num_data_workers"),
    **dict.fromkeys(("beta1", "beta2", "b1", "b2"), "use --Adam.betas 0,0.99"),
    **dict.fromkeys(("latent", "nz", "z_dim", "latent_dim"), "use --Generator.latent_size"),
    **dict.fromkeys(("flip", "hflip"), "use --DefaultImageFolderDataset.mirror True"),
    **dict.fromkeys(("fp16", "amp", "bf16", "mixed_precision"), "use --precision bf16 or auto"),
    **dict.fromkeys(("checkpoint", "ckpt", "load", "restore", "resume_from"), "use --resume latest, or a run's folder"),
    **dict.fromkeys(("verbose", "v"), "use --debug True for tracebacks"),
}
"""A flag in lower case with ``_`` -> the hint."""
