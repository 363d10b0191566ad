"""Losses: sums of terms over what one update can see."""

from pggan_framework.losses.base import Loss, StepContext, Term
from pggan_framework.losses.penalties import Drift, GradientPenalty
from pggan_framework.losses.wgan import WGANGP

__all__ = ["WGANGP", "Drift", "GradientPenalty", "Loss", "StepContext", "Term"]
