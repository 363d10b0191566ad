"""What makes training fast on CPUs: kernels of our own, and how memory is kept."""
