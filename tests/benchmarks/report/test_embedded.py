"""Tables put into a text: only what is between the marks changes, and a second time nothing does."""

import pytest

from benchmarks.report.embedded import embed
from benchmarks.support.errors import UserError

TEXT = """# A title

<!-- table of digits -->
what was here
<!-- end of table -->

between

<!-- table of smnist -->
<!-- end of table -->
the end
"""


def test_tables_take_their_places() -> None:
    text = embed(TEXT, {"digits": "| a |", "smnist": r"| \1 |", "copy": "| not asked for |"})
    assert text == TEXT.replace("what was here", "\n| a |\n").replace(
        "smnist -->\n", "smnist -->\n\n" + r"| \1 |" + "\n\n"
    )
    assert embed(text, {"digits": "| a |", "smnist": r"| \1 |"}) == text


@pytest.mark.parametrize(("text", "says"), [("no marks", "is in it"), (TEXT, "no results of smnist")])
def test_what_cannot_be_put_in_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        embed(text, {"digits": "| a |"})
