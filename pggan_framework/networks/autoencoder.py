"""A discriminator that is an auto-encoder, as BEGAN trains it (Berthelot et al. 2017, arXiv 1703.10717)."""

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
    """A growing auto-encoder: the PGGAN discriminator down to a code, and from there a network like its generator.

    Its score of an image is the negative mean absolute error of the reconstruction: the better the reconstruction, the
    more real the image. By default neither half normalises anything, so that the code can keep contrast.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        fmap_base: feature maps of a layer at 2**k pixels: fmap_base / 2**((k - 1) * fmap_decay), at most fmap_max.
        fmap_decay: how fast the number of feature maps falls with the resolution.
        fmap_max: most feature maps of any layer.
        hidden_size: size of the code.
        wscale: equalised learning rate, weights scaled at run time.
        leakyrelu: leaky ReLU with slope 0.2; else ReLU.
        kernel_size: side of the convolutions, odd.
        fused_downscale: take the 2x2 mean between the second convolution and its activation, which is faster; else
            after the activation.
        label_space: labels of the images; passed by the data. The encoder then also predicts the label of an image.
        dropout: dropout rate before the penultimate layer of the encoder.
        block_dropout: dropout rate after each encoder block but the last.
        norm: normalise feature maps after each convolution of both halves' blocks: each channel of a sample
            (instance), each sample (layer), or each value by its neighbouring channels' (local_response).
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
        del self.score  # the score is the error's, not a layer's
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
        """Scores [N], codes [N, hidden_size] as features, and reconstructions [N, C, h, w] of images [N, C, h, w].

        Args:
            images: [N, C, h, w] at the current depth.
            labels: [N, width] or None; not looked at, since this discriminator is to find them.
            parts: how many equal batches `images` are; it looks at each image alone.

        Raises:
            ValueError: if labels are given and it is not conditioned, or the images are not of the current depth's
                shape.
        """
        features = self.encode(images, labels, parts)
        code = self.code(features)
        reconstruction: Tensor = self._decoder()(code)
        error = (images - reconstruction).abs().mean((1, 2, 3))
        logits = self.classify(features) if self.classify is not None else None
        return Verdict(-error, code, logits, reconstruction)

    def used(self) -> Iterable[nn.Module]:
        """Those of the encoder and of the decoder."""
        decoder = self._decoder()
        deeper = set(decoder.modules()) - {*decoder.used()}
        return [module for module in super().used() if module not in deeper]

    def _decoder(self) -> Generator:
        """The decoder at this network's depth and alpha."""
        decoder = self.decoder
        decoder.depth, decoder._whole = self.depth, self._whole
        # The same tensor, not a copy: writing into one that an earlier pass has kept would break its backward.
        decoder.alpha_value = self.alpha_value
        return decoder
