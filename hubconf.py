"""For ``torch.hub.load("user/pggan_framework", "pggan", FILE_OR_URL)``: a trained generator, with what it needs."""

dependencies = ["torch", "numpy", "yaml"]


def pggan(model, weights=None, depth=None):
    """A trained model: `.sample(4, seed=0)` makes pictures [4, C, h, w] in [-1, 1], `.decode(pictures)` sound of them.

    Args:
        model: a checkpoint, a run's folder, exported weights (.safetensors) or their folder; or the address of a
            checkpoint or of exported weights, whose JSON lies beside them. What is downloaded is kept in torch's own
            folder.
        weights: "ema", the averaged generator, or "raw"; by default ema, or whichever was exported.
        depth: of its pictures; the deepest trained by default.
    """
    from pggan_framework.models.hub import load_generator

    return load_generator(model, weights, depth)
