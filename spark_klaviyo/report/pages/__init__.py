"""The HTML pages of reports, previews and checks."""
