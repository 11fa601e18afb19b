"""The checkers behind `make check`. Each module offers run(tree) -> list of Finding; scripts/check runs them all."""
