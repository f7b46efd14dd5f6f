from common.pages.figure import Chart, figure, titled
from tests.common.pages.test_document import Tree


def test_a_drawing_tells_its_finding() -> None:
    drawn = titled(
        '<svg role="img" aria-label="old" viewBox="0 0 1 1"><g></g></svg>', "Title", 'Falls to "1" <b>'
    )
    tree = Tree(figure([Chart(drawn, "My title")], "Caption of <b>."))
    assert tree.every("svg")[0]["aria-label"] == 'Title. Falls to "1" <b>'
    assert len(tree.every("svg")[0]) == 3
    assert tree.every("title")
    assert tree.every("desc")
    assert {"data-chart": "my-title", "class": "chart"} in tree.every("div")
    assert not tree.every("b")
