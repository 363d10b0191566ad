"""A program that prepares images slowly enough to be killed on the way; a block has one image."""

from __future__ import annotations


def program(work: str) -> str:
    """Its text; arguments are the images' folder and the file to make.

    Args:
        work: the call that prepares `plan` into `out`.
    """
    return f"""
import sys, time
from pathlib import Path
from pggan_framework.data.prepare import images, shards
from pggan_framework.data.images.fitting import Fitting
from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.sources.opening import open_source
images.BLOCK = 1
fit = Fitting.picture
Fitting.picture = lambda self, image: (time.sleep(0.1), fit(self, image))[1]
source, out = map(Path, sys.argv[1:])
plan = make_plan(open_source(source), "s", Options(mirror=True), 2)
{work}
"""
