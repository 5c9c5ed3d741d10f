"""Files behind URLs, as seekable files. Imported only where a URL is read."""
