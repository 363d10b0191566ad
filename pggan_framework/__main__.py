"""``python -m pggan_framework`` runs ``pggan``, also with torchrun: ``torchrun -m pggan_framework evaluate``."""

import sys

from pggan_framework.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
