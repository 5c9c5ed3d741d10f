"use strict";
// The tags as bars, by clips or by length, as AudioSet's tree or as a plain list. A click chooses a sound.
// Dark: the clips that the filters leave; pale: all of them.
(function () {
  const { state, make, fill, find, count, hours } = report;
  const LINES = 26; // that the tree unfolds to by itself
  const LISTED = 60; // sounds of the plain list before "more"
  const unfolded = new Set();
  let listed = LISTED;
  let shown = { counts: [], lengths: [] };

  const total = (sound) => report.soundTotal(sound)[state.bars];
  const ownTotal = (sound) => report.data.head.sounds[sound][state.bars];
  const describe = (value) => (state.bars === "clips" ? count(value) : hours(value));
  const sortSounds = (sounds, value) =>
    sounds.filter((sound) => value(sound) > 0).sort((a, b) => value(b) - value(a) || a - b);

  function measureShown(sounds) {
    const values = state.bars === "clips" ? shown.counts : shown.lengths;
    let sum = 0;
    for (const sound of sounds) sum += values[sound] || 0;
    return sum;
  }

  // Unfolds what has most clips, until the tree has a good number of lines.
  function unfoldMost() {
    let lines = sortSounds(report.roots(), total);
    const waiting = [...lines];
    let length = lines.length;
    while (waiting.length) {
      waiting.sort((a, b) => total(b) - total(a));
      const sound = waiting.shift();
      const below = sortSounds(report.childSounds(sound), total);
      if (!below.length || length + below.length > LINES) continue;
      unfolded.add(sound);
      length += below.length;
      waiting.push(...below);
    }
  }

  function choose(sound) {
    const without = state.sounds.filter((one) => one !== sound);
    const sounds = without.length < state.sounds.length ? without : [...state.sounds, sound];
    report.change({ sounds });
  }

  function fold(sound) {
    if (!unfolded.delete(sound)) unfolded.add(sound);
    draw();
    const again = document.querySelector(`[data-fold="${sound}"]`);
    if (again) again.focus();
  }

  function makeBar(whole, part, most, sound) {
    const bar = make("span", { class: "bar-track", "aria-hidden": "true" },
      make("span", { class: "bar-all group-" + report.soundColour(sound) }),
      make("span", { class: "bar-shown group-" + report.soundColour(sound) }));
    const width = (value) => (value > 0 ? Math.max(0.5, 100 * value / most) : 0) + "%";
    bar.children[0].style.width = width(whole);
    bar.children[1].style.width = width(part);
    return bar;
  }

  // Sums of lengths differ in their last digits: what is shown is compared.
  function makeNumber(whole, part) {
    const [all, some] = [describe(whole), describe(part)];
    const isFiltered = shown.counts.length && some !== all; // before the columns are read nothing is counted
    return make("span", { class: "number" }, isFiltered ? [some, make("small", {}, " of " + all)] : all);
  }

  // A line: fold, name, bar, number. `own` counts the sound itself, without what lies below it.
  function makeLine(sound, most, own) {
    const whole = (own ? ownTotal : total)(sound);
    const part = measureShown(own ? [sound] : report.findBelow(sound));
    const name = report.soundName(sound);
    const isOpen = unfolded.has(sound);
    const hasMore = !own && report.childSounds(sound).some((child) => total(child) > 0);
    const toggle = hasMore
      ? make("button", {
        type: "button", class: "fold", "data-fold": sound, "aria-expanded": String(isOpen),
        "aria-label": (isOpen ? "Fold " : "Unfold ") + name, onclick: () => fold(sound),
      }, isOpen ? "\u25be" : "\u25b8")
      : make("span", { class: "fold" });
    return make("div", { class: "line" }, toggle,
      make("button", {
        type: "button", class: "sound", "aria-pressed": String(state.sounds.includes(sound)), "data-sound": sound,
        title: name, onclick: () => choose(sound),
      }, make("span", { class: "sound-name" }, name), makeBar(whole, part, most, sound),
      makeNumber(whole, part)));
  }

  function makeTree(sounds, most) {
    return make("ul", {}, sounds.map((sound) => {
      const below = unfolded.has(sound) ? sortSounds(report.childSounds(sound), total) : [];
      return make("li", {}, makeLine(sound, most), below.length ? makeTree(below, most) : null);
    }));
  }

  function makeList() {
    const sounds = sortSounds(report.data.head.sounds.map((_, number) => number), ownTotal);
    const most = sounds.length ? ownTotal(sounds[0]) : 1;
    const more = () => {
      listed += 10 * LISTED;
      draw();
    };
    const left = sounds.length - listed;
    return [
      make("ul", {}, sounds.slice(0, listed).map((sound) => make("li", {}, makeLine(sound, most, true)))),
      left > 0 ? make("button", { type: "button", onclick: more }, "Show " + count(left) + " more") : null,
    ];
  }

  function draw() {
    const place = find("bars");
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.sound : undefined;
    const roots = sortSounds(report.roots(), total);
    if (!roots.length) fill(place, make("p", { class: "quiet" }, "No clip has a tag."));
    else if (state.shape === "list") fill(place, makeList());
    else fill(place, makeTree(roots, total(roots[0])));
    const again = focused !== undefined && place.querySelector(`[data-sound="${focused}"]`);
    if (again) again.focus();
  }

  // A pair of buttons of which one is pressed.
  function makeChoice(place, name, choices) {
    fill(place, choices.map(([value, text]) => make("button", {
      type: "button", "aria-pressed": String(state[name] === value), onclick: () => report.change({ [name]: value }),
    }, text)));
  }

  function drawChoices() {
    const hasLengths = report.data.head.facts.seconds !== null;
    makeChoice(find("bars-by"), "bars", [["clips", "Clips"], ...(hasLengths ? [["seconds", "Hours"]] : [])]);
    makeChoice(find("bars-shape"), "shape", [["tree", "Tree"], ["list", "List"]]);
  }

  function start() {
    if (!report.data.head.sounds.some((sound) => sound.parents.length)) state.shape = "list";
    unfoldMost();
    const redraw = () => {
      drawChoices();
      draw();
    };
    redraw();
    report.watch(["bars", "shape"], redraw);
  }

  report.startBars = start;
  report.drawBars = (selected) => {
    shown = selected;
    draw();
  };
})();
