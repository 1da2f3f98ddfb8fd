"""Numbers of things in messages, in the singular and the plural."""


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number of things, such as "1 file" or "2,000 files".

    Args:
        number: how many.
        thing: what one is called.
        things: what several are called, where an s does not make it.
    """
    return f"{number:,} {by_number(number, thing, things or thing + 's')}"


def by_number(number: int, one: str, several: str) -> str:
    """The form of a word for so many things: "is" or "are", "file" or "files"."""
    return one if number == 1 else several
