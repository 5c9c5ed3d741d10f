"use strict";
// What is drawn on a canvas: a clip's frame or waveform, and the strip of its segments.
(function () {
  const KEPT_SHEETS = 24;
  const sheets = new Map();
  let colours = null;

  // The colours of page.css as a canvas takes them, for the theme of the moment.
  function readColours() {
    if (colours) return colours;
    const probe = document.body.appendChild(report.make("span", {}));
    const read = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    colours = {
      groups: Array.from({ length: 8 }, (_, group) => read("--group-" + group)),
      ink: read("--ink"), quiet: read("--quiet"), line: read("--line"), ground: read("--well"), accent: read("--accent"),
    };
    probe.remove();
    return colours;
  }

  const colourSound = (sound) => readColours().groups[report.soundColour(sound)];

  // A context in CSS pixels; the canvas has as many pixels as the screen.
  function openCanvas(canvas, width, height) {
    const density = window.devicePixelRatio || 1;
    const size = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  const SHEET = /^(posters\/[\w.-]+$|data:image\/(jpeg|png|webp);base64,)/;

  function loadSheet(path) {
    if (!sheets.has(path)) {
      sheets.set(path, new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(image);
        image.onerror = () => resolve(null);
        if (SHEET.test(path)) image.src = path;
        else resolve(null);
      }));
      if (sheets.size > KEPT_SHEETS) sheets.delete(sheets.keys().next().value);
    }
    return sheets.get(path);
  }

  function drawWaveform(context, peaks, width, height) {
    context.fillStyle = readColours().quiet;
    const step = width / peaks.length;
    peaks.forEach((peak, place) => {
      const tall = Math.max(1, (height - 4) * peak / 255);
      context.fillRect(place * step, (height - tall) / 2, Math.max(0.5, step * 0.7), tall);
    });
  }

  function drawNothing(context, width, height, failed) {
    const { quiet } = readColours();
    context.strokeStyle = context.fillStyle = quiet;
    context.beginPath();
    if (failed) {
      const [x, y] = [width / 2, height / 2];
      context.moveTo(x - 6, y - 6);
      context.lineTo(x + 6, y + 6);
      context.moveTo(x + 6, y - 6);
      context.lineTo(x - 6, y + 6);
    } else {
      context.moveTo(width * 0.2, height / 2);
      context.lineTo(width * 0.8, height / 2);
    }
    context.stroke();
  }

  // Draws now, or later where the sheet is not here yet. `isWanted` says whether the canvas still shows this clip.
  function drawPicture(canvas, detail, width, height, isWanted) {
    const context = openCanvas(canvas, width, height);
    context.fillStyle = readColours().ground;
    context.fillRect(0, 0, width, height);
    const { sheet } = report.data.head;
    if (detail && sheet && detail.sheet && Number.isInteger(detail.poster)) {
      loadSheet(detail.sheet).then((image) => {
        if (!isWanted()) return;
        if (!image) return drawNothing(context, width, height, false);
        const x = (detail.poster % sheet.columns) * sheet.width;
        const y = Math.floor(detail.poster / sheet.columns) * sheet.height;
        const scale = Math.min(width / sheet.width, height / sheet.height);
        const [w, h] = [sheet.width * scale, sheet.height * scale];
        context.drawImage(image, x, y, sheet.width, sheet.height, (width - w) / 2, (height - h) / 2, w, h);
      });
    } else if (detail && detail.peaks) drawWaveform(context, report.unpack(detail.peaks, "u8"), width, height);
    else if (detail) drawNothing(context, width, height, Boolean(detail.error));
  }

  // Long segments first, so that a short one within is seen. Where scores differ, weaker ones are paler.
  function drawStrip(canvas, segments, seconds, width, height, played) {
    const context = openCanvas(canvas, width, height);
    context.fillStyle = readColours().ground;
    context.fillRect(0, 0, width, height);
    const scale = width / seconds;
    const byLength = [...segments].sort((a, b) => (b[1] - b[0]) - (a[1] - a[0]));
    for (const [start, end, sound, score] of byLength) {
      context.globalAlpha = Number.isFinite(score) ? 0.45 + 0.55 * score : 1;
      context.fillStyle = colourSound(sound);
      context.fillRect(start * scale, 0, Math.max(1.5, (end - start) * scale - 1), height);
    }
    context.globalAlpha = 1;
    if (played >= 0) {
      context.fillStyle = readColours().ink;
      context.fillRect(Math.min(width - 2, played * scale), 0, 2, height);
    }
  }

  // The shortest segment at a time: the one that was drawn last there.
  function findSegment(segments, seconds) {
    const there = segments.filter(([start, end]) => start <= seconds && seconds < end);
    return there.sort((a, b) => (a[1] - a[0]) - (b[1] - b[0]))[0];
  }

  const stripSeconds = (segments, seconds) =>
    Number.isFinite(seconds) && seconds > 0 ? seconds : Math.max(1, ...segments.map((one) => one[1]));

  function tellSegment([start, end, sound, score]) {
    const sure = Number.isFinite(score) ? " " + report.score(score) : "";
    return `${report.soundName(sound)}${sure}, ${report.clock(start, true)} to ${report.clock(end, true)}`;
  }

  const forgetColours = () => { colours = null; };

  Object.assign(report, {
    drawPicture, drawStrip, findSegment, stripSeconds, tellSegment, readColours, forgetColours, openCanvas,
  });
})();
