"""A program that prepares pictures slowly enough to be killed on the way; a block has one picture."""

from __future__ import annotations


def program(modules: str, work: str) -> str:
    """Its text; arguments are the pictures' folder and the file to make.

    Args:
        modules: of `pggan_framework.data`, `picture_preparation` and those that `work` needs.
        work: the call that prepares `plan` into `out`.
    """
    return f"""
import sys, time
from pathlib import Path
from pggan_framework.data import {modules}
from pggan_framework.data.images.fitting import Fitting
from pggan_framework.data.prepare.image_plan import Options, make_plan
from pggan_framework.data.sources.opening import open_source
picture_preparation.BLOCK = 1
picture = Fitting.picture
Fitting.picture = lambda self, image: (time.sleep(0.1), picture(self, image))[1]
source, out = map(Path, sys.argv[1:])
plan = make_plan(open_source(source), "s", Options(mirror=True), 2)
{work}
"""
