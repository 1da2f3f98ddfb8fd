"""Words that messages share."""


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number of things, such as "1 file" or "2,000 files".

    Args:
        number: how many.
        thing: what one is called.
        things: what several are called, where an s does not make it.
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
