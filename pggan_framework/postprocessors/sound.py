"""SoundSaver: generated pictures as wav files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, PhaseStart, Wave
from pggan_framework.errors import UserError
from pggan_framework.files import atomic_path
from pggan_framework.growth import Growth
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.registry import register


@register("postprocessor")
class SoundSaver(Postprocessor):
    """Saves each sample of a tick as a 16-bit wav file, decoded by the codec of the data.

    Pictures of every depth are enlarged to full size before they are decoded, so that pitch and length are right from
    the first depth on. Levels are the data's: nothing is normalised; samples beyond full scale are held there.

    Args:
        samples_path: folder of the wav files, inside the run's folder.
        griffin_lim_iter: steps in search of the phases, for codecs that keep none; more sound better and take longer.
        seed: of the first phases; the same seed gives the same files.
        phase_start: phases that the search starts from: ``auto``, those in the picture (``if``, ``ifmel``) or else
            random ones; ``random``; or ``pghi``, phase-gradient heap integration: several dB better, a second a sample.
        refine_iter: Griffin-Lim steps from the phases in a picture of ``if`` or ``ifmel``; they make generated phases
            fit the magnitudes.
        sample_rate: optional, Hz; if given, it must be the codec's.
        hop_length: optional, samples; if given, it must be the codec's.
    """

    def __init__(
        self,
        samples_path: str = "sound",
        griffin_lim_iter: int = 100,
        seed: int = 0,
        phase_start: PhaseStart = "auto",
        refine_iter: int = 16,
        sample_rate: int | None = None,
        hop_length: int | None = None,
    ) -> None:
        for name, steps in (("griffin_lim_iter", griffin_lim_iter), ("refine_iter", refine_iter)):
            if steps < 0:
                raise UserError(f"SoundSaver.{name} {steps} is not allowed; allowed: 0 or more")
        self.samples_path = samples_path
        self.griffin_lim_iter, self.seed = griffin_lim_iter, seed
        self.phase_start, self.refine_iter = phase_start, refine_iter
        self.sample_rate, self.hop_length = sample_rate, hop_length

    def setup(self, directory: Path, growth: Growth, codec: Codec | None) -> None:
        """See `Postprocessor.setup`.

        Raises:
            UserError: if the data are no sound, or their codec differs from a flag that repeats it.
        """
        if codec is None:
            raise UserError("SoundSaver needs data that are sound: these have no codec; take it out of postprocessors")
        for name, given in (("sample_rate", self.sample_rate), ("hop_length", self.hop_length)):
            known = codec.parameters.get(name)
            if given is not None and given != known:
                raise UserError(
                    f"SoundSaver.{name} {given} differs from the data's: codec {codec.name} has"
                    f" {'none' if known is None else known}; leave the flag out, it is taken from there"
                )
        super().setup(directory, growth, codec)

    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        """Decode `samples` [N, C, h, w] in [-1, 1] and write ``fakes_sound_000120_00.wav`` and so on.

        Raises:
            UserError: if a file cannot be written.
        """
        assert self.codec is not None
        height, width = self.growth.shape[1:]
        full = samples.repeat(height // samples.shape[2], axis=2).repeat(width // samples.shape[3], axis=3)
        waves = self.codec.decode(
            full, self.seed, self.griffin_lim_iter, phase_start=self.phase_start, refine_iter=self.refine_iter
        )
        stem = f"{kind}_sound" if kind == "reals" else f"{kind}_sound_{kimg:06d}"
        artifacts = []
        for number, wave in enumerate(waves):
            path = self.directory / self.samples_path / f"{stem}_{number:02d}.wav"
            write_wav(path, wave, self.codec.sample_rate)
            artifacts.append(Artifact("audio", f"{kind}_sound_{number:02d}", path))
        return artifacts


def write_wav(path: Path, wave: Wave, sample_rate: int) -> None:
    """Write a wave [T] or [channels, T] as 16-bit PCM; what is beyond full scale is held there.

    Raises:
        UserError: if the file cannot be written.
    """
    import soundfile

    pcm = np.rint(np.clip(wave.T * 32768.0, -32768, 32767)).astype(np.int16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            soundfile.write(str(temporary), pcm, sample_rate, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot write {path}: {error}") from error
