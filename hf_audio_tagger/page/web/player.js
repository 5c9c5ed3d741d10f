"use strict";
// One element that plays the chosen clip, and goes to a time when it can.
(function () {
  const { make, fill, clock } = report;
  const EMBEDDED = /^data:(video|audio)\/[\w.+-]+(;[\w.+=-]+)*;base64,/;
  let figure = null, media = null, picture = null, note = null;
  let current = { clip: -1, detail: null };
  let wanted = null; // {at, play} that waits for the file's length
  let whole = null; // the address of a file that was read as a whole
  const MOST_BYTES = 100e6; // of such a file
  const listeners = [];

  // A path beside the page, whose parts are names of files and nothing else; null for any other.
  function makeAddress(path) {
    if (EMBEDDED.test(path)) return path;
    if (path.startsWith("/") || path.includes("\0")) return null;
    return path.split("/").map(encodeURIComponent).join("/");
  }

  function tell(text) {
    fill(note, text);
    note.hidden = !text;
  }

  function explainMissing() {
    if (report.data.head.media === "none") return "This report holds no media: times can be read, not played.";
    return current.detail.error ? "It could not be read." : "This clip has no media file.";
  }

  // An error's reason is not told to pages: a missing file and one that the browser cannot play look alike.
  function takeError() {
    wanted = null;
    media.hidden = true;
    tell("Its file does not open. It is not where this page looks for it, or this browser cannot play it: " + current.detail.media);
  }

  function takeLength() {
    if (media.videoWidth) picture.hidden = true;
    if (wanted) goTo(wanted);
  }

  // Some web servers, such as Python's, send no parts of files: browsers then play from the start alone. There the
  // file is read as a whole.
  async function readWhole(going) {
    const { clip } = current, address = media.currentSrc;
    let blob = null;
    try {
      const answer = await fetch(address);
      if (answer.ok && !(Number(answer.headers.get("Content-Length")) > MOST_BYTES)) blob = await answer.blob();
    } catch {
      blob = null;
    }
    if (current.clip !== clip) return;
    if (!blob) return tell("This web server sends no parts of files: the clip plays from its start alone. Open the report from disk.");
    wanted = going;
    whole = URL.createObjectURL(blob);
    media.src = whole;
  }

  function canReach(seconds) {
    const { seekable } = media;
    const reach = seekable.length ? seekable.end(seekable.length - 1) : 0;
    return whole || !location.protocol.startsWith("http") || Math.min(seconds, media.duration - 0.5) <= reach;
  }

  function goTo(going) {
    const { at, play } = going;
    wanted = null;
    if (at > 0 && !canReach(at)) return void readWhole(going);
    const end = media.duration;
    if (at !== undefined) {
      media.currentTime = Number.isFinite(end) ? Math.min(at, Math.max(0, end - 0.05)) : at;
      const held = current.detail.preview_seconds;
      tell(held && at >= held ? `The preview holds the first ${clock(held, true)} only.` : "");
    }
    if (play) media.play().catch(() => {}); // refused, or another clip was chosen: the element shows that it is paused
  }

  function makeFigure() {
    picture = make("canvas", { class: "frame", "aria-hidden": "true" });
    media = make("video", {
      controls: true, playsinline: true, preload: "metadata", onerror: takeError, onloadedmetadata: takeLength,
    });
    for (const name of ["timeupdate", "seeked", "play", "pause"]) media.addEventListener(name, () => tellTime());
    note = make("p", { class: "quiet", role: "status" });
    figure = make("div", { class: "screen" }, picture, media, note);
  }

  function tellTime() {
    for (const listener of listeners) listener(media.currentTime);
    if (!media.paused) requestAnimationFrame(() => !media.paused && tellTime());
  }

  // The figure for a clip; its file is opened, but does not play yet.
  function showMedia(clip, detail) {
    if (!figure) makeFigure();
    const isNew = current.clip !== clip;
    current = { clip, detail };
    if (!isNew) return figure;
    wanted = null;
    if (whole) URL.revokeObjectURL(whole);
    whole = null;
    picture.hidden = false;
    const address = detail.media ? makeAddress(detail.media) : null;
    media.pause();
    media.hidden = !address;
    media.setAttribute("aria-label", report.show("Player: " + detail.name));
    figure.classList.toggle("sound-only", detail.media_kind === "audio");
    if (address) media.src = address;
    else {
      media.removeAttribute("src");
      media.load();
    }
    tell(address ? "" : explainMissing());
    requestAnimationFrame(() => {
      report.drawPicture(picture, detail, picture.clientWidth, picture.clientHeight, () => current.clip === clip);
    });
    return figure;
  }

  function playAt(at, play) {
    if (!media || media.hidden) return;
    wanted = { at, play };
    if (media.readyState >= 1) goTo(wanted);
    else if (media.preload !== "auto") media.preload = "auto";
  }

  function togglePlay() {
    if (!media || media.hidden) return;
    if (media.paused) playAt(undefined, true);
    else media.pause();
  }

  function stop() {
    if (media) media.pause();
    current = { clip: -1, detail: null };
  }

  const playTime = () => (media && !media.hidden ? media.currentTime : -1); // -1: nothing can be played
  const onTime = (listener) => listeners.push(listener);
  Object.assign(report, { showMedia, playAt, togglePlay, stopMedia: stop, playTime, onTime, makeAddress });
})();
