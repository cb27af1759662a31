"""The compiled core of fast_axolotl."""



def version() -> str:
    """The version of the compiled core."""
