"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Bad input: the message is one line that says what was got, what was expected and what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """
