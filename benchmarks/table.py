"""Figures as aligned rows, with what was wanted of them."""


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def wanted(what: str, reached: bool, value: str) -> None:
    """One line on an aim: what it is, the value measured, and whether it holds."""
    print(f"  {'reached' if reached else 'NOT REACHED'}: {what}: {value}", flush=True)
