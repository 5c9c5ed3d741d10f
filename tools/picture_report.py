"""The README's picture of a report: the demo's clips, as Chromium shows their page.

python -m tools.picture_report docs/images/report.png
"""

import shutil
import sys
import tempfile
from pathlib import Path

from datasets import Dataset
from playwright.sync_api import sync_playwright

from hf_audio_tagger import build_tagger, report
from hf_audio_tagger.demo.videos import write_demo_videos

WIDTH, HEIGHT = 1_160, 660
CHOSEN = "01-speech.mp4"


def main(destination: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        videos = write_demo_videos(Path(folder) / "clips")
        ds = Dataset.from_dict({"video": [str(video.path) for video in videos]})
        tagger = build_tagger("demo", on_error="record", top_k=4, segments=True, embeddings=True)
        page = report(ds.map(tagger), Path(folder) / "page", tagger=tagger, title="A dozen generated videos")
        take_picture(page.as_uri(), Path(destination))


def take_picture(address: str, destination: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.get_by_text(CHOSEN).first.click()
        page.wait_for_timeout(1_500)
        page.screenshot(path=destination)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
