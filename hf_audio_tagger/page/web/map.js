"use strict";
// The clips as points: those with like embeddings lie near one another. A drag selects, a click opens.
(function () {
  const { state, make, fill, find, count, score } = report;
  const SIZE = 65535;
  const NEAR = 12; // pixels from a point that still mean it
  const view = { x: 0, y: 0, zoom: 1 };
  let canvas, tip, drag = null, cursor = null;
  let isShown = new Uint8Array(0); // a byte for each clip: 1 where the filters leave it

  // Points to pixels: the square of all points, moved and enlarged, with y upwards.
  function measure() {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const scale = (Math.min(width, height) - 24) / SIZE * view.zoom;
    const left = width / 2 - (SIZE / 2 + view.x) * scale, bottom = height / 2 + (SIZE / 2 + view.y) * scale;
    return { width, height, scale, toX: (x) => left + x * scale, toY: (y) => bottom - y * scale,
      fromX: (x) => (x - left) / scale, fromY: (y) => (bottom - y) / scale };
  }

  // "rgb(51, 34, 136)" as a pixel of an image.
  function packColour(text) {
    const [red, green, blue] = text.match(/\d+/g).map(Number);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }

  const pickRadius = (points) => (points > 20000 ? 0.8 : points > 2000 ? 1.5 : points > 200 ? 2.5 : 4.5);

  // A disc by its lines: how far each goes to either side of its middle.
  function listWidths(radius) {
    const middle = Math.floor(radius);
    return Array.from({ length: 2 * middle + 1 }, (_, row) => Math.floor(Math.sqrt(radius ** 2 - (row - middle) ** 2)));
  }

  // Discs of pixels: a million points take a blink so, and seconds as shapes.
  function drawPoints(context, place) {
    const { map } = report.data;
    const { groups, line, quiet } = report.readColours();
    const colours = groups.map(packColour), left = packColour(line), untagged = packColour(quiet);
    const density = window.devicePixelRatio || 1;
    const { width, height } = canvas;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const radius = pickRadius(map.clips.length) * density;
    const widths = listWidths(radius);
    const drawPoint = (i, colour) => {
      const x = Math.round(place.toX(map.x[i]) * density), y = Math.round(place.toY(map.y[i]) * density);
      if (x < radius || y < radius || x + radius >= width || y + radius >= height) return;
      let start = (y - Math.floor(widths.length / 2)) * width + x;
      for (const half of widths) {
        pixels.fill(colour, start - half, start + half + 1);
        start += width;
      }
    };
    // Points that the filters leave out lie below all others.
    for (let i = 0; i < map.clips.length; i++) if (!isShown[map.clips[i]]) drawPoint(i, left);
    for (let i = 0; i < map.clips.length; i++) {
      if (!isShown[map.clips[i]]) continue;
      const tag = report.getValue(map.clips[i], "tag");
      drawPoint(i, tag === undefined || tag === report.NONE ? untagged : colours[report.soundColour(tag)]);
    }
    context.putImageData(image, 0, 0);
  }

  function draw() {
    if (!report.data.map || !canvas || !canvas.clientWidth) return;
    const place = measure();
    const context = report.openCanvas(canvas, place.width, place.height);
    drawPoints(context, place);
    drawMarks(context, place, report.readColours().ink);
  }

  function drawMarks(context, place, ink) {
    const { map } = report.data;
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    const chosen = state.clip < 0 ? -1 : map.clips.indexOf(state.clip);
    if (chosen >= 0) {
      context.beginPath();
      context.arc(place.toX(map.x[chosen]), place.toY(map.y[chosen]), 7, 0, 7);
      context.stroke();
    }
    if (drag && drag.isBox) {
      context.setLineDash([4, 3]);
      context.strokeRect(Math.min(drag.x, drag.toX), Math.min(drag.y, drag.toY), Math.abs(drag.toX - drag.x), Math.abs(drag.toY - drag.y));
      context.setLineDash([]);
    }
    if (cursor && document.activeElement === canvas) {
      context.beginPath();
      context.moveTo(cursor.x - 9, cursor.y);
      context.lineTo(cursor.x + 9, cursor.y);
      context.moveTo(cursor.x, cursor.y - 9);
      context.lineTo(cursor.x, cursor.y + 9);
      context.stroke();
    }
  }

  // The nearest of the clips that the filters leave.
  function findPoint(x, y) {
    const { map } = report.data;
    const place = measure();
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < map.clips.length; i++) {
      const far = (place.toX(map.x[i]) - x) ** 2 + (place.toY(map.y[i]) - y) ** 2;
      if (far < least && isShown[map.clips[i]]) [best, least] = [i, far];
    }
    return best < 0 ? -1 : map.clips[best];
  }

  function selectBox({ x, y, toX, toY }) {
    const { map } = report.data;
    const place = measure();
    const [left, right] = [place.fromX(Math.min(x, toX)), place.fromX(Math.max(x, toX))];
    const [low, high] = [place.fromY(Math.max(y, toY)), place.fromY(Math.min(y, toY))];
    const region = new Uint8Array(report.data.head.facts.clips);
    for (let i = 0; i < map.clips.length; i++) {
      if (map.x[i] >= left && map.x[i] <= right && map.y[i] >= low && map.y[i] <= high) region[map.clips[i]] = 1;
    }
    report.change({ region });
  }

  const drawSoon = report.oncePerFrame(draw);

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  function takeMove(event) {
    const at = point(event);
    if (drag) {
      Object.assign(drag, { toX: at.x, toY: at.y, isBox: drag.isBox || Math.hypot(at.x - drag.x, at.y - drag.y) > 4 });
      if (event.shiftKey && drag.isBox) panBy(event.movementX, event.movementY);
      return drawSoon();
    }
    if (report.data.map && report.data.map.clips.length <= 50000) tellPoint(findPoint(at.x, at.y));
  }

  function tellPoint(clip) {
    if (clip < 0) return fill(tip);
    const detail = report.getDetail(clip);
    fill(tip, (detail ? detail.name : "Clip " + (clip + 1)) + ": " + report.describeTag(clip) + " " + score(report.getValue(clip, "score")));
  }

  function panBy(dx, dy) {
    const { scale } = measure();
    view.x -= dx / scale;
    view.y += dy / scale;
    drag = drag && { ...drag, isPan: true };
  }

  function takeUp(event) {
    if (!drag) return;
    const done = drag;
    drag = null;
    if (done.isPan) return drawSoon();
    if (done.isBox) return selectBox(done);
    const clip = findPoint(point(event).x, point(event).y);
    if (clip >= 0) report.openClip(clip);
  }

  function zoomAt(factor, x, y) {
    const before = measure();
    const [px, py] = [before.fromX(x), before.fromY(y)];
    view.zoom = Math.min(64, Math.max(1, view.zoom * factor));
    const after = measure();
    view.x += px - after.fromX(x);
    view.y += py - after.fromY(y);
    if (view.zoom === 1) view.x = view.y = 0;
    drawSoon();
  }

  const zoomMiddle = (factor) => zoomAt(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);

  // The arrows move a cross, Enter opens the clip below it, S sets a corner and then selects.
  function takeKey(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    cursor = cursor || { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 };
    if (steps[event.key]) {
      const by = event.shiftKey ? 40 : 10;
      cursor.x = Math.min(Math.max(0, cursor.x + steps[event.key][0] * by), canvas.clientWidth);
      cursor.y = Math.min(Math.max(0, cursor.y + steps[event.key][1] * by), canvas.clientHeight);
      if (drag) Object.assign(drag, { toX: cursor.x, toY: cursor.y, isBox: true });
      tellPoint(findPoint(cursor.x, cursor.y));
    } else if (event.key === "Enter") {
      const clip = findPoint(cursor.x, cursor.y);
      if (clip >= 0) report.openClip(clip);
    } else if (event.key === "b") {
      if (drag) {
        const done = drag;
        drag = null;
        selectBox(done);
      } else drag = { x: cursor.x, y: cursor.y, toX: cursor.x, toY: cursor.y, isBox: true };
    } else if (event.key === "+" || event.key === "-") zoomAt(event.key === "+" ? 1.5 : 1 / 1.5, cursor.x, cursor.y);
    else if (event.key === "Escape" && drag) drag = null;
    else return;
    event.preventDefault();
    event.stopPropagation();
    drawSoon();
  }

  function makeLegend() {
    return make("ul", { class: "legend" }, report.listColours().map(([colour, name]) =>
      make("li", {}, make("span", { class: "dot group-" + colour, "aria-hidden": "true" }), name)));
  }

  function build() {
    const { head, map } = report.data;
    const place = find("panel-map");
    if (!map) return fill(place, make("p", { class: "quiet" }, "data/map.js is missing."));
    canvas = make("canvas", {
      id: "map", tabindex: 0, role: "application",
      "aria-label": "Map of " + count(map.clips.length) + " clips. Arrows move a cross, Enter opens a clip, B begins and ends a selection, plus and minus zoom.",
      onpointerdown: (event) => {
        if (event.button) return;
        canvas.setPointerCapture(event.pointerId);
        drag = { ...point(event), toX: 0, toY: 0, isBox: false };
      },
      onpointermove: takeMove, onpointerup: takeUp, onpointercancel: () => { drag = null; },
      onkeydown: takeKey, onfocus: drawSoon, onblur: drawSoon,
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY / 400), point(event).x, point(event).y);
    }, { passive: false });
    tip = make("p", { class: "tip", role: "status" });
    const button = (text, label, run) => make("button", { type: "button", "aria-label": label, title: label, onclick: run }, text);
    fill(place, make("div", { class: "row map-tools" }, button("+", "Enlarge", () => zoomMiddle(1.5)),
      button("\u2212", "Make smaller", () => zoomMiddle(1 / 1.5)), tip),
    canvas, makeLegend(), make("p", { class: "quiet" }, head.map_note, " Drag: select. Click: open. Wheel: zoom. Shift and drag: move."));
    new ResizeObserver(drawSoon).observe(canvas);
    report.watch(["clip"], drawSoon);
  }

  async function showMap() {
    if (canvas || !report.data.head.has_map) return draw();
    await report.loadMap();
    if (!canvas) build();
    draw();
  }

  function drawMap(clips) {
    isShown = new Uint8Array(report.data.head.facts.clips);
    for (const clip of clips) isShown[clip] = 1;
    if (state.view === "map") drawSoon();
  }

  Object.assign(report, { showMap, drawMap });
})();
