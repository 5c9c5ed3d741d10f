"use strict";
// What all other scripts use: the page's state, elements made of text, and numbers as words.
// Strings of data become text nodes or plain attributes, never markup; the policy refuses the rest.
var report = (function () {
  const listeners = [];
  const state = {
    sounds: [], // numbers of the chosen sounds; a clip matches one of them or what lies below
    anywhere: false, // in all sounds of a clip, not in its tag alone
    low: 0, // lowest score
    high: 1,
    text: "",
    kind: "all", // of STATES
    reason: -1, // of the failures
    region: null, // a byte for each clip, 1 within the map's selection
    like: -1, // the clip whose neighbours are shown
    likes: null, // their numbers, nearest first
    sort: "number",
    descending: false,
    bars: "clips",
    shape: "tree",
    view: "clips",
    clip: -1, // the chosen one
  };

  function change(values) {
    Object.assign(state, values);
    const names = Object.keys(values);
    for (const listener of listeners) listener(names);
  }

  // `run` is called once for a change of any of these names.
  function watch(names, run) {
    listeners.push((changed) => changed.some((name) => names.includes(name)) && run(changed));
  }

  // As the package's own `safe_text`: control codes, and what is invisible and changes how other text looks.
  const HIDDEN = new RegExp(
    "[\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff" +
      "\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}\\ud800-\\udfff]", "gu");

  function escapeCode(character) {
    const code = character.codePointAt(0);
    const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
    return short || (code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16));
  }

  function show(text) {
    return String(text).replace(HIDDEN, escapeCode);
  }

  function append(element, children) {
    for (const child of children.flat()) {
      if (child !== null && child !== undefined && child !== false) {
        element.append(child instanceof Node ? child : document.createTextNode(show(child)));
      }
    }
    return element;
  }

  // An element with attributes, listeners (functions, as `onclick`) and children: elements or text.
  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") element.addEventListener(key.slice(2), value);
      else if (key.startsWith("on")) throw new TypeError(key + " must be a function");
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, show(value));
    }
    return append(element, children);
  }

  function fill(element, ...children) {
    element.replaceChildren();
    return append(element, children);
  }

  const find = (id) => document.getElementById(id);

  // The dot in a sound's colour. It says nothing that the name beside it does not.
  function makeDot(sound) {
    return make("span", { class: "dot group-" + report.soundColour(sound), "aria-hidden": "true" });
  }

  const count = (number) => number.toLocaleString("en");
  const percent = (part, whole) => (whole ? (100 * part / whole).toFixed(part / whole < 0.1 ? 1 : 0) + " %" : "");
  const score = (number) => (Number.isFinite(number) ? number.toFixed(2) : "");

  function hours(seconds) {
    if (!Number.isFinite(seconds)) return "";
    if (seconds < 60) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
    if (seconds < 3600) return (seconds / 60).toFixed(seconds < 600 ? 1 : 0) + " min";
    const value = seconds / 3600;
    return (value < 100 ? value.toFixed(1) : count(Math.round(value))) + " h";
  }

  // 83.25 is 1:23.2, of which `exact` shows the tenths.
  function clock(seconds, exact) {
    if (!Number.isFinite(seconds)) return "";
    const tenths = Math.floor(seconds * 10 + 1e-6);
    const whole = exact ? Math.floor(tenths / 10) : Math.round(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const shown = parts[0] ? parts : parts.slice(1);
    const text = shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
    return exact ? text + "." + (tenths % 10) : text;
  }

  // At most once for each picture that the browser draws.
  function oncePerFrame(run) {
    let asked = false;
    return function () {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        run();
      });
    };
  }

  return { state, change, watch, show, make, fill, find, makeDot, count, percent, score, hours, clock, oncePerFrame };
})();
