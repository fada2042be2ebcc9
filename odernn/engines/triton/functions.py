"""Elementwise functions that Triton's language lacks, in float32, from exp alone."""

import triton
import triton.language as tl


@triton.jit
def odernn_expm1(x):
    """exp(x) - 1: below 1/2 a Taylor polynomial of degree 8, whose first neglected term is 2^-8 / 9! = 2^-26 of it."""
    p = 1 / 40320 * x + 1 / 5040
    p = p * x + 1 / 720
    p = p * x + 1 / 120
    p = p * x + 1 / 24
    p = p * x + 1 / 6
    p = p * x + 1 / 2
    return tl.where(tl.abs(x) < 0.5, p * x * x + x, tl.exp(x) - 1)


@triton.jit
def odernn_tanh(x):
    """tanh from m = exp(-2 |x|) - 1, which never overflows: -m / (m + 2) with the sign of x."""
    m = odernn_expm1(-2 * tl.abs(x))
    magnitude = -m / (m + 2)
    return tl.where(x < 0, -magnitude, magnitude)


@triton.jit
def odernn_log1p(x):
    """log(1 + x) with the rounding of 1 + x made good: log(v) x / (v - 1) for v = 1 + x."""
    v = 1 + x
    return tl.where(v == 1, x, tl.log(v) * (x / tl.where(v == 1, 1.0, v - 1)))
