"""A page as a tree of its elements, to ask what a reader would see."""

from html.parser import HTMLParser


class Node:
    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.children = tag, dict(attributes), []

    def __iter__(self):
        """Itself and all below."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child

    def all(self, tag, name=None):
        found = [node for node in self if node.tag == tag]
        return [node for node in found if name is None or name in node.attributes.get("class", "").split()]

    @property
    def text(self) -> str:
        parts = (child.text if isinstance(child, Node) else child for child in self.children)
        return "".join(parts)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


class Parser(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text):
        super().__init__()
        self.open = [Node("page", [])]
        self.feed(text)
        assert len(self.open) == 1, self.open[-1].tag

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta", "wbr"):
            self.open.append(self.open[-1].children[-1])

    def handle_startendtag(self, tag, attributes):
        self.open[-1].children.append(Node(tag, attributes))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].children.append(data)
