"""Codecs: convert waves to spectrogram-like images and back."""

from pggan_framework.audio.base import Codec, Wave
from pggan_framework.audio.build import build_codec, codec_from_state
from pggan_framework.audio.measure import estimate_pitch, spectral_convergence

__all__ = ["Codec", "Wave", "build_codec", "codec_from_state", "estimate_pitch", "spectral_convergence"]
