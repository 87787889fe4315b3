"""Operators that own themselves: add an entry to a module here, or add a module. Nothing else names it.

    def _scaled(k: Kernel) -> None:                # data.kernels.kernel says what a writer writes with
        k.threads("i", k.count())                  # launch line, index and guard
        x, scale = k.load("x", "i"), k.read("diagonal", "i / n")
        k.store("i", f"{x} * {scale}")             # dimensions are int parameters of the kernel: plain `n`

    DIAGONAL_PRODUCT = Operator(
        "diagonal_product",
        "{diagonal}[:, None] * {x}",               # operands, dimensions and attributes in braces
        "diagonal[m], x[m, n] -> out[m, n]",       # see `signature`, and `dims` for the names
        flops="numel(x)",
        domains={"diagonal": POSITIVE},            # see `domains`; without one, normal numbers
        writers={KernelStyle.PER_OUTPUT: _scaled, KernelStyle.GRID_STRIDE: _scaled_by_stride},
    )

Loads and stores convert dtypes, and compute the elementwise neighbours that the operator has in a graph. An
elementwise operator states a C expression instead of writers,
`Operator("exp", "torch.exp({x})", "x[...] -> out[...]", "expf({x})", flops=4)`; one that folds rows states
`folds` as well, and shares the writers of `data.kernels.folds`. Each needs a closed form in a module of
tests/data/operators/forms/; tests/data/kernels/test_writers.py has the judge verify every style, with every
value of every attribute and in all dtypes (`pytest -k NAME`).
"""
