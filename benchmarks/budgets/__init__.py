"""What the Triton kernels take of a GPU, read off their compiled code; no GPU is needed to compile them."""
