"""Finds micro-kernels whose inner loop keeps vectors on the stack, copies them or takes them apart.

Run as `python tests/spills.py BINARY`. A micro-kernel is a function of namespace fxsim::isa whose name begins with
`run_`, `take_`, `one_tile`, `one_band` or `one_pass`.
Its hot loops are the innermost ones that multiply vectors. An accumulator that the compiler spills there costs more
than the arithmetic, and nothing else in a build or a test shows it. In the loops of plain products (`one_tile`,
`run_block`, `run_outer`) of x86 whose multiply-add is one instruction, no vector is to be copied from register to
register either: that takes the place of arithmetic. A quantizer (`one_pass`) may keep keys and masks on the stack,
but is to narrow its words a vector at a time, not element by element. Needs the symbols of the binary, and an objdump
that reads it (`--objdump PROGRAM`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

KERNEL = re.compile(
    r"^[0-9a-f]+ <(.*\bfxsim::isa::(?:\w+::|\(anonymous namespace\)::)*"
    r"(?:(?:run|take)_|one_(?:tile|band|pass))\w*.*)>:$"
)
PRODUCT = re.compile(r"\b(?:one_tile|run_block|run_outer)\b")
QUANTIZER = re.compile(r"\bone_pass\b")
NOTHING = re.compile(r"(?!)")
FUNCTION = re.compile(r"^[0-9a-f]+ <.*>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*([^#<]*)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an assembly language writes what matters here; `addresses` has the register that receives a stack address."""

    vector: re.Pattern[str]
    multiply: re.Pattern[str]
    multiply_add: re.Pattern[str]
    jump: re.Pattern[str]
    leave: re.Pattern[str]
    base: re.Pattern[str]
    stack: str
    addresses: str
    copy: re.Pattern[str]
    element: re.Pattern[str]
    written: re.Pattern[str]


X86 = Dialect(
    vector=re.compile(r"%[xyz]mm\d+"),
    multiply=re.compile(r"v?pmadd|vpdp|v?pmul|v?mulp|vfn?m(add|sub)"),
    multiply_add=re.compile(r"vpdp"),
    jump=re.compile(r"j\w+"),
    leave=re.compile(r"jmp|ret"),
    base=re.compile(r"\((%\w+)"),
    stack="%rsp",
    addresses=r"(?:lea\S* [^(]*\((?:{stack})\)|mov\S* (?:{stack})),(%\w+)$",
    copy=re.compile(r"v?mov[ad]\S* +%[xyz]mm\d+,%[xyz]mm\d+$"),
    element=re.compile(r"v?p(extr|insr)"),
    written=re.compile(r"(%r\w+)$"),
)
AARCH64 = Dialect(
    vector=re.compile(r"\b[vqd]\d+\b"),
    multiply=re.compile(r"[su]mlal|[su]mull|[su]dot|usdot|sqdmlal|ml[as]|f?mul|fml[as]"),
    multiply_add=NOTHING,
    jump=re.compile(r"b(\..+)?|cbn?z|tbn?z"),
    leave=re.compile(r"b|br|ret"),
    base=re.compile(r"\[(\w+)"),
    stack="sp",
    addresses=r"(?:add|mov) (x\d+), (?:{stack})(?:,.*)?$",
    copy=NOTHING,
    element=NOTHING,
    written=re.compile(r"^(?!st|cmp|tst)\w+ (x\d+),"),
)


@dataclass(frozen=True, slots=True)
class Instruction:
    address: int
    name: str
    operands: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.operands}"


@dataclass(frozen=True, slots=True)
class Loop:
    """A hot loop: what multiplies there, and which instructions handle a vector as they should not."""

    function: str
    multiplies: frozenset[str]
    wasted: tuple[Instruction, ...]


def kernels(disassembly: Iterable[str]) -> Iterator[tuple[str, list[Instruction]]]:
    """The micro-kernels in what objdump wrote."""
    name, body = "", list[Instruction]()
    for line in disassembly:
        if FUNCTION.match(line):
            if name:
                yield name, body
            kernel = KERNEL.match(line)
            name, body = kernel[1] if kernel else "", []
        elif name and (found := INSTRUCTION.match(line)):
            body.append(Instruction(int(found[1], 16), found[2], found[3].strip()))
    if name:
        yield name, body


def _followers(body: list[Instruction], dialect: Dialect) -> list[list[int]]:
    """For each instruction the places of those that may come next within the function."""
    places = {instruction.address: place for place, instruction in enumerate(body)}
    followers = []
    for place, instruction in enumerate(body):
        after = [] if dialect.leave.fullmatch(instruction.name) or place + 1 == len(body) else [place + 1]
        if dialect.jump.fullmatch(instruction.name):
            target = re.search(r"\b([0-9a-f]+)$", instruction.operands)
            if target and int(target[1], 16) in places:
                after.append(places[int(target[1], 16)])
        followers.append(after)
    return followers


def _cycles(followers: list[list[int]], among: set[int]) -> list[set[int]]:
    """Sets of places from each of which every other one of its set can be reached, by way of `among` only."""
    leaders: dict[int, list[int]] = {place: [] for place in among}
    for place in among:
        for after in followers[place]:
            if after in leaders:
                leaders[after].append(place)

    def visit(start: int, edges: Mapping[int, list[int]] | list[list[int]], seen: set[int]) -> list[int]:
        """Places that can be reached and were not seen before, each after all that can be reached from it."""
        seen.add(start)
        order, path = [], [(start, iter(edges[start]))]
        while path:
            place, rest = path[-1]
            step = next((p for p in rest if p in among and p not in seen), None)
            if step is None:
                order.append(place)
                path.pop()
            else:
                seen.add(step)
                path.append((step, iter(edges[step])))
        return order

    seen: set[int] = set()
    order = [place for start in sorted(among) if start not in seen for place in visit(start, followers, seen)]
    seen = set()
    parts = [set(visit(start, leaders, seen)) for start in reversed(order) if start not in seen]
    return [part for part in parts if len(part) > 1 or any(place in followers[place] for place in part)]


def _innermost(followers: list[list[int]], among: set[int]) -> Iterator[set[int]]:
    """Loops that contain no loop: what still goes round without the places where it is entered."""
    for cycle in _cycles(followers, among):
        entries = {after for place, afters in enumerate(followers) if place not in cycle for after in afters} & cycle
        inner = list(_innermost(followers, cycle - (entries or {min(cycle)})))
        yield from inner or [cycle]


def _stack_registers(body: list[Instruction], loop: set[int], dialect: Dialect) -> set[str]:
    """The registers that hold an address on the stack when a loop is entered, or are given one within."""
    held = {dialect.stack}
    for place, instruction in enumerate(body[: max(loop) + 1]):
        copied = re.match(dialect.addresses.format(stack="|".join(map(re.escape, sorted(held)))), instruction.text)
        if copied:
            held.add(copied[1])
            continue
        written = dialect.written.search(instruction.text)
        if written and place < min(loop) and written[1] != dialect.stack:
            held.discard(written[1])
    return held


def hot_loops(disassembly: Iterable[str], dialect: Dialect) -> Iterator[Loop]:
    """The innermost loops of micro-kernels that multiply vectors, with what they do on the stack."""
    for name, body in kernels(disassembly):
        for loop in _innermost(_followers(body, dialect), set(range(len(body)))):
            vectors = [body[place] for place in sorted(loop) if dialect.vector.search(body[place].operands)]
            multiplies = frozenset(i.name for i in vectors if dialect.multiply.match(i.name))
            if not multiplies:
                continue
            if QUANTIZER.search(name):
                yield Loop(name, multiplies, tuple(i for i in vectors if dialect.element.match(i.name)))
                continue
            held = _stack_registers(body, loop, dialect)
            plain = PRODUCT.search(name) and any(map(dialect.multiply_add.match, multiplies))
            copy = dialect.copy if plain else NOTHING
            yield Loop(
                name,
                multiplies,
                tuple(i for i in vectors if set(dialect.base.findall(i.operands)) & held or copy.match(i.text)),
            )


def disassemble(binary: str, objdump: str) -> list[str]:
    command = [objdump, "--disassemble", "--demangle", "--no-show-raw-insn", "--section=.text", binary]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def check(binary: str, objdump: str = "objdump") -> tuple[list[Loop], Dialect]:
    lines = disassemble(binary, objdump)
    dialect = AARCH64 if any("aarch64" in line for line in lines[:4]) else X86
    return list(hot_loops(lines, dialect)), dialect


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--objdump", default="objdump")
    arguments = parser.parse_args()
    loops, _ = check(arguments.binary, arguments.objdump)
    for loop in loops:
        for instruction in loop.wasted:
            print(f"{loop.function}: at {instruction.address:x} in its inner loop: {instruction.text}")
    multiplies = sorted(frozenset[str]().union(*(loop.multiplies for loop in loops)))
    print(f"{len(loops)} inner loops of {len({loop.function for loop in loops})} micro-kernels: {' '.join(multiplies)}")
    if not loops:
        print(f"no micro-kernel was found in {arguments.binary}; were its symbols stripped?")
    return 1 if not loops or any(loop.wasted for loop in loops) else 0


if __name__ == "__main__":
    sys.exit(main())
