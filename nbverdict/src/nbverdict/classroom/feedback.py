"""nbgrader's feedback pages, without anything live that a student wrote."""

import html
import re
import secrets
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import nh3
from jinja2 import pass_context
from latex2mathml.converter import Converter
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

_TEXT = "a abbr b blockquote br code del em i img ins kbd mark p pre s small span strong sub sup u"
_BLOCKS = "caption dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li ol summary table tbody td tfoot th"
_TAGS = {*f"{_TEXT} {_BLOCKS} thead tr ul".split(" ")}
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
_STYLES = {*f"{_LETTERS} {_BOXES}".split(" ")}
# Plain text is escaped, LaTeX drawn, markdown cleaned, pictures are left.
_SAFE = {"text/plain", "text/latex", "text/markdown", "image/png", "image/jpeg"}
# Whatever gets past the cleaning: a browser runs nothing on this page, and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", flags=re.DOTALL | re.IGNORECASE)
_IMAGE = re.compile(r"<img\b[^<>]{0,2000}>", flags=re.IGNORECASE)
_ATTACHED = re.compile(r"src\s{0,9}=\s{0,9}([\"'])attachment:(?P<name>[^\"'<>]{1,300})\1", flags=re.IGNORECASE)
LATEX = re.compile(r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>.+?)\$", flags=re.DOTALL)
_LONGEST_FORMULA = 2000  # characters
_MACROS = re.compile(r"\\(?:re|provide)?newcommand|\\g?def\b|\\let\b")  # some would grow without end
_DRAWN = "math mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext"
_MATHML = {*_DRAWN.split(" "), "mtr", "munder", "munderover"}
_LENGTHS = "columnspacing depth height linethickness lspace maxsize minsize rowspacing rspace scriptlevel voffset width"
_LOOKS = "accent columnalign columnlines display displaystyle fence form mathcolor mathvariant movablelimits rowlines"
_SHAPES = {*_LENGTHS.split(" "), *_LOOKS.split(" "), "separator", "stretchy"}
_NUMBERED = ("align", "gather", "multline")  # environments whose lines would be numbered


class FeedbackExporter(HTMLExporter):
    """Writes a graded notebook as a page. Name it as `c.GenerateFeedback.exporter_class`.

    Students write markdown, essays, and whatever their code displays, and others open the page, from the page of the
    class for one, in a browser that is logged in somewhere. So of what they wrote only text, tables, pictures and links
    are left; scripts, forms, frames, widgets and SVG are not. Formulas are MathML, which browsers draw without a script
    or a network; the page has no script at all, and tells the browser to run and to fetch none.
    """

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Return markdown as HTML, cleaned."""
        return as_page_text(
            source,
            attachments=context.get("cell", {}).get("attachments", {}),
            anchor_link_text=self.anchor_link_text,
            exclude_anchor_links=self.exclude_anchor_links,
        )

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> Any:
        """Export a notebook; its raw cells and outputs are cleaned before."""
        for cell in nb.cells:
            if cell.cell_type == "raw":
                cell.source = clean(cell.source)
            for output in cell.get("outputs", []):
                if "data" in output:
                    output.data = _clean_data(output.data)
        page, resources = super().from_notebook_node(nb, resources, **kw)
        head, end, body = page.partition("</head>")
        policy = f'<head>\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        return _SCRIPT.sub("", head).replace("<head>", policy, 1) + end + body, resources


def as_page_text(source: str, attachments: Mapping[str, Mapping[str, str]] | None = None, **options: Any) -> str:
    """Return what a student wrote in markdown as HTML that is safe to show, with formulas and pasted pictures.

    `attachments` are those of its cell: name -> type -> base64. The options are nbconvert's. What cannot be rendered is
    shown as it was written.
    """
    renderer = _Renderer(escape=False, **options)
    try:
        rendered = MarkdownWithMath(renderer=renderer).render(source)
        rendered = _IMAGE.sub(lambda tag: _with_picture(tag[0], attachments or {}), rendered)
        return renderer.with_formulas(clean(rendered))
    except Exception:  # of the libraries, at what nobody has thought of; it must cost nobody a page
        return f"<pre>{html.escape(source)}</pre>"


def _with_picture(tag: str, attachments: Mapping[str, Mapping[str, str]]) -> str:
    """Return an image's tag with the picture that was pasted into the cell, or a note that there is none."""
    if not (found := _ATTACHED.search(tag)):
        return tag
    written = html.unescape(found["name"])
    name = next((name for name in (written, unquote(written)) if name in attachments), None)
    kinds = attachments[name] if name is not None else dict[str, str]()
    for kind, content in kinds.items():
        address = f"data:{kind};base64,{''.join(content.split())}"
        if _PICTURE.fullmatch(address):
            return f'{tag[: found.start()]}src="{address}"{tag[found.end() :]}'
    return f"<em>[the picture {html.escape(unquote(written))} is missing]</em>"


class _Renderer(IPythonRenderer):
    """Renders markdown with a word that nobody can guess where a formula is to be put, once all has been cleaned."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._secret, self._formulas = f"formula{secrets.token_hex(8)}", list[str]()

    def _embed_image_or_attachment(self, src: str) -> str:
        """Leave pasted pictures to `as_page_text`; nbconvert ends at one that is missing."""
        if src.startswith("attachment:"):
            return src
        embedded: str = super()._embed_image_or_attachment(src)
        return embedded

    def with_formulas(self, cleaned: str) -> str:
        """Return cleaned HTML with the formulas in it."""
        return re.sub(rf"{self._secret}x(\d+)x", lambda found: self._formulas[int(found[1])], cleaned)

    def inline_math(self, body: str) -> str:
        """Keep a formula in a line."""
        return self._kept(body, block=False)

    def block_math(self, body: str) -> str:
        """Keep a formula of its own."""
        return self._kept(body, block=True)

    def latex_environment(self, name: str, body: str) -> str:
        """Keep an environment; its lines get no numbers."""
        name = name.rstrip("*")
        name += "*" * (name in _NUMBERED)
        whole = body if name == "equation" else f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return self._kept(whole, block=True)

    def _kept(self, latex: str, *, block: bool) -> str:
        self._formulas.append(formula(latex, block=block))
        return f"{self._secret}x{len(self._formulas) - 1}x"


def formula(latex: str, *, block: bool) -> str:
    """Return a formula of LaTeX as MathML, or, where that is beyond the library, as it was written."""
    try:
        if len(latex) > _LONGEST_FORMULA or _MACROS.search(latex):
            raise ValueError("too long, or with macros")
        drawn = Converter(display="block" if block else "inline").convert_to_element(latex.strip())
        _restrict(drawn)
        return ET.tostring(drawn, encoding="unicode")
    except Exception:  # whatever the library raises for what is no LaTeX
        return f"<code>{html.escape(latex)}</code>"


def _restrict(drawn: ET.Element) -> None:
    """Let no more of MathML stand than shapes a formula; the library lets any text, link or style through."""
    for node in drawn.iter():
        if node.tag not in _MATHML:
            raise ValueError(f"{node.tag} is nothing that a formula needs")
        node.attrib = {name: value for name, value in node.attrib.items() if name in _SHAPES}
        text = html.unescape(node.text or "")
        node.text = re.sub(r"\\([_%&#$])", r"\1", text) if node.tag == "mtext" else text
    drawn.set("xmlns", "http://www.w3.org/1998/Math/MathML")


def clean(html: str) -> str:
    """Return HTML without anything that runs, loads, asks for input, or covers the page."""
    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags={"script", "style"},
        attributes=_ATTRIBUTES,
        attribute_filter=_kept_value,
        link_rel=None,
        url_schemes=_PROTOCOLS,
        filter_style_properties=_STYLES,
    )


def _kept_value(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute, or None: of addresses that hold their own content, pictures are left."""
    inline = value.strip().lower().startswith("data:")
    return value if not inline or (name == "src" and _PICTURE.fullmatch(value.strip())) else None


def _clean_data(data: NotebookNode) -> NotebookNode:
    """Return what a cell displayed without what a browser would run; say so where nothing else is left."""
    kept = {kind: content for kind, content in data.items() if kind in _SAFE}
    if latex := kept.pop("text/latex", ""):
        kept["text/html"] = "".join(_parts(latex))
    if "text/html" in data:
        kept["text/html"] = clean(data["text/html"])
    left_out = ", ".join(sorted(set(data) - set(kept)))
    return NotebookNode(kept or {"text/plain": f"({left_out}: not shown on this page)"})


def _parts(latex: str) -> Iterator[str]:
    """Yield the formulas of a text as MathML, and what is between them as text."""
    end = 0
    for found in LATEX.finditer(latex):
        yield html.escape(latex[end : found.start()])
        yield formula(found["block"] or found["inline"], block=found["block"] is not None)
        end = found.end()
    yield html.escape(latex[end:])
