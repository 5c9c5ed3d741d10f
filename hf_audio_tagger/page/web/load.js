"use strict";
// The files of data/: scripts that call report.head, .columns, .text, .clips or .map. They are loaded when they are
// needed, by <script>, since a page from disk may not fetch. FORMAT.md says what is in them.
(function () {
  const { make } = report;
  const KEPT_PARTS = 80; // of clips' details, those used last
  const PATH = /^data\/(columns-\d{3,}|text-\d{3,}|clips-\d{5,}|map)\.js$/;
  const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };
  const TYPES = {
    state: "u8", flags: "u8", tag: "u16", score: "f32", seconds: "f32", reason: "u16", name_rank: "u32",
    sound_counts: "u8", sounds: "u16", sound_scores: "u16",
  };
  const policy = window.trustedTypes && trustedTypes.createPolicy("report", { createScriptURL: checkPath });
  const asked = new Map(); // paths to promises of true, or of false where a file is not there
  const data = { head: null, parts: [], texts: [], details: new Map(), map: null, loaded: 0 };

  function checkPath(path) {
    if (!PATH.test(path)) throw new TypeError("No file of the report: " + path);
    return path;
  }

  function unpack(text, type) {
    let bytes;
    if (Uint8Array.fromBase64) {
      bytes = Uint8Array.fromBase64(text);
    } else {
      const characters = atob(text);
      bytes = new Uint8Array(characters.length);
      for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
    }
    return new ARRAYS[type](bytes.buffer);
  }

  report.head = (head) => { data.head = head; };
  // A text and where its lines begin; the last number is where one more would.
  report.text = (part, text) => {
    const starts = [0];
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    data.texts[part] = { text, starts: Uint32Array.from([...starts, text.length + 1]) };
  };
  report.map = (map) => {
    data.map = { clips: unpack(map.clips, "u32"), x: unpack(map.x, "u16"), y: unpack(map.y, "u16") };
  };

  report.columns = (number, columns) => {
    const part = { first: number * data.head.columns_per_part, count: columns.count };
    for (const [name, type] of Object.entries(TYPES)) part[name] = unpack(columns[name], type);
    part.starts = new Uint32Array(part.count + 1);
    for (let i = 0; i < part.count; i++) part.starts[i + 1] = part.starts[i] + part.sound_counts[i];
    data.parts[number] = part;
  };

  report.clips = (number, part) => {
    data.details.set(number, part);
    // Map keeps the order of insertion: the first is the one that was not used for longest. A part that came in the
    // page itself cannot be loaded again.
    for (const old of data.details.keys()) {
      if (data.details.size <= KEPT_PARTS || !asked.has(clipsPath(old))) break;
      data.details.delete(old);
      asked.delete(clipsPath(old));
    }
  };

  const pad = (number, digits) => String(number).padStart(digits, "0");
  const clipsPath = (number) => "data/clips-" + pad(number, 5) + ".js";

  function load(path, isThere) {
    if (isThere()) return Promise.resolve(true);
    if (!asked.has(path)) {
      asked.set(path, new Promise((resolve) => {
        const script = make("script", {});
        script.onload = script.onerror = () => {
          script.remove();
          resolve(Boolean(isThere()));
        };
        script.src = policy ? policy.createScriptURL(path) : checkPath(path);
        document.head.append(script);
      }));
    }
    return asked.get(path);
  }

  const loadColumns = (number) => load("data/columns-" + pad(number, 3) + ".js", () => data.parts[number]);
  const loadText = (number) => load("data/text-" + pad(number, 3) + ".js", () => data.texts[number] !== undefined);
  const loadMap = () => load("data/map.js", () => data.map);

  const columnParts = () => Math.ceil(data.head.facts.clips / data.head.columns_per_part);

  async function loadTexts() {
    if (!data.head.has_text) return false;
    const all = [];
    for (let number = 0; number < columnParts(); number++) all.push(loadText(number));
    return (await Promise.all(all)).every(Boolean);
  }

  // A clip's details where they are here already; else undefined.
  function getDetail(clip) {
    const number = Math.floor(clip / data.head.clips_per_part);
    const part = data.details.get(number);
    if (!part) return undefined;
    if (data.details.size > 1) {
      data.details.delete(number);
      data.details.set(number, part);
    }
    return { ...part.clips[clip % data.head.clips_per_part], sheet: part.sheet };
  }

  // The same when they are loaded; null where their file is missing.
  async function loadDetail(clip) {
    const number = Math.floor(clip / data.head.clips_per_part);
    const found = await load(clipsPath(number), () => data.details.has(number));
    return found ? getDetail(clip) : null;
  }

  // A value of a column; undefined for clips whose part is not here.
  function getValue(clip, name) {
    const part = data.parts[Math.floor(clip / data.head.columns_per_part)];
    return part && part[name][clip - part.first];
  }

  Object.assign(report, { data, loadColumns, loadTexts, loadMap, columnParts, getDetail, loadDetail, getValue, unpack });
})();
