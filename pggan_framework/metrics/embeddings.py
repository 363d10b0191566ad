"""The Frechet distance on features of a network that classifies sound effects."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.metrics.frechet import frechet_distance
from pggan_framework.registry import register

if TYPE_CHECKING:
    from torch import nn

RATE, N_FFT, HOP, MELS = 44100, 2048, 1024, 96
SHORTEST = 100
"""Number of frames in the network's training, 2.3 s; shorter clips are padded with silence."""
BRIGHTEST = 9.457798957824707
"""The largest spectrogram value in the network's training, scaled to 1."""


@cache
def network() -> nn.Module:
    """Load the network of the package aisfx, with the weights in its wheel (CC-BY 4.0), on the CPU.

    Raises:
        UserError: if the package is not installed.
    """
    try:
        from aisfx.inference import get_path_modelWeights
        from aisfx.models.cnn2d import EmbeddingNet
    except ImportError as error:
        raise UserError("the metric embeddings needs the package aisfx; pip install --no-deps aisfx==0.1.2") from error
    import torch

    # The file also contains a numpy scalar, which safe loading accepts only if its constructor and types are
    # registered.
    reader = np.int64(0).__reduce__()[0]
    with torch.serialization.safe_globals([(reader, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype("i8"))]):
        weights, _ = torch.load(get_path_modelWeights(), map_location="cpu", weights_only=True)
    prefix = "embedding_net."
    net: nn.Module = EmbeddingNet("max", 3, 1, 64)
    net.load_state_dict({name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)})
    return net.eval()


def spectrogram(wave: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Return the network's input for a wave [T] normalized to full scale: log10(1 + 10^4 mel power), [frames, 96]."""
    import librosa
    import soxr

    heard = wave if sample_rate == RATE else soxr.resample(wave, sample_rate, RATE)
    heard = heard / (float(np.max(np.abs(heard))) or 1.0)
    mel = librosa.feature.melspectrogram(
        y=heard, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, norm=1.0, htk=True, power=2.0
    )
    levels: NDArray[np.float32] = (np.log10(1 + 1e4 * mel.T) / BRIGHTEST).astype(np.float32)
    return np.pad(levels, [(0, max(0, SHORTEST - len(levels))), (0, 0)])


@register("metric", "embeddings")
class EmbeddingFrechet(Metric):
    """Frechet distance of aiSFX embeddings (512 numbers). It needs the package aisfx and must be selected.

    Ma and Lerch, "Representation learning for the automatic indexing of sound effects libraries", ISMIR 2022. The
    spectrograms are computed with librosa; the paper used Essentia. Levels do not matter: each clip is normalized to
    peak 1.
    """

    name = "embeddings"
    default: ClassVar[bool] = False
    minimum = 64

    def features(self, clips: Clips) -> Features:
        """Return 512 numbers per clip: the maximum over time of the network's last feature maps."""
        import torch

        net = network()
        spectrograms = (torch.from_numpy(spectrogram(wave, clips.sample_rate)) for wave in clips.mono)
        with torch.no_grad():
            return np.concatenate([net(each[None]).double().numpy() for each in spectrograms])

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``embeddings``; 0 is best."""
        self.check_count(reals, others)
        return {self.name: frechet_distance(reals, others)}
