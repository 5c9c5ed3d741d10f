"use strict";
// The chosen clip: player, segments, labels, metadata, and what is most like it.
(function () {
  const { state, make, fill, find, clock, score } = report;
  const SEGMENTS = 60; // buttons before "more"
  const LIKE = 6; // neighbours shown here; the list shows all
  let shown = { clip: -1, detail: null, strip: null, seconds: 1, buttons: [] };

  function openClip(clip, { at, play } = {}) {
    if (clip !== state.clip) report.change({ clip });
    report.loadDetail(clip).then((detail) => {
      if (state.clip !== clip) return;
      if (shown.clip !== clip || shown.detail === null) draw(clip, detail);
      if (detail && (play || at !== undefined)) report.playAt(at, play);
    });
  }

  function close() {
    report.stopMedia();
    shown = { clip: -1, detail: null, strip: null, seconds: 1, buttons: [] };
    report.change({ clip: -1 });
    drawNothing();
  }

  function drawNothing() {
    const place = find("player");
    place.classList.remove("open");
    fill(place, make("p", { class: "quiet hint" }, "Choose a clip to see it here. A click on its strip plays it from that sound. ",
      "All of it works by keyboard: press ?"));
  }

  const part = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);

  function drawStrip(time) {
    const { strip, detail, seconds } = shown;
    if (strip && strip.clientWidth) report.drawStrip(strip, detail.segments || [], seconds, strip.clientWidth, strip.clientHeight, time);
    shown.buttons.forEach((button, place) => {
      const [start, end] = detail.segments[place];
      const isNow = time >= start && time < end;
      if (isNow) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
  }

  function makeStrip() {
    const strip = make("canvas", {
      class: "strip", "aria-hidden": "true",
      onclick: (event) => {
        const box = strip.getBoundingClientRect();
        report.playAt((event.clientX - box.left) / box.width * shown.seconds, true);
      },
    });
    return strip;
  }

  function makeSegments(detail) {
    const makeButton = (segment) => make("button", {
      type: "button", class: "segment", onclick: () => report.playAt(segment[0], true),
    }, make("span", { class: "number" }, clock(segment[0], true) + "\u2013" + clock(segment[1], true)), report.makeDot(segment[2]),
    make("span", { class: "grow" }, report.soundName(segment[2])), make("span", { class: "number" }, score(segment[3])));
    const list = make("ol", { class: "segments" });
    const add = (segments) => {
      const made = segments.map(makeButton);
      shown.buttons.push(...made);
      list.append(...made.map((button) => make("li", {}, button)));
    };
    add(detail.segments.slice(0, SEGMENTS));
    const left = detail.segments.length - SEGMENTS;
    const more = left > 0 && make("button", {
      type: "button",
      onclick: () => {
        add(detail.segments.slice(SEGMENTS));
        more.remove();
      },
    }, `Show ${left} more`);
    return part("Segments", list, more);
  }

  function makeScores(detail) {
    const makeLine = ([sound, sure]) => {
      const bar = make("span", { class: "bar-track", "aria-hidden": "true" }, make("span", { class: "bar-shown group-" + report.soundColour(sound) }));
      bar.firstChild.style.width = 100 * Math.min(1, Math.max(0, sure)) + "%";
      return make("li", {}, make("button", {
        type: "button", class: "sound", title: "Show clips with this sound", onclick: () => report.change({ sounds: [sound] }),
      }, make("span", { class: "sound-name" }, report.soundName(sound)), bar, make("span", { class: "number" }, score(sure))));
    };
    return part("Scores", make("ul", { class: "scores" }, detail.top.map(makeLine)));
  }

  function makeLabels(clip, detail) {
    const differs = report.getValue(clip, "flags") & 2;
    return part("Labels of the dataset", make("p", {},
      detail.labels.map((sound) => make("span", { class: "label" }, report.makeDot(sound), report.soundName(sound))),
      differs ? make("small", {}, "The tag is none of them.") : null));
  }

  function showAlike(clip, detail) {
    const likes = [clip, ...detail.neighbors.map(([near]) => near)];
    report.clearFilters();
    report.change({ like: clip, likes, view: "clips" });
  }

  function makeNeighbor([near, similarity]) {
    const picture = make("canvas", { class: "picture", "aria-hidden": "true" });
    const name = make("span", { class: "name" }, "\u2026");
    report.loadDetail(near).then((detail) => {
      fill(name, detail ? detail.name : "Clip " + (near + 1) + ": its details are missing");
      report.drawPicture(picture, detail, picture.clientWidth || 64, picture.clientHeight || 36, () => true);
    });
    return make("li", {}, make("button", { type: "button", class: "near", onclick: () => openClip(near) }, picture,
      make("span", { class: "grow" }, name, make("small", {}, report.describeTag(near))),
      make("span", { class: "number" }, score(similarity))));
  }

  function makeNeighbors(clip, detail) {
    return part("More like this", make("ul", { class: "nears" }, detail.neighbors.slice(0, LIKE).map(makeNeighbor)),
      make("button", { type: "button", "aria-keyshortcuts": "m", onclick: () => showAlike(clip, detail) }, "Show them in the list"));
  }

  function makeTag(clip) {
    const tag = report.getValue(clip, "tag");
    return make("p", { class: "tag" }, tag === report.NONE ? null : report.makeDot(tag), make("b", {}, report.describeTag(clip)), " ",
      make("span", { class: "number" }, score(report.getValue(clip, "score"))), " ",
      make("span", { class: "quiet number" }, clock(report.getValue(clip, "seconds"), true)));
  }

  function draw(clip, detail) {
    const place = find("player");
    place.classList.add("open");
    const heading = make("div", { class: "bar" }, make("h2", { class: "name" }, detail ? detail.name : "Clip " + (clip + 1)),
      make("button", { type: "button", "aria-label": "Close the clip", title: "Close (Esc)", onclick: close }, "\u00d7"));
    shown = { clip, detail, strip: null, seconds: 1, buttons: [] };
    if (!detail) {
      report.stopMedia();
      fill(place, heading, makeTag(clip), make("p", { class: "quiet" }, "Its details are missing: a file of this report's data folder is not there."));
      return;
    }
    const segments = detail.segments || [];
    shown.seconds = report.stripSeconds(segments, report.getValue(clip, "seconds"));
    shown.strip = segments.length ? makeStrip() : null;
    fill(place, heading, report.showMedia(clip, detail), shown.strip, makeTag(clip),
      detail.error ? make("p", { class: "error" }, detail.error) : null,
      segments.length ? makeSegments(detail) : null,
      (detail.top || []).length ? makeScores(detail) : null,
      (detail.labels || []).length ? makeLabels(clip, detail) : null,
      (detail.metadata || []).length ? part("Metadata", make("dl", { class: "pairs" },
        detail.metadata.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))))) : null,
      (detail.neighbors || []).length ? makeNeighbors(clip, detail) : null);
    place.scrollTop = 0;
    drawStrip(-1);
  }

  // To the next segment, or back to the one before.
  function stepSegment(by) {
    const segments = (shown.detail && shown.detail.segments) || [];
    const now = report.playTime() + (by > 0 ? 0.05 : -0.3);
    const starts = segments.map((segment) => segment[0]).sort((a, b) => a - b);
    const next = by > 0 ? starts.find((start) => start > now) : starts.filter((start) => start < now).pop();
    if (next !== undefined) report.playAt(next, true);
  }

  function showMoreLikeThis() {
    if (shown.detail && (shown.detail.neighbors || []).length) showAlike(shown.clip, shown.detail);
  }

  function start() {
    drawNothing();
    report.onTime(drawStrip);
    new ResizeObserver(report.oncePerFrame(() => drawStrip(report.playTime()))).observe(find("player"));
  }

  Object.assign(report, { startDetail: start, openClip, closeClip: close, stepSegment, showMoreLikeThis, redrawDetail: () => drawStrip(report.playTime()) });
})();
