"""``python train.py --config configs/tones.yaml`` runs ``pggan train --config configs/tones.yaml``."""

import sys

from pggan_framework.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
