"""Settings of the documentation site; `make docs` builds it into out/docs."""

from docs.site import generate

project = "Consilium"
author = "the authors of Consilium"
copyright = author
html_title = "Consilium"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["notebooks"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "furo"
html_copy_source = False
html_show_sourcelink = False


def setup(app: object) -> None:
    """Write the generated pages before Sphinx reads any."""
    generate()
