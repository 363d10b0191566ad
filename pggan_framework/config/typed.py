"""Flag names of other programs and common guesses, with the flags to use instead."""

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
_WEIGHTS = "use --resume_network CHECKPOINT for its weights, or --resume latest to continue a run"
_PENALTY = "use --iwass_lambda (WGAN-GP), or --penalties ['R1'] and --R1.weight"
_CLIP_LENGTH = "use --SoundImageDataset.frames (a spectrogram covers frames x hop_length samples)"
_WIDTH = "use --Generator.fmap_base and --Generator.fmap_max, and those of --discriminator"
_LABELS = "use --SoundImageDataset.labels ['folder'], or --DefaultImageFolderDataset.labels"
_RANKS = "run under torchrun, one process per GPU, or use --device cuda"
_CHANNELS = "use --DefaultImageFolderDataset.imread_mode or --SoundImageDataset.channels"
_NETWORKS = "use --generator NAME and --discriminator NAME"
_LOGGERS = "use --loggers with TensorBoardLogger, WandbLogger, TrackioLogger or CometLogger"
_DECAY = "use --plugins ['LRScheduler'] and --LRScheduler.G_lr_decay, or --by_progress"
_AUGMENT = "use --augmentations, or of waves --SoundImageDataset.vary_level_db and vary_pitch"

TYPED = {
    **dict.fromkeys(("data", "dataset", "data_dir", "dataroot", "data_path", "path", "input", "root"), _DATA),
    **dict.fromkeys(("lr", "learning_rate", "g_lr", "d_lr", "lr_g", "lr_d"), _RATES),
    **dict.fromkeys(("lr_decay", "scheduler", "lr_scheduler", "lr_policy"), _DECAY),
    **dict.fromkeys(("warmup", "warmup_steps", "warmup_kimg"), "use --lr_rampup_kimg"),
    **dict.fromkeys(("batch", "batch_size", "bs", "batchsize"), _BATCH),
    **dict.fromkeys(("seed", "manual_seed", "manualseed"), _SEED),
    **dict.fromkeys(("epochs", "kimg", "steps", "iterations", "num_epochs", "max_steps", "niter"), _LENGTH),
    **dict.fromkeys(("max_epochs", "n_epochs", "total_steps", "train_steps", "num_iterations", "max_iter"), _LENGTH),
    **dict.fromkeys(("image_snapshot_ticks", "sample_every", "sample_interval", "display_freq"), _SAMPLES),
    **dict.fromkeys(("n_samples", "num_samples"), "use --OutputGenerator.samples_count"),
    **dict.fromkeys(("log_interval", "log_every", "print_freq"), "use --DepthManager.tick_kimg_default"),
    **dict.fromkeys(("snap", "save_every", "checkpoint_interval", "save_freq"), _CHECKPOINTS),
    **dict.fromkeys(("soundsaver.mode", "soundsaver.ending", "soundsaver.extension", "soundsaver.kind"), _FORMAT),
    **dict.fromkeys(("size", "resolution", "image_size", "imagesize", "res", "img_size", "imsize"), _SIZE),
    **dict.fromkeys(("crop_size", "load_size", "loadsize", "fine_size", "finesize"), _SIZE),
    **dict.fromkeys(("sample_rate", "sr", "rate", "soundimagedataset.sample_rate", "soundimagedataset.sr"), _RATE),
    **dict.fromkeys(("hop_size", "hop", "hop_len"), "use --SoundImageDataset.hop_length"),
    **dict.fromkeys(("fft_size", "win_length", "window_size"), "use --SoundImageDataset.n_fft"),
    **dict.fromkeys(("n_mels", "num_mels", "mel_bins"), "use --SoundImageDataset.bins, with img_mode mellog or ifmel"),
    **dict.fromkeys(("duration", "audio_length", "segment_length", "clip_length", "slice_len"), _CLIP_LENGTH),
    **dict.fromkeys(("gpu", "cuda", "cpu", "no_cuda"), _DEVICE),
    **dict.fromkeys(("gpus", "gpu_ids", "ngpu", "num_gpus", "device_ids", "world_size", "nproc_per_node"), _RANKS),
    **dict.fromkeys(("threads", "num_threads"), "set OMP_NUM_THREADS, and use --num_data_workers for reading"),
    **dict.fromkeys(("outdir", "out", "output", "output_dir", "save_dir", "outf", "logdir", "log_dir"), _WHERE),
    **dict.fromkeys(("tensorboard", "wandb", "use_wandb", "logger", "report_to"), _LOGGERS),
    **dict.fromkeys(("name", "run_name", "experiment"), "use --exp_name"),
    **dict.fromkeys(("cfg", "conf", "options"), "use --config FILE"),
    **dict.fromkeys(("model", "arch", "network", "backbone"), _NETWORKS),
    **dict.fromkeys(("loss_type", "gan_mode", "criterion"), "use --loss NAME"),
    **dict.fromkeys(("workers", "num_workers"), "use --num_data_workers"),
    **dict.fromkeys(("beta1", "beta2", "b1", "b2"), "use --Adam.betas 0,0.99"),
    **dict.fromkeys(("grad_clip", "clip_grad", "max_grad_norm"), "use --Adam.clip_norm"),
    **dict.fromkeys(("n_critic", "d_steps", "critic_iters", "ncritic"), "use --Trainer.D_training_repeats"),
    **dict.fromkeys(("gamma", "lambda_gp", "gp_weight", "gp_lambda", "r1_gamma", "r1", "gp"), _PENALTY),
    **dict.fromkeys(("latent", "nz", "z_dim", "latent_dim"), "use --Generator.latent_size"),
    **dict.fromkeys(("ngf", "ndf", "cbase", "cmax", "capacity"), _WIDTH),
    **dict.fromkeys(("nc", "n_channels"), _CHANNELS),
    **dict.fromkeys(("cond", "conditional", "class_cond", "num_classes", "labels"), _LABELS),
    **dict.fromkeys(("aug", "augment", "augpipe"), _AUGMENT),
    **dict.fromkeys(("flip", "hflip", "mirror"), "use --DefaultImageFolderDataset.mirror True"),
    **dict.fromkeys(("fp16", "amp", "bf16", "mixed_precision"), "use --precision bf16 or auto"),
    **dict.fromkeys(("checkpoint", "ckpt", "load", "restore", "resume_from"), "use --resume latest, or a run's folder"),
    **dict.fromkeys(("resume_pkl", "pretrained", "finetune", "transfer", "init_from", "weights"), _WEIGHTS),
    **dict.fromkeys(("verbose", "v"), "use --debug True for tracebacks"),
    **dict.fromkeys(("quiet", "silent"), "use --verbosity quiet"),
}
"""A flag in lower case with ``_`` -> the hint."""
