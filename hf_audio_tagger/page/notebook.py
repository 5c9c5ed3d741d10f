"""A report shown within a notebook."""

import html
from pathlib import Path

HEIGHT = 720  # pixels


class InlineReport:
    """A report as one HTML file, which Jupyter and VS Code show in a frame of its own."""

    def __init__(self, page: str) -> None:
        self.page = page

    def _repr_html_(self) -> str:
        # The frame has scripts and nothing else: neither the notebook's page nor its cookies.
        size = f'width="100%" height="{HEIGHT}" style="border:1px solid #8888"'
        page = html.escape(self.page)
        return f'<iframe title="Report" sandbox="allow-scripts" {size} srcdoc="{page}"></iframe>'

    def __repr__(self) -> str:
        return f"<report, {len(self.page):,} characters; save(path) writes it>"

    def save(self, path: str | Path) -> Path:
        """Write the page to a file; returns its path."""
        path = Path(path).expanduser()
        path.write_text(self.page, "utf-8")
        return path
