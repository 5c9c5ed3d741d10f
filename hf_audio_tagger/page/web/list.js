"use strict";
// The list of clips. Of any number of rows only those in view exist; their details are loaded when scrolling pauses.
(function () {
  const { state, make, fill, find, clock, score } = report;
  const TALLEST = 8_000_000; // pixels: browsers cut taller elements
  const BEYOND = 3; // rows drawn above and below the view
  const PAUSE_MS = 60; // of scrolling, before details are loaded
  const LEAST = 0.01; // score of labels beside the tag
  const rows = new Map(); // places in the list to elements
  let clips = new Uint32Array(0);
  let height = 92; // of a row; page.css has it
  let top = 0; // what the list would be scrolled by, if it were as tall as all of its rows
  let lastScroll = 0, ownScroll = -1, waiting = 0;
  let list, spacer;

  const total = () => clips.length * height;
  const isCut = () => total() > TALLEST;
  const mostTop = () => Math.max(0, total() - list.clientHeight);

  // Where the list is shorter than its rows, a short way scrolls by as many pixels, and a long one by its share.
  function takeScroll() {
    const scrolled = list.scrollTop, by = scrolled - lastScroll;
    lastScroll = scrolled;
    if (Math.abs(scrolled - ownScroll) < 1) ownScroll = -1;
    else if (!isCut()) top = scrolled;
    else {
      const most = TALLEST - list.clientHeight;
      const isShort = Math.abs(by) < 2 * list.clientHeight && scrolled > 0 && scrolled < most - 1;
      top = isShort ? top + by : scrolled / most * mostTop();
    }
    top = Math.min(Math.max(0, top), mostTop());
    draw();
  }

  function scrollTo(wanted) {
    top = Math.min(Math.max(0, wanted), mostTop());
    ownScroll = Math.round(isCut() ? top / mostTop() * (TALLEST - list.clientHeight) : top);
    list.scrollTop = lastScroll = ownScroll;
    draw();
  }

  function describeTag(clip) {
    const kind = report.getValue(clip, "state");
    if (kind === 0) return report.soundName(report.getValue(clip, "tag"));
    return { 1: "EMPTY", 2: "Failed", 3: "Without a tag" }[kind] || "";
  }

  function makeLabels(clip, detail) {
    const tag = report.getValue(clip, "tag");
    const parts = [];
    if (tag !== report.NONE) parts.push(report.makeDot(tag));
    parts.push(make("b", {}, describeTag(clip)), " ", make("span", { class: "number" }, score(report.getValue(clip, "score"))));
    const others = ((detail && detail.top) || []).filter(([sound, sure]) => sound !== tag && !(sure < LEAST));
    for (const [sound, sure] of others) {
      parts.push(make("span", { class: "other" }, report.soundName(sound) + " ", make("span", { class: "number" }, score(sure))));
    }
    if (detail && detail.error) parts.push(make("span", { class: "other" }, detail.error));
    return parts;
  }

  function clickStrip(event, row) {
    const segments = row.detail && row.detail.segments;
    if (!segments || !segments.length) return;
    event.stopPropagation();
    const box = event.currentTarget.getBoundingClientRect();
    const seconds = (event.clientX - box.left) / box.width * row.seconds;
    const segment = report.findSegment(segments, seconds);
    find("clips").focus({ preventScroll: true });
    report.openClip(row.clip, { at: segment ? segment[0] : seconds, play: true });
  }

  function pointAtStrip(event, row) {
    const segments = (row.detail && row.detail.segments) || [];
    const box = event.currentTarget.getBoundingClientRect();
    const segment = report.findSegment(segments, (event.clientX - box.left) / box.width * row.seconds);
    event.currentTarget.title = segment ? report.show(report.tellSegment(segment)) : "";
  }

  function makeRow() {
    const row = { clip: -1, detail: undefined, seconds: 1 };
    row.picture = make("canvas", { class: "picture", "aria-hidden": "true" });
    row.name = make("span", { class: "name" });
    row.length = make("span", { class: "number quiet" });
    row.labels = make("div", { class: "labels" });
    row.strip = make("canvas", {
      class: "strip", "aria-hidden": "true",
      onclick: (event) => clickStrip(event, row), onmousemove: (event) => pointAtStrip(event, row),
    });
    row.element = make("div", { class: "clip", role: "option", onclick: () => report.openClip(row.clip), ondblclick: () => report.openClip(row.clip, { play: true }) },
      row.picture,
      make("div", { class: "words" }, make("div", { class: "title" }, row.name, row.length), row.labels, row.strip));
    return row;
  }

  function showClip(row, clip) {
    const detail = report.getDetail(clip);
    const isSame = row.clip === clip && row.isComplete && row.detailIsMissing !== true;
    if (isSame) return;
    row.clip = clip;
    row.detail = detail;
    row.isComplete = detail !== undefined;
    const seconds = report.getValue(clip, "seconds");
    const segments = (detail && detail.segments) || [];
    row.seconds = report.stripSeconds(segments, seconds);
    fill(row.name, detail ? detail.name : row.detailIsMissing ? "Clip " + (clip + 1) + ": its details are missing" : "\u2026");
    row.name.title = detail ? report.show(detail.name) : "";
    fill(row.length, clock(seconds));
    fill(row.labels, makeLabels(clip, detail));
    row.element.id = "clip-" + clip;
    row.element.setAttribute("aria-label", report.show([
      detail ? detail.name : "Clip " + (clip + 1), describeTag(clip), score(report.getValue(clip, "score")), clock(seconds),
    ].filter(Boolean).join(", ")));
    drawRow(row);
  }

  function drawRow(row) {
    const { clip } = row;
    const [wide, tall] = [row.picture.clientWidth, row.picture.clientHeight];
    if (!wide) return;
    report.drawPicture(row.picture, row.detail, wide, tall, () => row.clip === clip);
    report.drawStrip(row.strip, (row.detail && row.detail.segments) || [], row.seconds, row.strip.clientWidth, row.strip.clientHeight, -1);
  }

  function placeRow(row, place) {
    row.element.style.transform = `translateY(${Math.round(place * height + list.scrollTop - top)}px)`;
    row.element.setAttribute("aria-posinset", place + 1);
    row.element.setAttribute("aria-setsize", clips.length);
    row.element.setAttribute("aria-selected", String(clips[place] === state.clip));
  }

  function draw() {
    const first = Math.max(0, Math.floor(top / height) - BEYOND);
    const last = Math.min(clips.length, Math.ceil((top + list.clientHeight) / height) + BEYOND);
    const free = [];
    for (const [place, row] of rows) {
      if (place >= first && place < last) continue;
      rows.delete(place);
      free.push(row);
    }
    for (let place = first; place < last; place++) {
      let row = rows.get(place);
      if (!row) {
        row = free.pop() || makeRow();
        rows.set(place, row);
        if (!row.element.isConnected) spacer.append(row.element);
      }
      if (row.clip !== clips[place]) row.detailIsMissing = false;
      placeRow(row, place);
      showClip(row, clips[place]);
    }
    for (const row of free) row.element.remove();
    tellActive();
    clearTimeout(waiting);
    waiting = setTimeout(loadShown, PAUSE_MS);
  }

  function loadShown() {
    for (const row of rows.values()) {
      if (row.isComplete || row.detailIsMissing) continue;
      const { clip } = row;
      report.loadDetail(clip).then((detail) => {
        if (row.clip !== clip || row.isComplete) return;
        row.detailIsMissing = detail === null;
        showClip(row, clip);
      });
    }
  }

  function tellActive() {
    const isShown = [...rows.values()].some((row) => row.clip === state.clip);
    if (isShown) list.setAttribute("aria-activedescendant", "clip-" + state.clip);
    else list.removeAttribute("aria-activedescendant");
  }

  const findPlace = (clip) => (clip < 0 ? -1 : clips.indexOf(clip));

  function reveal(place) {
    if (place < 0) return;
    if (place * height < top) scrollTo(place * height);
    else if ((place + 1) * height > top + list.clientHeight) scrollTo((place + 1) * height - list.clientHeight);
  }

  // By places, from the chosen clip; Infinity goes to an end.
  function moveBy(places) {
    if (!clips.length) return;
    const now = findPlace(state.clip);
    const from = now < 0 ? (places > 0 ? -1 : 0) : now;
    const place = Math.min(Math.max(0, places === Infinity ? clips.length - 1 : places === -Infinity ? 0 : from + places), clips.length - 1);
    report.openClip(clips[place]);
    reveal(place);
  }

  function measure() {
    height = parseFloat(getComputedStyle(list).getPropertyValue("--row")) || height;
    spacer.style.height = Math.min(total(), TALLEST) + "px";
    for (const row of rows.values()) drawRow(row);
    scrollTo(top);
  }

  function showList(selected) {
    const isOther = selected.length !== clips.length || selected.some((clip, place) => clip !== clips[place]);
    clips = selected;
    find("nothing").hidden = clips.length > 0;
    list.hidden = !clips.length;
    spacer.style.height = Math.min(total(), TALLEST) + "px";
    if (isOther) scrollTo(0);
    else draw();
  }

  function start() {
    list = find("clips");
    spacer = find("spacer");
    list.addEventListener("scroll", report.oncePerFrame(takeScroll), { passive: true });
    new ResizeObserver(report.oncePerFrame(measure)).observe(list);
    report.watch(["clip"], draw);
  }

  function redraw() {
    for (const row of rows.values()) drawRow(row);
  }

  Object.assign(report, {
    startList: start, showList, redrawList: redraw, moveBy, reveal, findPlace, describeTag,
    pageSize: () => Math.max(1, Math.floor(list.clientHeight / height) - 1),
  });
})();
