"""Golden vectors written by a block, read by others, and computed again."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import pytest
import torch

import fxsim as fx
from fxsim.export import folder
from fxsim.export.manifest import Manifest
from fxsim.rng import philox4x32

INTEGER = fx.Numerics("<8,6>", "<8,4>", grad_output="<9,7>", output="<10,4>,floor,wrap")


def net(numerics: fx.Numerics, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(3)
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, groups=2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 3),
    )
    return fx.convert(plain, numerics, seed=seed)


def image() -> torch.Tensor:
    return torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(4))


def a_step(path: Path, numerics: fx.Numerics = INTEGER, **options: object) -> Manifest:
    model = net(numerics, seed=2**64 - 3)
    with fx.export.vectors(path, **options):
        model(image().requires_grad_()).square().sum().backward()
    return fx.export.read(path)


def raws(path: Path, file: fx.export.WordFile) -> list[list[int]]:
    """A file as a third party reads it: Python's int, nothing of fxsim."""
    sign = 1 << (file.format.wl - 1) if file.format.signed else 0
    flat = [(int(line, 16) ^ sign) - sign for line in (path / file.file).read_text().split("\n")[:-1]]
    width = file.shape[-1]
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def test_a_training_step_is_every_pass_of_every_layer(tmp_path: Path) -> None:
    manifest = a_step(tmp_path / "step", source="a test")
    assert [each.name for each in manifest.vectors] == [
        "0000-0-fwd-g0",
        "0001-0-fwd-g1",
        "0002-3-fwd",
        "0003-3-dgrad",
        "0004-3-wgrad",
        "0005-0-dgrad-g0",
        "0006-0-dgrad-g1",
        "0007-0-wgrad-g0",
        "0008-0-wgrad-g1",
    ]
    assert manifest.source == "a test"
    assert manifest.left_out == (
        "3 wgrad bias_grad: a sum without products",
        "0 wgrad bias_grad: a sum without products",
    )
    files = {file.name for file in (tmp_path / "step").iterdir()}
    assert files == {file.file for each in manifest.vectors for file in each.files} | {"manifest.json"}
    assert fx.export.verify(tmp_path / "step") == manifest


def test_the_files_hold_what_the_layers_gave(tmp_path: Path) -> None:
    model, x = net(INTEGER), image()
    with fx.export.vectors(tmp_path) as written:
        y = model(x)
    assert [each.layer for each in written] == ["0", "0", "3"]
    assert torch.equal(folder.tensor(tmp_path, written[2].output).to_float(), y.detach())
    hidden = torch.cat([folder.tensor(tmp_path, each.output).to_float() for each in written[:2]], dim=1)
    assert torch.equal(hidden.view(2, 4, 4, 4).permute(0, 3, 1, 2), model[0](x).detach())
    assert folder.tensor(tmp_path, written[2].b) == model[3].int_weight().permute(1, 0)
    assert folder.tensor(tmp_path, written[2].bias) == model[3].int_bias()


def test_plain_integers_of_the_files_give_the_accumulator_and_the_output(tmp_path: Path) -> None:
    for each in a_step(tmp_path / "v", passes=("fwd",)).vectors:
        a, b = raws(tmp_path / "v", each.a), raws(tmp_path / "v", each.b)
        [bias] = raws(tmp_path / "v", each.bias)
        sums = [[sum(map(int.__mul__, row, column)) for column in zip(*b, strict=True)] for row in a]
        assert sums == raws(tmp_path / "v", each.accumulated)
        assert (each.accumulated.format.fl, each.output.format) == (10, fx.Format(10, 4))
        exact = [[total + (word << 4) for total, word in zip(row, bias, strict=True)] for row in sums]
        wrapped = [[((total >> 6) + 512) % 1024 - 512 for total in row] for row in exact]
        assert wrapped == raws(tmp_path / "v", each.output)


def unfolded(path: Path, image: fx.export.ImageFile) -> list[list[int]]:
    """The matrix of an image, by the manifest's own words."""
    channels = image.words.shape[3]
    flat = [word for row in raws(path, image.words) for word in row]

    def place(axis: dict[str, int], pixel: int, tap: int) -> int | None:
        position, rest = divmod(pixel * axis["pixel_mul"] + tap * axis["tap_mul"] + axis["offset"], axis["div"])
        return position if rest == 0 and 0 <= position < axis["size"] else None

    def word(n: int, pixel: tuple[int, int], tap: tuple[int, int], channel: int) -> int:
        y, x = place(image.y, pixel[0], tap[0]), place(image.x, pixel[1], tap[1])
        if y is None or x is None:
            return 0
        return flat[((n * image.y["size"] + y) * image.x["size"] + x) * channels + channel]

    pixels, taps = (list(itertools.product(*map(range, sizes))) for sizes in (image.pixels, image.taps))
    assert not image.channel_major
    return [[word(n, at, tap, channel) for *tap, channel in taps] for n, *at in pixels]


def test_operands_of_convolutions_are_their_images_unfolded(tmp_path: Path) -> None:
    layer = fx.nn.Conv2d(2, 3, 3, stride=2, padding=1, numerics=INTEGER)
    x = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(4)).requires_grad_()
    with fx.export.vectors(tmp_path) as written:
        layer(x).square().sum().backward()
    forward, dgrad, wgrad = written
    for each in (forward, dgrad):
        assert unfolded(tmp_path, each.a_image) == raws(tmp_path, each.a)
        assert each.b_image is None
    assert wgrad.b_image.transposed
    assert unfolded(tmp_path, wgrad.b_image) == raws(tmp_path, wgrad.b)
    assert raws(tmp_path, wgrad.b_image.words) == raws(tmp_path, forward.a_image.words)
    assert dgrad.a_image.y == {"pixel_mul": 1, "tap_mul": -1, "offset": 1, "div": 2, "size": 3}
    assert folder.tensor(tmp_path, forward.a_image.words).permute(0, 3, 1, 2) == fx.quantize(x.detach(), "<8,4>")


def test_an_image_that_is_not_the_operand_is_found(tmp_path: Path) -> None:
    a_step(tmp_path / "v", passes=("fwd",))
    image = json.loads((tmp_path / "v" / "manifest.json").read_text())["vectors"][0]["a_image"]
    change(tmp_path / "v", a_image={**image, "y": {**image["y"], "offset": 0}})
    with pytest.raises(ValueError, match=r"1 differences:\n0000-0-fwd-g0: a is not a_image unfolded$"):
        fx.export.verify(tmp_path / "v")


def drawn(seed: int, stream: int, index: int, bits: int, site: int, ordinal: int) -> int:
    """The documented mapping of an element to its random bits, with nothing but the generator taken from fxsim."""
    fields = 16 if bits <= 8 else 8 if bits <= 16 else 4
    q, p = divmod(index, 16 * fields)
    counter = 16 * q + p % 16 + (ordinal << 40) + (site << 61)
    halves = [(value & 0xFFFFFFFF, value >> 32) for value in (counter, stream, seed)]
    words = philox4x32((*halves[0], *halves[1]), halves[2])
    output = sum(word << (32 * place) for place, word in enumerate(words))
    field = output >> (p // 16 * (128 // fields)) & ((1 << (128 // fields)) - 1)
    return field >> (128 // fields - bits)


def test_a_third_party_can_redo_the_stochastic_draws(tmp_path: Path) -> None:
    accumulator = fx.Accumulator(16, "floor", "wrap", product="<12,7>,stochastic(3)")
    numerics = fx.Numerics(
        "<8,6>",
        "<8,4>",
        output="<9,3>,stochastic(4)",
        accumulator=accumulator,
        grad_output="<9,7>",
        grad_input="<10,6>,stochastic(8)",
        accumulator_dgrad=accumulator,
    )
    path = tmp_path / "v"
    manifest = a_step(path, numerics, passes=("fwd", "dgrad"))
    assert {each.random.seed for each in manifest.vectors} == {2**64 - 3}
    assert len({each.random.stream for each in manifest.vectors}) == 4  # two groups of a call share one
    for each in manifest.vectors:
        a, b = raws(path, each.a), raws(path, each.b)
        bias = raws(path, each.bias)[0] if each.bias else [0] * each.n
        accumulated, output = raws(path, each.accumulated), raws(path, each.output)
        product_shift = each.a.format.fl + each.b.format.fl - 7
        assert each.registers.product.format == fx.Format(12, 7)
        out = each.registers.output
        shift = 7 - out.format.fl
        r = out.random_bits
        draws = 0
        for i, row in enumerate(a):
            for j, column in enumerate(zip(*b, strict=True)):
                index = each.index_base + i * each.index_row_stride + j
                total = 0
                for k, (left, right) in enumerate(zip(row, column, strict=True)):
                    u = drawn(each.random.seed, each.random.stream, index, 3, 2, k)
                    scaled = (u << product_shift >> 3) if product_shift < 3 else u << (product_shift - 3)
                    total += ((left * right + scaled >> product_shift) + 2048) % 4096 - 2048
                    draws += 1
                total = (total + 32768) % 65536 - 32768
                assert total == accumulated[i][j]
                total += bias[j] << 1
                u = drawn(each.random.seed, each.random.stream, index, r, 0, 0)
                dropped = u >> (r - shift) if shift < r else u << (shift - r)
                draws += 1
                expected = min(max(total + dropped >> shift, out.format.raw_min), out.format.raw_max)
                assert expected == output[i][j]
        assert each.counts["random_draws"] == draws


@pytest.mark.parametrize("name", fx.isa.available())
def test_every_instruction_set_computes_the_same_vectors(name: str, tmp_path: Path) -> None:
    accumulator = fx.Accumulator(12, product="<10,6>,stochastic(4)", chunk=5, outer=fx.Accumulator(11, overflow="wrap"))
    numerics = dataclasses.replace(INTEGER, accumulator=accumulator, accumulator_dgrad=accumulator)
    fx.isa.force("reference")
    try:
        manifest = a_step(tmp_path / "v", numerics)
        fx.isa.force(name)
        assert fx.export.verify(tmp_path / "v") == manifest
    finally:
        fx.isa.force(None)


def test_patterns_choose_layers(tmp_path: Path) -> None:
    manifest = a_step(tmp_path / "v", layers=["3", "none*"], passes=("dgrad",))
    assert [(each.layer, each.pass_) for each in manifest.vectors] == [("3", "dgrad")]
    assert manifest.left_out == ()


def test_products_in_floating_point_are_named(tmp_path: Path) -> None:
    model = torch.nn.Sequential(net(fx.Numerics("<8,6>", "<8,4>")), torch.nn.Linear(3, 2))
    with fx.export.vectors(tmp_path):
        model(image()).sum().backward()
    manifest = fx.export.read(tmp_path)
    assert [each.pass_ for each in manifest.vectors] == ["fwd"] * 3
    assert manifest.left_out[0] == "(no layer) fwd matmul: computed in floating point"
    assert "3 wgrad linear: computed in floating point" in manifest.left_out


def test_two_writings_are_the_same_bytes(tmp_path: Path) -> None:
    a_step(tmp_path / "1")
    a_step(tmp_path / "2")
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / n).iterdir()} for n in ("1", "2"))
    assert first == second


def test_the_manifest_spells_out_every_register(tmp_path: Path) -> None:
    a, b = fx.FixedTensor(torch.tensor([[3, 4]]), "<6,2>"), fx.FixedTensor(torch.tensor([[1], [2]]), "u<4,1>")
    accumulator = fx.Accumulator(12, "floor", product="<8,2>", chunk=1, outer=fx.Accumulator(10, overflow="wrap"))
    with fx.export.vectors(tmp_path):
        fx.matmul(a, b, accumulator=accumulator)
    [vector] = json.loads((tmp_path / "manifest.json").read_text())["vectors"]
    assert vector["registers"] == {
        "product": "<8,2>,floor,saturate",
        "inner": "<12,2>,floor,saturate",
        "at": "step",
        "lanes": 1,
        "chunk": 1,
        "outer": "<10,2>,nearest_even,wrap",
        "outer_at": "step",
        "outer_lanes": 1,
        "preload": False,
        "output": None,
        "result": "<10,2>",
    }
    assert vector["random"] is None
    assert vector["pass"] == "fwd"
    assert vector["a"] == {
        "file": "0000-fwd.a.hex",
        "format": "<6,2>",
        "shape": [1, 2],
        "sha256": hashlib.sha256(b"03\n04\n").hexdigest(),
    }


def test_a_folder_in_use_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    ran = False
    with (
        pytest.raises(FileExistsError, match=r" exists and is not empty; name another folder, or remove it$"),
        fx.export.vectors(tmp_path),
    ):
        ran = True
    assert not ran


def test_an_unknown_pass_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"^export.vectors: passes has update: accepted are fwd, dgrad, wgrad$"),
        fx.export.vectors(tmp_path / "v", passes=("fwd", "update")),
    ):
        pass
    assert not (tmp_path / "v").exists()


def test_nothing_written_is_an_error_that_says_what_ran(tmp_path: Path) -> None:
    model = net(fx.Numerics("<8,6>", "<8,4>"))
    with (
        pytest.raises(
            ValueError,
            match=r"^export.vectors: no integer product of layers 3 and passes wgrad was executed in the block; "
            r"products executed: 0 fwd, 3 fwd, 3 dgrad, 3 wgrad, 0 wgrad; left out: 3 wgrad linear: computed in "
            r"floating point; 3 wgrad bias_grad: computed in floating point$",
        ),
        fx.export.vectors(tmp_path / "v", layers="3", passes=("wgrad",)),
    ):
        model(image()).sum().backward()
    assert not (tmp_path / "v").exists()


def test_a_block_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    model = net(INTEGER)
    with (
        pytest.raises(ValueError, match="x has shape"),
        fx.export.vectors(tmp_path),
    ):  # its third layer takes 64 inputs, not 16
        model(image()[:, :, :2, :2])
    assert len(list(tmp_path.iterdir())) == 12
    with pytest.raises(FileNotFoundError, match=r"holds no manifest.json: no export of vectors came to its end there$"):
        fx.export.read(tmp_path)


def change(path: Path, **values: object) -> None:
    """Another value in the first vector of a manifest."""
    content = json.loads((path / "manifest.json").read_text())
    content["vectors"][0].update(values)
    (path / "manifest.json").write_text(json.dumps(content))


def test_a_changed_word_is_found(tmp_path: Path) -> None:
    vector = a_step(tmp_path / "v").vectors[0]
    file = tmp_path / "v" / vector.output.file
    file.write_text("000\n" + file.read_text()[4:])
    with pytest.raises(
        ValueError, match=r"^0000-0-fwd-g0.output.hex: its sha256 is not the manifest's; it was changed"
    ):
        fx.export.verify(tmp_path / "v")


def test_other_arithmetic_is_found(tmp_path: Path) -> None:
    a_step(tmp_path / "v", passes=("fwd",))
    change(tmp_path / "v", accumulator="12 rounding=floor overflow=wrap", out="<10,4>,ceil,wrap")
    with pytest.raises(ValueError, match=r"0000-0-fwd-g0: output \(\d+, \d+\) is -?\d+, computed -?\d+"):
        fx.export.verify(tmp_path / "v")


def test_another_count_is_found(tmp_path: Path) -> None:
    counts = dict(a_step(tmp_path / "v").vectors[0].counts)
    change(tmp_path / "v", counts={**counts, "zero_macs": counts["zero_macs"] + 1})
    right = counts["zero_macs"]
    with pytest.raises(ValueError, match=f"0000-0-fwd-g0: zero_macs is {right + 1}, computed {right}$"):
        fx.export.verify(tmp_path / "v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^manifest.json: not JSON: "),
        ("{}", r"^manifest.json: not a manifest of golden vectors: its kind is not 'fxsim golden vectors'$"),
        (
            '{"kind": "fxsim golden vectors", "version": 7}',
            r"^manifest.json: version 7 given; this fxsim reads version 1$",
        ),
        ('{"kind": "fxsim golden vectors", "version": 1}', r"^manifest.json: it lacks 'fxsim'$"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        fx.export.read(tmp_path)


def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    vector = a_step(tmp_path / "v").vectors[0]
    a = json.loads((tmp_path / "v" / "manifest.json").read_text())["vectors"][0]["a"]
    change(tmp_path / "v", a={**a, "shape": [1, 9]})
    words = vector.a.shape[0] * vector.a.shape[1]
    with pytest.raises(
        ValueError, match=rf"^0000-0-fwd-g0.a.hex: {words} words, and the manifest says shape \(1, 9\)$"
    ):
        fx.export.verify(tmp_path / "v")
