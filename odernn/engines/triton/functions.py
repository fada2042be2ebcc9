"""What Triton's language lacks: elementwise functions in float32, made of exp, and products with a matrix in memory."""

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


@triton.jit
def odernn_rounded(x):
    """x rounded to the ten bits of TF32, half away from zero: what is cut off is carried from bit 12 on."""
    return ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


@triton.jit
def odernn_product(left, right, onto, precision: tl.constexpr):
    """`onto` and the product; of three TF32 products, whose operands are what rounding leaves and what it takes.

    Triton's own "tf32x3" looks for infinities besides, which takes as long as the products where K is read only once.
    """
    if precision == "tf32x3":
        of_left, of_right = odernn_rounded(left), odernn_rounded(right)
        product = tl.dot(left - of_left, of_right, input_precision="tf32")
        product = tl.dot(of_left, right - of_right, acc=product, input_precision="tf32")
        onto += tl.dot(of_left, of_right, acc=product, input_precision="tf32")
    else:
        onto = tl.dot(left, right, acc=onto, input_precision=precision)
    return onto


@triton.jit
def odernn_streamed(
    left,
    onto,
    scratch,
    weight,
    size: tl.constexpr,
    sums: tl.constexpr,
    tile: tl.constexpr,
    ahead: tl.constexpr,
    precision: tl.constexpr,
):
    """`onto` and the product of `left` and a matrix in memory, of which `tile` terms of every sum are read at once.

    A tile in registers cannot be cut into columns, so that `left` goes through `scratch`, which the program has to
    itself. The first barrier keeps it from being overwritten while a slower thread still reads what was there before;
    the second makes what all threads have written visible to all of the block before any of them reads, as reads of
    other threads' tiles begin with the loop. The interpreter has one thread and sees neither.

    Args:
        left: a tile (rows, columns), zero in the columns from `size` on.
        onto: a tile like it.
        scratch: memory for one (rows, columns), of the operands' type.
        weight: the matrix (size, sums), entry (j, k) what column j of the product has of column k of `left`; zero for k
            from `size` on.
        size: columns of the product that are not padding.
        sums: terms of a sum, a multiple of `tile`.
        tile: terms that are read at once.
        ahead: tiles under way or in use at once.
        precision: of the product.
    """
    columns = tl.arange(0, left.shape[1])[None, :]
    rows = tl.arange(0, left.shape[0])[:, None] * left.shape[1]
    tl.debug_barrier()
    tl.store(scratch + rows + columns, left.to(scratch.dtype.element_ty))
    tl.debug_barrier()
    terms = tl.arange(0, tile)
    for k in tl.range(0, sums, tile, num_stages=ahead):
        some = tl.load(scratch + rows + (k + terms)[None, :])
        block = tl.load(weight + columns * sums + (k + terms)[:, None], mask=columns < size, other=0.0)
        onto = odernn_product(some, block, onto, precision)
    return onto
