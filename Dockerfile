# docker build -t pggan .
# docker run --rm -v "$PWD:/work" pggan train --config tones
# With a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 -t pggan . and docker run --gpus all
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The compiler builds the kernels for the CPU on first use; without one the program uses torch's.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir torch torchvision --index-url "$TORCH_INDEX"

COPY . /opt/pggan_framework
RUN pip install --no-cache-dir "/opt/pggan_framework[export,video,picture-metrics,tensorboard]"

WORKDIR /work
ENTRYPOINT ["pggan"]
CMD ["--help"]
