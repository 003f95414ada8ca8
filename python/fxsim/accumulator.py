"""How a dot product is summed: what a user asks for (`Accumulator`), and what that means (`resolve`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache

from fxsim.formats import MAX_SIGNED_BITS, MAX_UNSIGNED_BITS, Format, checked_int
from fxsim.rng import ORDINAL_LIMIT
from fxsim.rounding import DEFAULT_OVERFLOW, DEFAULT_ROUNDING, Quantizer, Rounding, parse_overflow, parse_rounding

AT: tuple[str, ...] = ("step", "end")
BIAS_PLACES: tuple[str, ...] = ("after", "preload")
K_ORDERS: tuple[str, ...] = ("kh_kw_cin", "cin_kh_kw")

OPERAND_BITS = 32
OPERAND_FL = 64

_TOKEN = re.compile(r"(?:\[[^\]]*\]|\S)+")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Accumulator:
    """The register that sums the products of a dot product, and everything about it that can change a bit.

    Args:
        format: None for an exact accumulator; an int for that many bits at the products' fractional length, signed if
            what enters it is; or a Format or its text.
        rounding, overflow: what happens to a sum that the format does not hold. Unused where `format` is None, except
            by a bare `product` format.
        at: "step" rounds and overflows after every step, "end" once, after the last.
        product: None if products enter exactly; else the register each is brought into first. A Format or its text
            takes this accumulator's `rounding` and `overflow`; a Quantizer, or a text with modes, brings its own.
        lanes: products that an adder tree sums exactly before they enter as one step.
        chunk: None, or how many consecutive products one fresh accumulator sums, before its result enters `outer`.
        outer: the accumulator of the chunks' results (None: exact); it has no chunk, product, k order or bias place.
        bias: "after" adds a bias to the finished sum, before the output rounding; "preload" starts the outermost
            accumulator with it.
        k_order: the order of a forward convolution's products.

    Raises:
        TypeError: a field has the wrong type.
        ValueError: a field is out of range, or fields contradict each other.
    """

    format: int | Format | None = None
    rounding: Rounding = DEFAULT_ROUNDING
    overflow: str = DEFAULT_OVERFLOW
    at: str = "step"
    product: Quantizer | None = None
    lanes: int = 1
    chunk: int | None = None
    outer: Accumulator | None = None
    bias: str = "after"
    k_order: str = "kh_kw_cin"

    def __init__(
        self,
        format: int | Format | str | None = None,
        rounding: Rounding = DEFAULT_ROUNDING,
        overflow: str = DEFAULT_OVERFLOW,
        at: str = "step",
        product: Quantizer | Format | str | None = None,
        lanes: int = 1,
        chunk: int | None = None,
        outer: Accumulator | None = None,
        bias: str = "after",
        k_order: str = "kh_kw_cin",
    ) -> None:
        rounding, overflow = parse_rounding(rounding), parse_overflow(overflow)
        values = {
            "format": _checked_format(format),
            "rounding": rounding,
            "overflow": overflow,
            "at": _checked_name("at", at, AT),
            "product": _product_register(product, rounding, overflow),
            "lanes": _checked_count("lanes", lanes),
            "chunk": None if chunk is None else _checked_count("chunk", chunk),
            "outer": _checked_outer(outer, chunk),
            "bias": _checked_name("bias", bias, BIAS_PLACES),
            "k_order": _checked_name("k_order", k_order, K_ORDERS),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def parse(text: str) -> Accumulator:
        """The accumulator that a text names; `Accumulator.parse(str(a)) == a`.

        A format ("exact", a bit count, or a format's text), then `name=value` for every field that is not the default,
        separated by spaces; an outer accumulator stands in square brackets.

        Raises:
            ValueError: the text is not of this form, or its values are refused by `Accumulator`.
        """
        return _parse(text)

    def __str__(self) -> str:
        parts = ["exact" if self.format is None else str(self.format)]
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}=[{value}]" if name == "outer" else f"{name}={_written(value)}")
        return " ".join(parts)

    def __repr__(self) -> str:
        return f"Accumulator.parse('{self}')"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An accumulator with no default left: everything a kernel needs to know.

    Attributes:
        product: the product register; None: products are exact.
        inner: format and modes of the accumulator; None: exact.
        at, lanes, chunk: as in `Accumulator`, for `inner`.
        outer: the accumulator of chunk results; None where there are no chunks, or where it is exact.
        outer_at, outer_lanes: the same for `outer`.
        preload: whether a bias starts the outermost accumulator, rounded into it.
        output: the last rounding, site 0: into the named output, or an `after` bias into the outermost register;
            None: the accumulator's integer is the result as it stands.
        result: the format of the result, `output.format` where `output` is given.
    """

    product: Quantizer | None
    inner: Quantizer | None
    at: str
    lanes: int
    chunk: int | None
    outer: Quantizer | None
    outer_at: str
    outer_lanes: int
    preload: bool
    output: Quantizer | None
    result: Format


@dataclass(frozen=True, slots=True)
class _Addend:
    """What enters an accumulator: `count` terms of a word length that need not be a Format (u32 by u32 has 64 bits)."""

    wl: int
    fl: int
    signed: bool
    count: int

    @staticmethod
    def of(format: Format, count: int) -> _Addend:
        return _Addend(format.wl, format.fl, format.signed, count)


@lru_cache(maxsize=4096)
def resolve(
    acc: Accumulator,
    a: Format,
    b: Format,
    k: int,
    *,
    bias: Format | None = None,
    out: Quantizer | None = None,
    product_format: Format | None = None,
    op: str = "matmul",
) -> Resolved:
    """What an accumulator means for one dot product.

    Args:
        acc: the accumulator asked for.
        a, b: formats of the operands.
        k: length of the dot product, 0 or more.
        bias: format of the bias, None if there is none.
        out: the output quantizer, None if none is named.
        product_format: what is summed, where that is no product (a bias gradient sums grad_output); the product
            register is then left out.
        op: the operation's name, for errors.

    Raises:
        ValueError: an operand is wider than 32 bits or has fl outside -64 to 64; `k` is negative; a default format
            falls outside what `Format` holds; or stochastic steps or products outnumber their ordinals (2**21).
    """
    _check_operands(op, a, b)
    if k < 0:
        raise ValueError(f"{op}: k = {k}: a dot product has 0 or more terms")
    product = acc.product if product_format is None else None
    terms = _terms(product, a, b, k, product_format)
    outermost = acc if acc.chunk is None else acc.outer or Accumulator()
    preloaded = bias if acc.bias == "preload" else None
    inner = _register(op, acc, terms, preloaded if acc.chunk is None else None)
    outer: Quantizer | None = None
    entering = terms
    if acc.chunk is not None:
        if inner is not None:
            entering = _Addend.of(inner.format, _ceil_div(k, acc.chunk))
        outer = _register(op, outermost, entering, preloaded)
    last = inner if acc.chunk is None else outer
    output = out
    if output is None and last is not None and bias is not None and preloaded is None:
        output = last
    if output is not None:
        result = output.format
    elif last is not None:
        result = last.format
    else:
        result = _exact_result(entering, bias)
    resolved = Resolved(
        product=product,
        inner=inner,
        at=acc.at,
        lanes=acc.lanes,
        chunk=acc.chunk,
        outer=outer,
        outer_at=outermost.at if acc.chunk is not None else "step",
        outer_lanes=outermost.lanes if acc.chunk is not None else 1,
        preload=preloaded is not None and last is not None,
        output=output,
        result=result,
    )
    _check_ordinals(op, resolved, k)
    return resolved


def _terms(product: Quantizer | None, a: Format, b: Format, k: int, product_format: Format | None) -> _Addend:
    if product_format is not None:
        return _Addend.of(product_format, k)
    if product is not None:
        return _Addend.of(product.format, k)
    return _Addend(a.wl + b.wl, a.fl + b.fl, a.signed or b.signed, k)


def _register(op: str, acc: Accumulator, entering: _Addend, preloaded: Format | None) -> Quantizer | None:
    """Format and modes of a named accumulator; None if it is exact."""
    if acc.format is None:
        return None
    if isinstance(acc.format, Format):
        return Quantizer(acc.format, acc.rounding, acc.overflow)
    signed = entering.signed or (preloaded is not None and preloaded.signed)
    if not signed and acc.format > MAX_UNSIGNED_BITS:
        raise ValueError(
            f"{op}: an accumulator of {acc.format} bits is unsigned here, as what enters it is, "
            f"and unsigned formats have 1 to {MAX_UNSIGNED_BITS}; name its format, such as <{acc.format},{entering.fl}>"
        )
    return Quantizer(Format(acc.format, entering.fl, signed), acc.rounding, acc.overflow)


def _exact_result(terms: _Addend, bias: Format | None) -> Format:
    """The format wide enough for any sum of such terms and such a bias, up to the widest there is."""
    signed = terms.signed or (bias is not None and bias.signed)
    fl = terms.fl if bias is None else max(terms.fl, bias.fl)
    growth = max(terms.count - 1, 0).bit_length()
    wl = terms.wl + growth + fl - terms.fl + int(signed and not terms.signed)
    if bias is not None:
        wl = max(wl, bias.wl + fl - bias.fl + int(signed and not bias.signed)) + 1
    return Format(min(wl, MAX_SIGNED_BITS if signed else MAX_UNSIGNED_BITS), fl, signed)


def _check_operands(op: str, a: Format, b: Format) -> None:
    for name, format in (("a", a), ("b", b)):
        if format.wl > OPERAND_BITS:
            raise ValueError(
                f"{op}: operand {name} is {format}: operands have 1 to {OPERAND_BITS} bits; "
                f"requantize it, or name an output format where it was made"
            )
        if abs(format.fl) > OPERAND_FL:
            raise ValueError(
                f"{op}: operand {name} is {format}: operands have fl from {-OPERAND_FL} to {OPERAND_FL}; "
                f"requantize it, or rescale the data"
            )


def _check_ordinals(op: str, resolved: Resolved, k: int) -> None:
    """Refuses what would run out of random bits, before anything is computed."""
    length = min(resolved.chunk or k, k)
    chunks = _ceil_div(k, resolved.chunk) if resolved.chunk is not None else min(k, 1)
    per_step = length if resolved.at == "end" else resolved.lanes
    whole, rest = divmod(k, length) if length else (0, 0)
    steps = whole * _ceil_div(length, per_step or 1) + _ceil_div(rest, per_step or 1)
    outer_steps = 1 if resolved.outer_at == "end" else _ceil_div(chunks, resolved.outer_lanes)
    for what, quantizer, count in (
        ("products", resolved.product, k),
        ("accumulator steps", resolved.inner, steps),
        ("outer accumulator steps", resolved.outer, outer_steps),
    ):
        if quantizer is not None and quantizer.is_stochastic and count > ORDINAL_LIMIT:
            raise ValueError(
                f"{op}: k = {k} makes {count} stochastic {what} for one output: accepted are up to {ORDINAL_LIMIT}; "
                f"use another rounding there, or split the dot product"
            )


def _ceil_div(n: int, d: int) -> int:
    return -(-n // d)


def _checked_format(format: int | Format | str | None) -> int | Format | None:
    if isinstance(format, str):
        return Format.parse(format)
    if format is None or isinstance(format, Format):
        return format
    bits = checked_int("Accumulator: format", format)
    if not 1 <= bits <= MAX_SIGNED_BITS:
        raise ValueError(f"Accumulator: format = {bits}: an accumulator has 1 to {MAX_SIGNED_BITS} bits")
    return bits


def _product_register(product: Quantizer | Format | str | None, rounding: Rounding, overflow: str) -> Quantizer | None:
    match product:
        case None | Quantizer():
            return product
        case Format():
            return Quantizer(product, rounding, overflow)
        case str():
            try:
                return Quantizer(Format.parse(product), rounding, overflow)
            except ValueError:
                return Quantizer.parse(product)
        case _:
            raise TypeError(f"Accumulator: product = {product!r}: a Quantizer, a Format or a text is needed")


def _checked_outer(outer: Accumulator | None, chunk: int | None) -> Accumulator | None:
    if outer is None:
        return None
    if not isinstance(outer, Accumulator):
        raise TypeError(f"Accumulator: outer = {outer!r}: an Accumulator is needed, not {type(outer).__name__}")
    if chunk is None:
        raise ValueError("Accumulator: outer sums the results of chunks, and chunk is None; give chunk, or drop outer")
    for name in ("chunk", "product", "k_order", "bias"):
        if getattr(outer, name) != _DEFAULTS[name]:
            raise ValueError(
                f"Accumulator: outer has {name} = {_written(getattr(outer, name))}, "
                f"which only the inner accumulator takes; set it there"
            )
    return outer


def _checked_name(name: str, value: str, accepted: tuple[str, ...]) -> str:
    if value not in accepted:
        raise ValueError(f"Accumulator: {name} = {value!r}: accepted are {', '.join(accepted)}")
    return value


def _checked_count(name: str, value: int) -> int:
    count = checked_int(f"Accumulator: {name}", value)
    if count < 1:
        raise ValueError(f"Accumulator: {name} = {count}: 1 or more is needed")
    return count


def _written(value: object) -> str:
    """A field's text. A product register always shows its modes, because a bare format would mean others."""
    if isinstance(value, Quantizer):
        return f"{value.format},{value.rounding},{value.overflow}"
    return str(value)


_DEFAULTS: dict[str, object] = {field.name: field.default for field in fields(Accumulator) if field.name != "format"}


@lru_cache(maxsize=4096)
def _parse(text: str) -> Accumulator:
    first, *rest = _TOKEN.findall(text) or [""]
    format: int | str | None = None if first == "exact" else int(first) if first.isdigit() else first
    given = dict(part.split("=", 1) for part in rest if "=" in part)
    unknown = [part for part in rest if part.split("=", 1)[0] not in _DEFAULTS or "=" not in part]
    if unknown or len(given) != len(rest):
        raise ValueError(
            f"Accumulator: {text!r} is not an accumulator; write 'exact', a bit count or a format, then name=value "
            f"for {', '.join(_DEFAULTS)}, each at most once, separated by spaces"
        )
    outer = given.get("outer")
    return Accumulator(
        format,
        rounding=given.get("rounding", DEFAULT_ROUNDING),
        overflow=given.get("overflow", DEFAULT_OVERFLOW),
        at=given.get("at", "step"),
        product=given.get("product"),
        lanes=_count_text(given.get("lanes", "1")),
        chunk=_count_text(given["chunk"]) if "chunk" in given else None,
        outer=None if outer is None else _parse(outer.removeprefix("[").removesuffix("]")),
        bias=given.get("bias", "after"),
        k_order=given.get("k_order", "kh_kw_cin"),
    )


def _count_text(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"Accumulator: {text!r} is not a count; write a whole number of 1 or more")
    return int(text)
