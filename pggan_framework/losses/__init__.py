"""Losses: sums of terms over the context of one update."""

from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.began import BEGAN
from pggan_framework.losses.consistency import Consistency
from pggan_framework.losses.context import Progress, StepContext
from pggan_framework.losses.diversity import GDPP, PullAway
from pggan_framework.losses.gradient_penalties import R1, R2, GradientPenalty, ZeroGP
from pggan_framework.losses.hinge import HingeGAN
from pggan_framework.losses.least_squares import LSGAN
from pggan_framework.losses.logistic import LogisticGAN
from pggan_framework.losses.path_length import PathLength
from pggan_framework.losses.penalty import Penalty
from pggan_framework.losses.relativistic import RelativisticAverageGAN, RelativisticGAN
from pggan_framework.losses.score_penalties import TV, Drift
from pggan_framework.losses.self_supervision import SelfSupervision
from pggan_framework.losses.standard import StandardGAN
from pggan_framework.losses.unrolled import UnrolledD
from pggan_framework.losses.wgan import WGANGP

__all__ = [
    "BEGAN",
    "GDPP",
    "LSGAN",
    "R1",
    "R2",
    "TV",
    "WGANGP",
    "Consistency",
    "Drift",
    "GradientPenalty",
    "HingeGAN",
    "LogisticGAN",
    "Loss",
    "PathLength",
    "Penalty",
    "Progress",
    "PullAway",
    "RelativisticAverageGAN",
    "RelativisticGAN",
    "SelfSupervision",
    "StandardGAN",
    "StepContext",
    "Term",
    "UnrolledD",
    "ZeroGP",
]
