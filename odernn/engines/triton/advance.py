"""`advance`: all samples of a block of rows, the state in registers and the loop over time inside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from solvers.extend import Entry

from ..linear_method import linear_method
from .blocks import scaled, times
from .elementwise import write_values
from .plans import Advance
from .source import compiled
from .writer import Writer

_SIGNATURE = (
    "y0, weight, samples, input_weight, bias, before, dt, weights, previous, blocks, numbers, "
    "saved, last, other, length, batch"
)


@cache
def advance_kernel(plan: Advance) -> Any:
    """The kernel."""
    return compiled("advance", advance_text(plan))


def advance_text(plan: Advance) -> str:
    """Its text."""
    return _Writer(plan).text("advance", _SIGNATURE, ("length", "batch"))


class _Writer(Writer):
    """Writes the body."""

    def __init__(self, plan: Advance) -> None:
        super().__init__(plan.layout, plan.substeps, plan.blocks_vary, plan.lengths)
        self.plan = plan
        self.controls = plan.trace.controls
        self.control_names = [(j, part) for j in range(self.controls) for part in self.parts]

    def write(self) -> None:
        plan, source, layout = self.plan, self.source, self.layout
        self.write_places()
        layout.write_weight(source, transposed=True)
        self.write_common_matrices("length")
        if plan.inputs is not None:
            self._write_input_map()
        self._write_numbers()
        self.load_states("y", "y0")
        if self.two_states:
            self.load_states("z", "previous")
        source("at = tl.zeros((), tl.int64)")
        self._write_loads("at", "")
        if plan.hold == "linear":
            self._write_before()
        if self.lengths:
            source("length = tl.minimum(length, tl.max(until))")
        with self.each("t", "length"):
            self._write_sample()
        self.store_states(self.named("y"), "last")
        if self.two_states:
            self.store_states(self.named("z"), "other")

    def _write_sample(self) -> None:
        """One sample: its control, the steps, and the loads of the next, which are under way meanwhile.

        Where K is streamed, a product takes long enough for the loads of its own sample, and registers are short.
        """
        plan, source, ahead = self.plan, self.source, self.layout.stream is None
        if ahead:
            source("ahead = tl.minimum(at + 1, length.to(tl.int64) - 1)")
        self._write_loads("ahead" if ahead else "at", "_next" if ahead else "")
        self._write_control()
        self._write_step()
        self.write_own_matrices()
        if self.lengths:
            source("on = at < until")
        if plan.substeps == 1:
            self._write_own_step()
        else:
            with self.each("k", str(plan.substeps)):
                self._write_own_step()
        if plan.save and not self.two_states:
            self.store_states(self.named("y"), "saved + at * state")
        if plan.hold == "linear":
            source(*(f"e_{j}_{part} = c_{j}_{part}" for j, part in self.control_names))
        if ahead:
            source(*(f"{name} = {name}_next" for name in self._loaded()))
        source("at += 1")

    def _write_own_step(self) -> None:
        """A solver step of the rows that have not ended."""
        frozen = self.lengths and not self.two_states
        if frozen:
            self.source(*(f"o_{part} = y_{part}" for part in self.parts))
        self.write_solver_step()
        if frozen:
            self.source(*(f"y_{part} = tl.where(on, y_{part}, o_{part})" for part in self.parts))

    def _write_input_map(self) -> None:
        """V and b in registers."""
        layout, source, m = self.layout, self.source, self.plan.inputs
        assert m is not None
        if layout.models:
            size = self.controls * layout.units
            source(f"input_weight += model * {size * m}", f"bias += model * {size}")
        for j, part in self.control_names:
            row = f"({j * layout.units + part * layout.size} + units)"
            source(f"b_{j}_{part} = {layout.load(f'bias + {row}', 'unit_in')}{layout.by_unit}")
            for i in range(m):
                load = layout.load(f"input_weight + {row} * {m} + {i}", "unit_in")
                source(f"v_{i}_{j}_{part} = {load}{layout.by_unit}")

    def _write_numbers(self) -> None:
        """The numbers of the units."""
        layout = self.layout
        for j in range(len(self.plan.trace.u) - self.controls):
            for part in self.parts:
                load = layout.load(f"numbers + {j * layout.units + part * layout.size} + units", "unit_in")
                self.source(f"number_{j}_{part} = {load}{layout.by_unit}")

    def _loaded(self) -> list[str]:
        """What is loaded of a sample."""
        if self.plan.inputs is not None:
            return [f"x_{i}" for i in range(self.plan.inputs)]
        return [f"c_{j}_{part}" for j, part in self.control_names]

    def _write_loads(self, at: str, suffix: str) -> None:
        layout, m = self.layout, self.plan.inputs
        if m is not None:
            for i in range(m):
                address = f"samples + ({at} * batch + rows) * {m} + {i}"
                self.source(f"x_{i}{suffix} = {layout.load(address, 'row_in')}{layout.by_row}")
            return
        width = self.controls * layout.units
        for j, part in self.control_names:
            first = j * layout.units + part * layout.size
            address = f"samples + ({at} * batch + rows){layout.by_row} * {width} + {first} + units{layout.by_unit}"
            self.source(f"c_{j}_{part}{suffix} = {layout.load(address)}")

    def _write_control(self) -> None:
        """The control of the sample, where the kernel makes it."""
        if self.plan.inputs is None:
            return
        for j, part in self.control_names:
            terms = [f"x_{i} * v_{i}_{j}_{part}" for i in range(self.plan.inputs)]
            self.source(f"c_{j}_{part} = " + " + ".join([f"b_{j}_{part}", *terms]))

    def _write_before(self) -> None:
        """The control before the first sample; that of the first itself where none is given."""
        layout, source = self.layout, self.source
        if not self.plan.before:
            self._write_control()
            source(*(f"e_{j}_{part} = c_{j}_{part} + tl.zeros_like(y_0)" for j, part in self.control_names))
            return
        width = self.controls * layout.units
        for j, part in self.control_names:
            first = j * layout.units + part * layout.size
            address = f"before + rows.to(tl.int64){layout.by_row} * {width} + {first} + units{layout.by_unit}"
            source(f"e_{j}_{part} = {layout.load(address)}")

    def _write_step(self) -> None:
        """h, the length of a solver step."""
        source, s = self.source, self.plan.substeps
        match self.plan.step:
            case "number":
                source(f"h = dt / {s}" if s > 1 else "h = dt")
            case "time":
                source(f"h = tl.load(dt + at) / {s}")
            case "rows":
                load = "tl.load(dt + at * batch + rows, mask=row_in, other=0.0)"
                source(f"h = ({load} / {s}){self.layout.by_row}")

    def write_tableau(self) -> None:
        """Y_i = U_i y + h sum A_ij k_j, and y = U y + h sum B_i k_i; a stage may move one part of the state only."""
        layout, source, entries = self.layout, self.source, self.entries
        y = self.named("y")
        for i, c in enumerate(layout.method.c):
            for part in self.parts:
                source(f"s_{part} = {self._sum(entries.flows[i], entries.a[i], y, part)}")
            self._write_slopes(i, self.named("s"), c)
        for part in self.parts:
            source(f"n_{part} = {self._sum(entries.flows[-1], entries.b, y, part)}")
        source(*(f"y_{part} = n_{part}" for part in self.parts))

    def _sum(self, flow: Entry, row: Sequence[Entry], y: list[str], part: int) -> str:
        terms = [times(flow, y, part)]
        for j, entry in enumerate(row):
            if entry.coefficient and part in self.layout.moved(j):
                terms.append(f"h * ({scaled(entry, self.named(f'k_{j}'), part)})")
        return " + ".join(terms)

    def _write_slopes(self, stage: int, state: list[str], node: float) -> None:
        """k_{stage}_{part} for the parts that the stage moves."""
        for part in self.layout.moved(stage):
            self._write_slope(f"k_{stage}_{part}", state, part, node)

    def _write_slope(self, name: str, state: list[str], part: int, node: float) -> None:
        layout, source = self.layout, self.source
        names = {"y": state[part]}
        for group in range(layout.groups):
            for place, other in enumerate(layout.sources(part)):
                onto = f"p_{group}" if place else None
                layout.write_product(source, f"p_{group}", state[other], (group, part, other), onto)
            names[f"p[{group}]"] = f"p_{group}"
        for j in range(len(self.plan.trace.u)):
            of_input = j < self.controls
            names[f"u[{j}]"] = self._control(j, part, node) if of_input else f"number_{j - self.controls}_{part}"
        (slope,) = write_values(source, [self.plan.trace.slope], names, name)
        source(f"{name} = {layout.apart(slope)}")

    def _control(self, j: int, part: int, node: float) -> str:
        """The control at a node of the step."""
        if self.plan.hold == "zero-order":
            return f"c_{j}_{part}"
        s = self.plan.substeps
        fraction = repr(float(node)) if s == 1 else f"((k + {node!r}) / {s})"
        return f"(e_{j}_{part} + {fraction} * (c_{j}_{part} - e_{j}_{part}))"

    def write_shears(self) -> None:
        """Kicks and drifts: each adds to one half along the rate that the other gives."""
        method = self.layout.method
        for i, (part, share, node) in enumerate(zip(method.moved, method.b, method.c, strict=True)):
            self._write_slope(f"k_{i}", ["y_0", "y_1"], part, node)
            self.source(f"y_{part} = y_{part} + {share!r} * h * k_{i}")

    def write_two_states(self) -> None:
        """e z + w y + h s f(y)."""
        source, at = self.source, "at" if self.plan.substeps == 1 else f"(at * {self.plan.substeps} + k)"
        self._write_slope("k_0", ["y_0"], 0, 0.0)
        step = linear_method(self.layout.method).steady
        for place, (name, entry) in enumerate(zip("ews", (step.v[0][1], step.v[0][0], step.b[0][0]), strict=True)):
            address = f"weights + ({at} * 3 + {place}) * batch + rows"
            given = f"{self.layout.load(address, 'row_in')}{self.layout.by_row}"
            source(f"{name} = {given if self.plan.weights else repr(entry.coefficient)}")
        source("n_0 = e * z_0 + w * y_0 + h * s * k_0")
        if self.lengths:
            source("z_0 = tl.where(on, y_0, z_0)", "y_0 = tl.where(on, n_0, y_0)")
        else:
            source("z_0 = y_0", "y_0 = n_0")
        if self.plan.save:
            self.store_states(self.named("y"), f"saved + {at} * state")
