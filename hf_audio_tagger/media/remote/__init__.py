"""Files behind URLs, as seekable files: `remote_file` over `url_chain` over `layers` and `archives`.

Imported only where a URL is read.
"""
