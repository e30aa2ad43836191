"""Compiles the kernels for an H100, which needs no GPU; raises where one does not compile.

python -m tests.trainer.fused.compiled
"""

from typing import Any

from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from trainer.fused import kernels

WHOSE = {"table_ptr": "*fp32", "indices_ptr": "*i64", "images": "i32", "views": "i32"}
SIZES = {"size": "i32", "tiles": "i32"}
SUMS = {"out_ptr": "*fp32", "sums_ptr": "*fp32"}
BLUR = {
    **{f"stride_{axis}": "i32" for axis in "mcyx"},
    **{f"{name}_{channel}": "fp32" for name in ("mean", "deviation") for channel in "rgb"},
    "size": "i32",
    "radius": "i32",
    "ALONG_X": "constexpr",
}


def check(kernel: Any, signature: dict[str, str], **constants: object) -> None:
    """Compile one kernel down to the GPU's own code."""
    source = ASTSource(
        fn=kernel, signature={**signature, "BLOCK": "constexpr"}, constexprs={"BLOCK": 1024, **constants}
    )
    made = compile_kernel(source, target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"]
    assert "atom." not in made.asm["ptx"]
    assert "red.global" not in made.asm["ptx"]


def main() -> None:
    """Compile every kernel, also with what Triton takes for a constant: a number of 1."""
    boxes = {"height": "i32", "width": "i32"}
    small = {**WHOSE, "views": "constexpr"}, {**SIZES, "tiles": "constexpr"}
    ones = {"views": 1, "tiles": 1}
    check(kernels._crop_kernel, {"images_ptr": "*u8", **small[0], **SUMS, **boxes, **small[1]}, **ones)
    check(
        kernels._colour_kernel, {"in_ptr": "*fp32", **small[0], **SUMS, **small[1], "TILES": "constexpr"},
        TILES=1, **ones,
    )  # fmt: skip
    for axis in "cx":  # of channels_last, and of rows
        narrow = {**BLUR, f"stride_{axis}": "constexpr", "radius": "constexpr"}
        signature = {"in_ptr": "*fp32", **WHOSE, "out_ptr": "*bf16", **narrow}
        check(kernels._blur_kernel, signature, ALONG_X=False, radius=1, **{f"stride_{axis}": 1})
    check(kernels._crop_kernel, {"images_ptr": "*u8", **WHOSE, **SUMS, **boxes, **SIZES})
    check(kernels._colour_kernel, {"in_ptr": "*fp32", **WHOSE, **SUMS, **SIZES, "TILES": "constexpr"}, TILES=16)
    check(kernels._blur_kernel, {"in_ptr": "*fp32", **WHOSE, "out_ptr": "*fp32", **BLUR}, ALONG_X=True)
    check(kernels._blur_kernel, {"in_ptr": "*fp32", **WHOSE, "out_ptr": "*bf16", **BLUR}, ALONG_X=False)


if __name__ == "__main__":
    main()
