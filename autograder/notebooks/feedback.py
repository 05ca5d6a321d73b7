"""nbgrader's feedback pages, without anything live that a student wrote."""

import re
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode

_TEXT = "a abbr b blockquote br code del em i img ins kbd mark p pre s small span strong sub sup u"
_BLOCKS = "caption dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol summary table tbody td tfoot th"
_TAGS = f"{_TEXT} {_BLOCKS} thead tr ul".split(" ")
_ATTRIBUTES = {
    "*": {"class", "style", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "details": {"open"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
    **{name: {"colspan", "rowspan", "scope", "align"} for name in ("td", "th")},
}
_PROTOCOLS = {"http", "https", "mailto", "data"}
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[\w+/=\s]*")
# None that puts a box over another one, or loads anything.
_LETTERS = "color cursor font-family font-size font-style font-weight text-align text-decoration white-space"
_BOXES = "background-color border border-collapse border-radius height margin max-width padding vertical-align width"
_STYLES = f"{_LETTERS} {_BOXES}".split(" ")
_WHOLE = re.compile(r"<(script|style)\b.*?</\1\s*>", flags=re.DOTALL | re.IGNORECASE)  # their content, too, goes
_SAFE = {
    "text/plain",
    "text/latex",
    "text/markdown",
    "image/png",
    "image/jpeg",
}  # the first is escaped, the third cleaned


class FeedbackExporter(HTMLExporter):
    """Writes a graded notebook as a page. Name it as `c.GenerateFeedback.exporter_class`.

    Students write markdown, essays, and whatever their code displays, and others open the page, from the page of the
    class for one, in a browser that is logged in somewhere. So of what they wrote only text, tables, pictures and links
    are left; scripts, forms, frames, widgets and SVG are not.
    """

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Return markdown as HTML, cleaned."""
        return clean(super().markdown2html(context, source))

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> Any:
        """Export a notebook; its raw cells and outputs are cleaned before."""
        for cell in nb.cells:
            if cell.cell_type == "raw":
                cell.source = clean(cell.source)
            for output in cell.get("outputs", []):
                if "data" in output:
                    output.data = _clean_data(output.data)
        return super().from_notebook_node(nb, resources, **kw)


def clean(html: str) -> str:
    """Return HTML without anything that runs, loads, asks for input, or covers the page."""
    cleaned: str = bleach.clean(
        _WHOLE.sub("", html),
        tags=_TAGS,
        attributes=_may_stay,
        protocols=_PROTOCOLS,
        css_sanitizer=CSSSanitizer(allowed_css_properties=_STYLES),
        strip=True,
    )
    return cleaned


def _may_stay(tag: str, name: str, value: str) -> bool:
    if name not in _ATTRIBUTES["*"] | _ATTRIBUTES.get(tag, set()):
        return False
    inline = value.strip().lower().startswith("data:")
    return not inline or (name == "src" and _PICTURE.fullmatch(value.strip()) is not None)


def _clean_data(data: NotebookNode) -> NotebookNode:
    """Return what a cell displayed without what a browser would run; say so where nothing else is left."""
    kept = {kind: content for kind, content in data.items() if kind in _SAFE}
    if "text/html" in data:
        kept["text/html"] = clean(data["text/html"])
    left_out = ", ".join(sorted(set(data) - set(kept)))
    return NotebookNode(kept or {"text/plain": f"({left_out}: not shown on this page)"})
