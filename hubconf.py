"""Entry point of ``torch.hub.load("user/pggan_framework", "pggan", FILE_OR_URL)``: a trained generator."""

dependencies = ["torch", "numpy", "yaml"]


def pggan(model, weights=None, depth=None):
    """Load a trained model: `.sample(4, seed=0)` gives images [4, C, h, w] in [-1, 1], `.decode(pictures)` sounds.

    Args:
        model: a checkpoint, a run's folder, exported weights (.safetensors) or their folder; or the URL of a checkpoint
            or of exported weights, with their JSON next to them. Downloads are kept in torch's own folder.
        weights: "ema" for the EMA generator, or "raw" (default: ema, or whichever was exported).
        depth: of its images (default: the deepest trained).
    """
    from pggan_framework.models.hub import load_generator

    return load_generator(model, weights, depth)
