"""A feedback page shows what a student wrote, and runs none of it."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from nbverdict.checks.report import Report, Result
from nbverdict.classroom.feedback import FeedbackExporter

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
REPORT = Report("demo", (Result("bad", "wrong", 0, 1, "got: 1 < 2\nlikely cause: no"),), 7)


def page(*cells):
    """Return the body that a page has for these cells."""
    html, _ = FeedbackExporter().from_notebook_node(new_notebook(cells=list(cells)))
    return html.split("<main>", 1)[1].split("</main>")[0]


def shown(**data):
    return new_code_cell(
        "1", outputs=[new_output("display_data", {key.replace("_", "/"): v for key, v in data.items()})]
    )


LIVE = [
    "<script>alert('mine')</script>",
    "<SCRIPT\n src='https://mine.example/mine.js'></SCRIPT >",
    "<img src=x onerror=alert('mine')>",
    "<svg onload=alert('mine')></svg>",
    "<a href='javascript:alert(\"mine\")'>click</a>",
    "<iframe src='https://mine.example'></iframe>",
    "<form action='https://mine.example'><button>mine</button></form>",
    "<div style='position:fixed;top:0;background:url(https://mine.example)'>over all</div>",
    "<details open ontoggle=alert('mine')>x</details>",
    "<style>body{display:none}</style><link rel=stylesheet href=https://mine.example>",
    "<meta http-equiv=refresh content='0;url=https://mine.example'>",
    "<object data='https://mine.example'></object><embed src='https://mine.example'>",
]
DEAD = [
    "script",
    "style",
    "iframe",
    "form",
    "button",
    "input",
    "object",
    "embed",
    "meta",
    "link",
    "svg",
    "base",
    "video",
    "audio",
]


class Live(HTMLParser):
    """Collects what a browser would run, load as a frame or a style, or lay over the page."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found += [tag] * (tag in DEAD)
        for name, value in attributes:
            live = "javascript:" in (value or "") or (name == "style" and re.search(r"position|url\(", value))
            self.found += [f"{tag} {name}={value}"] * bool(live or name.startswith("on"))


@pytest.mark.parametrize("source", LIVE)
@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell,
        lambda source: new_markdown_cell(f"A list:\n\n- one\n\n  {source}\n"),
        lambda source: new_raw_cell(source, metadata={"raw_mimetype": "text/html"}),
        lambda source: shown(text_html=source),
        lambda source: shown(text_markdown=source),
    ],
    ids=["markdown", "list", "raw", "html", "shown markdown"],
)
def test_nothing_live_is_left(cell, source):
    assert Live(source).found
    assert not Live(page(cell(source))).found


@pytest.mark.parametrize(
    "kind", ["application/javascript", "image/svg+xml", "application/vnd.jupyter.widget-view+json"]
)
def test_what_only_runs_is_not_shown(kind):
    cell = new_code_cell("1", outputs=[new_output("display_data", {kind: "<svg onload='alert(1)'>mine</svg>"})])
    assert "onload" not in (text := page(cell))
    assert f"({kind}: not shown on this page)" in text


def test_text_tables_figures_and_reports_are_left():
    text = page(
        new_markdown_cell("# A title\n\n> a quote\n\n`a < b` and $a < b$, **bold**, [a link](https://example.org)\n"),
        new_markdown_cell("| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```python\nif a < b: pass\n```\n"),
        shown(image_png=PIXEL),
        shown(text_html="<table border=1><thead><tr><th>x</th></tr></thead><tr><td colspan=2>7</td></tr></table>"),
        new_code_cell("1", outputs=[new_output("execute_result", REPORT.as_output())]),
        new_code_cell("print(1 < 2)", outputs=[new_output("stream", text="1 < 2\n")]),
    )
    assert "$" not in text
    for kept in (
        "<mi>a</mi><mo>&lt;</mo><mi>b</mi>",
        *("A title", "<blockquote>", "<code>a &lt; b</code>", "<strong>bold</strong>", 'href="https://example.org"'),
        *("<td>1</td>", f"data:image/png;base64,{PIXEL}", '<td colspan="2">7</td>', "<summary", "likely cause: no"),
        *("background-color:#b2182b", "1 &lt; 2"),
    ):
        assert kept in text.replace(": #", ":#"), kept


def test_an_attached_picture_is_left():
    cell = new_markdown_cell("![mine](attachment:mine.png)", attachments={"mine.png": {"image/png": PIXEL}})
    nbformat.validate(new_notebook(cells=[cell]))
    assert f"data:image/png;base64,{PIXEL}" in page(cell)


FORMULAS = {
    r"$\frac{1}{2}$": "<mfrac>",
    "$$\\mathcal{N}(\\mu, \\sigma^2)$$": 'display="block"',
    "\\begin{align}\na &= b \\\\ c &= d\n\\end{align}": "<mtable",
    r"$\texttt{recon\_mnist}$": ">recon_mnist<",
    r"$\text{<b onclick=alert(1)>}$": "&lt;b\xa0onclick=alert(1)&gt;",
    r"$\href{javascript:alert(1)}{x}$": "<mrow><mi>x</mi>",
    r"$\style{position:fixed}{x}$": "<mrow><mi>x</mi>",
    r"$\frac{$": "<code>",
    "$" + "{" * 1500 + "x$": "<code>",
    r"$\newcommand{\a}{xx}\newcommand{\b}{\a\a}\b$": "<code>",
}


@pytest.mark.parametrize(("source", "drawn"), FORMULAS.items(), ids=lambda text: text[:20])
def test_formulas_are_drawn_without_a_script(source, drawn):
    for cell in (new_markdown_cell(source), shown(text_latex=source)):
        text = page(cell)
        if "begin{align}" in source and cell.cell_type == "code":
            assert "a &amp;= b" in text  # no formula by the rules of a display: as it is
        else:
            assert drawn in text, text
        assert not Live(text).found


def test_a_word_that_stands_for_a_formula_cannot_be_guessed():
    assert "formula0x0x" in page(new_markdown_cell("formula0x0x and $a$"))


def test_the_page_has_no_script_and_forbids_any():
    html, _ = FeedbackExporter().from_notebook_node(new_notebook(cells=[new_markdown_cell("$a$")]))
    assert "<script" not in html
    assert re.search(r"<head>\s*<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';", html)
