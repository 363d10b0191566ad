"""A stand-in for a trained model: its images are sines of the labelled pitch, so that tuning can be measured."""

from __future__ import annotations

import numpy as np
import torch

from pggan_framework.audio import build_codec
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.schedules.growth import Growth

RATE = 16000
SECONDS = 0.512


def hertz(pitch: float) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


class Sines(GeneratorBase):
    """Latent [2], label -> the encoded sine of the label's pitch; louder by velocity, brighter by the latent."""

    def __init__(self, codec, space):
        super().__init__(Growth.of(codec.shape), 2, space)
        self.codec = codec
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, latents, labels=None):
        self.check_labels(labels, len(latents))
        self.calls += len(latents)
        pictures = []
        for row, latent in enumerate(latents):
            known, start = {}, 0
            for attribute in self.label_space.attributes if self.label_space else ():
                block = labels[row, start : start + len(attribute.values)]
                known[attribute.name] = attribute.values[int(block.argmax())]
                start += len(attribute.values)
            pitch = float(known.get("pitch", 60 + 12 * torch.sigmoid(latent[0])))
            level = 0.25 * float(known.get("velocity", 127)) / 127
            time = np.arange(self.codec.samples) / self.codec.sample_rate
            bright = float(torch.sigmoid(latent[1])) * 0.5
            phase = 2 * np.pi * hertz(pitch) * time
            wave = level * (np.sin(phase) + bright * np.sin(2 * phase))
            if self.codec.channels == 2:
                wave = np.stack([wave, 0.5 * wave])
            pictures.append(self.codec.encode(wave.astype(np.float32)))
        return torch.from_numpy(np.stack(pictures))


def sines(name="complex", channels=1, **values):
    """A model of sines, labelled with the attributes given: ``sines(pitch=(57, 60))``."""
    codec = build_codec(name, sample_rate=RATE, n_fft=256, hop_length=64, frames=128, channels=channels)
    time = np.arange(codec.samples) / RATE
    codec.fit(
        [
            np.sin(2 * np.pi * pitch * time).astype(np.float32) * np.ones((channels, 1), np.float32)
            for pitch in (220, 440)
        ]
    )
    space = (
        LabelSpace(tuple(Attribute(key, tuple(map(str, texts))) for key, texts in values.items())) if values else None
    )
    rows = counts = None
    if space:
        rows = np.stack(np.meshgrid(*[np.arange(size) for size in space.sizes], indexing="ij"), -1).reshape(
            -1, len(values)
        )
        counts = np.ones(len(rows), np.int64)
    return Pretrained(Sines(codec, space).eval(), codec, 120_000, {}, (-1.0, 1.0), rows, counts)


def frequency(wave):
    """The pitch of a sound [T] in Hz: the highest peak of its spectrum, between bins by a parabola in dB."""
    windowed = np.asarray(wave, np.float64) * np.blackman(len(wave))
    power = np.log(np.abs(np.fft.rfft(windowed, 8 * len(wave))) + 1e-12)
    top = int(power.argmax())
    before, peak, after = power[top - 1 : top + 2]
    return (top + 0.5 * (before - after) / (before - 2 * peak + after)) * RATE / (8 * len(wave))


def cents(found, pitch):
    return 1200 * np.log2(found / hertz(pitch))
