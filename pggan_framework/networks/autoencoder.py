"""The auto-encoder discriminator of BEGAN (Berthelot et al. 2017, arXiv 1703.10717)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import Verdict
from pggan_framework.networks.layers import ScaledLinear
from pggan_framework.networks.pggan import Discriminator, Generator
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth


@register("discriminator")
class AutoencoderDiscriminator(Discriminator):
    """A growing auto-encoder: the PGGAN discriminator encodes an image, a network like the PGGAN generator decodes it.

    The score of an image is the negative mean absolute error of its reconstruction: a better reconstruction means a
    more realistic image. By default neither half normalizes its feature maps, so the code can represent contrast.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: base number of feature maps; at 2**k pixels there are fmap_base / 2**((k - 1) * fmap_decay), at most
            fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: largest number of feature maps.
        hidden_size: size of the code.
        wscale: use an equalized learning rate: weights are scaled at run time.
        leakyrelu: use leaky ReLU with slope 0.2 instead of ReLU.
        kernel_size: side of the convolution kernels; odd.
        fused_downscale: average 2x2 boxes between the second convolution and its activation, which is faster than after
            the activation.
        label_space: labels of the images; passed by the data. The encoder then also predicts the label of an image.
        dropout: dropout rate before the penultimate layer of the encoder.
        block_dropout: dropout rate after each encoder block but the last.
        norm: normalize feature maps after each convolution of both halves' blocks: each channel of a sample (instance),
            each sample (layer), or each value by the neighbouring channels (local_response).
        spectral_norm: divide every weight of both halves by its largest singular value; with wscale, after scaling it.

    Raises:
        UserError: if the code would be empty, or another parameter is outside its limits.
    """

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        fmap_base: int = 8192,
        fmap_decay: float = 1.0,
        fmap_max: int = 512,
        hidden_size: int = 64,
        wscale: bool = True,
        leakyrelu: bool = True,
        kernel_size: int = 3,
        fused_downscale: bool = True,
        label_space: LabelSpace | None = None,
        dropout: float = 0.0,
        block_dropout: float = 0.0,
        norm: Literal["none", "instance", "layer", "local_response"] = "none",
        spectral_norm: bool = False,
    ) -> None:
        if hidden_size < 1:
            raise UserError(f"AutoencoderDiscriminator.hidden_size {hidden_size} is not allowed; allowed: 1 and up")
        super().__init__(
            shape,
            fmap_base,
            fmap_decay,
            fmap_max,
            wscale,
            leakyrelu,
            kernel_size,
            mbstd="none",
            fused_downscale=fused_downscale,
            dropout=dropout,
            label_space=label_space,
            block_dropout=block_dropout,
            norm=norm,
            spectral_norm=spectral_norm,
        )
        features = self.score.weight.shape[1]
        del self.score  # the score comes from the reconstruction error, not from a layer
        self.code = ScaledLinear(features, hidden_size, 1.0, wscale, spectral=spectral_norm)
        self.decoder = Generator(
            self.growth,
            fmap_base,
            fmap_decay,
            fmap_max,
            hidden_size,
            normalize_latents=False,
            wscale=wscale,
            pixelnorm=False,
            leakyrelu=leakyrelu,
            kernel_size=kernel_size,
            norm=norm,
            spectral_norm=spectral_norm,
        )

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Score images [N, C, h, w]: scores [N], codes [N, hidden_size] as features, reconstructions [N, C, h, w].

        Args:
            images: [N, C, h, w] at the current depth.
            labels: [N, width] or None; ignored, since this discriminator predicts them.
            parts: number of equal batches in `images`; each image is processed independently.

        Raises:
            ValueError: if labels are given to an unconditioned network, or the images do not have the shape of the
                current
                depth.
        """
        features = self.encode(images, labels, parts)
        code = self.code(features)
        reconstruction: Tensor = self._decoder()(code)
        error = (images - reconstruction).abs().mean((1, 2, 3))
        logits = self.classify(features) if self.classify is not None else None
        return Verdict(-error, code, logits, reconstruction)

    def used(self) -> Iterable[nn.Module]:
        """The modules in use of the encoder and the decoder."""
        decoder = self._decoder()
        deeper = set(decoder.modules()) - {*decoder.used()}
        return [module for module in super().used() if module not in deeper]

    def _decoder(self) -> Generator:
        """The decoder at this network's depth and alpha."""
        decoder = self.decoder
        decoder.depth, decoder._whole = self.depth, self._whole
        # The same tensor, not a copy: an in-place write to a tensor saved by an earlier pass would break its backward
        # pass.
        decoder.alpha_value = self.alpha_value
        return decoder
