"""Names of boards, where claims look for lanes; ``lua/lib/boards.lua`` says what they are for.

A queue's own board has the name "", one of a limit ``|<limit>``, and one of a program ``|@<program>``, with
the names as keys have them. Nothing else in Python makes such a name or takes one apart.
"""

_OF_PROGRAM = "|@"


def board_of_program(program: str) -> str:
    """The board of a program."""
    return _OF_PROGRAM + program


def program_of_board(board: str) -> str | None:
    """The program of a board; None: it is a queue's or a limit's."""
    return board.removeprefix(_OF_PROGRAM) if board.startswith(_OF_PROGRAM) else None


def limit_of_board(board: str) -> str:
    """The limit of a board that is neither a queue's nor a program's."""
    return board[1:]
