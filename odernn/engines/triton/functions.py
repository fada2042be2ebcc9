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
def odernn_of_three(high, low, right):
    """A product as three of TF32, of a matrix that is `high` - `low`, what rounding leaves and what it adds.

    They are differences, as Triton would make one chain of sums, in which each product waits for the one before.
    """
    of_right = odernn_rounded(right)
    product = tl.dot(high, of_right, input_precision="tf32") - tl.dot(low, of_right, input_precision="tf32")
    return product - tl.dot(high, of_right - right, input_precision="tf32")


@triton.jit
def odernn_meet(arrived, turn, programs: tl.constexpr):
    """Wait until all threads of the programs that share the rows of a block are here; what they wrote, all see then.

    Args:
        arrived: a counter of theirs, zero before the kernel.
        turn: how often they have met.
        programs: how many there are. The grid has them next to one another, so that where some run all will.
    """
    tl.debug_barrier()
    if programs > 1:
        here = tl.atomic_add(arrived, 1, sem="acq_rel") + 1
        while here < (turn + 1) * programs:
            here = tl.atomic_add(arrived, 0, sem="acquire")
        tl.debug_barrier()


@triton.jit
def odernn_gathered(part, units, scratch, arrived, turn, whole: tl.constexpr, programs: tl.constexpr):
    """The state of all units, of which each program that shares the rows has a part: (whole, rows) of (units, rows).

    It goes through `scratch`, as in `odernn_streamed`.
    """
    rows = tl.arange(0, part.shape[1])[None, :] * whole
    place = scratch + turn % 2 * (part.shape[1] * whole)
    tl.store(place + rows + units[:, None], part.to(scratch.dtype.element_ty))
    odernn_meet(arrived, turn, programs)
    return tl.load(place + rows + tl.arange(0, whole)[:, None])


@triton.jit
def odernn_streamed(
    left,
    onto,
    units,
    scratch,
    arrived,
    turn,
    weight,
    size: tl.constexpr,
    sums: tl.constexpr,
    whole: tl.constexpr,
    tile: tl.constexpr,
    ahead: tl.constexpr,
    programs: tl.constexpr,
    precision: tl.constexpr,
):
    """`onto` and the product of a state and a matrix in memory, of which `tile` terms of every sum are read at once.

    A tile in registers cannot be cut into columns, so that `left` goes through `scratch`, which those that share the
    rows have to themselves. All meet before any of them reads. There are two places, taken in turns: who writes to one
    has met the others since they read it, once they had all written to the other. The interpreter has one thread a
    program and sees no barrier within it.

    Args:
        left: the program's tile of the state (rows, columns), zero in the columns from `size` on.
        onto: a tile like it.
        units: of the columns of the tile.
        scratch: memory for twice (rows, whole), of the operands' type.
        arrived: a counter of those that share the rows.
        turn: how many products there were.
        weight: the matrix (size, sums), entry (j, k) what unit j of the product has of unit k of the state; zero for k
            from `size` on.
        size: units of the product that are not padding.
        sums: terms of a sum, a multiple of `tile`.
        whole: columns of all that share the rows.
        tile: terms that are read at once.
        ahead: tiles under way or in use at once.
        programs: that share the rows.
        precision: of the product.
    """
    columns = units[None, :]
    rows = tl.arange(0, left.shape[0])[:, None] * whole
    place = scratch + turn % 2 * (left.shape[0] * whole)
    tl.store(place + rows + columns, left.to(scratch.dtype.element_ty))
    odernn_meet(arrived, turn, programs)
    terms = tl.arange(0, tile)
    for k in tl.range(0, sums, tile, num_stages=ahead):  # pyright: ignore[reportGeneralTypeIssues]
        some = tl.load(place + rows + (k + terms)[None, :])
        block = tl.load(weight + columns * sums + (k + terms)[:, None], mask=columns < size, other=0.0)
        onto = odernn_product(some, block, onto, precision)
    return onto
