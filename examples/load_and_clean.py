"""Which way a flow goes when a task fails: a cleanup in any case, a notice, and the rest is left out."""

from pathlib import Path

from flower_engine import Fatal, program, workflow


@program
def stage(folder: str, rows: int) -> int:
    """Puts the rows where they can be looked at before they are loaded."""
    (Path(folder) / "staged.txt").write_text("row\n" * rows)
    return rows


@program
def load_staged(folder: str, rows: int, most: int) -> int:
    if rows > most:
        raise Fatal(f"{rows} rows are more than {most}: is the file a right one?")
    (Path(folder) / "loaded.txt").write_text((Path(folder) / "staged.txt").read_text())
    return rows


@program
def publish_rows(rows: int) -> str:
    return f"{rows} rows are out"


@program
def drop_stage(folder: str) -> None:
    (Path(folder) / "staged.txt").unlink(missing_ok=True)


@program
def tell_somebody(folder: str) -> None:
    (Path(folder) / "notice.txt").write_text("the load failed\n")


@workflow("load_and_clean")
def load_and_clean(folder: str, rows: int = 10, most: int = 100) -> None:
    staged = stage.having(on_failure="give_up").step(folder, rows)
    loaded = load_staged.having(on_failure="give_up").step(folder, staged, most)
    publish_rows.step(loaded)  # not taken where nothing was loaded
    drop_stage.having(rule="settled", after=[staged, loaded]).step(folder)
    tell_somebody.having(rule="failed", after=[staged, loaded]).step(folder)
