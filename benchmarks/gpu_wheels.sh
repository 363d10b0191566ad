#!/bin/sh
# Downloads what benchmarks/gpu.py needs on a machine that has only Python 3.12, torch with CUDA, torchvision, numpy, h5py,
# Pillow, numba, scipy, scikit-learn, Jinja2, PyYAML, tqdm, safetensors, pytest and hypothesis, and no network.
#
#   benchmarks/gpu_wheels.sh gpu_wheels          # about 4 MB; PYTHON_VERSION=3.11 for another Python
#   python benchmarks/gpu.py --out gpu --packages gpu_wheels
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
version=${PYTHON_VERSION:-3.12}
python3 -m pip install --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --upgrade --target "$1" \
    jsonargparse docstring_parser google-crc32c soundfile cffi pycparser soxr \
    librosa lazy_loader msgpack pooch platformdirs requests urllib3 idna certifi charset_normalizer decorator audioread \
    packaging joblib threadpoolctl typing_extensions
du -sh "$1"
