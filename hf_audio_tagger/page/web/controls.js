"use strict";
// The filters: a search field, a sound, a state, scores, an order; and a chip for each that is in use.
(function () {
  const { state, make, fill, find, count, hours } = report;
  const ORDERS = {
    "number up": "Dataset's order", "score down": "Highest score", "score up": "Lowest score",
    "seconds down": "Longest", "seconds up": "Shortest", "name up": "Name, A to Z", "name down": "Name, Z to A",
  };
  const WAIT_MS = 120; // after a key, before a search
  let waiting = 0;

  function makeField(name, control) {
    return make("label", { class: "field" }, make("span", {}, name), control);
  }

  function makeSelect(id, options, run) {
    const made = Object.entries(options).map(([value, text]) => make("option", { value }, text));
    return make("select", { id, onchange: (event) => run(event.target.value) }, made);
  }

  async function search(text) {
    if (text.trim() && !(await report.loadTexts())) {
      report.tellProblem("Files of data/text are missing: the search does not look through all clips.");
    }
    report.change({ text });
  }

  function makeSearch() {
    return make("input", {
      id: "search", type: "search", placeholder: "Name or metadata", autocomplete: "off", spellcheck: "false",
      "aria-keyshortcuts": "/",
      oninput: (event) => {
        clearTimeout(waiting);
        waiting = setTimeout(() => search(event.target.value), WAIT_MS);
      },
    });
  }

  // While one types, a whole name is taken; when one is done, also a part of one.
  function takeSound(input, isDone) {
    const name = input.value;
    const sound = isDone && name.trim() ? report.guessSound(name) : report.findSound(name);
    input.setCustomValidity(isDone && name.trim() && sound < 0 ? "No sound of this report has such a name." : "");
    if (isDone) input.reportValidity();
    if (sound < 0) return;
    input.value = "";
    if (!state.sounds.includes(sound)) report.change({ sounds: [...state.sounds, sound] });
  }

  function makeSoundInput() {
    const names = report.data.head.sounds.map((sound) => sound.name).sort();
    return [
      make("input", {
        id: "sound", list: "all-sounds", placeholder: "Such as Vehicle", autocomplete: "off",
        "aria-keyshortcuts": "s",
        oninput: (event) => takeSound(event.target, false), onchange: (event) => takeSound(event.target, true),
      }),
      make("datalist", { id: "all-sounds" }, names.map((value) => make("option", { value }))),
    ];
  }

  function makeScore(id, name, value) {
    const take = (event) => {
      const given = Number(event.target.value);
      const number = event.target.value === "" || !Number.isFinite(given) ? (id === "low" ? 0 : 1) : given;
      report.change({ [id]: Math.min(1, Math.max(0, number)) });
    };
    return make("input", {
      id, type: "number", min: 0, max: 1, step: 0.05, value, "aria-label": name, oninput: take,
    });
  }

  function makeControls() {
    const { facts, agreement, media, sounds } = report.data.head;
    const isOffered = {
      empty: facts.empty, failed: facts.failed, untagged: facts.untagged, differs: agreement, playable: media !== "none",
    };
    const kinds = Object.entries(report.STATES).filter(([name]) => !(name in isOffered) || isOffered[name]);
    const anywhere = make("input", {
      id: "anywhere", type: "checkbox", onchange: (event) => report.change({ anywhere: event.target.checked }),
    });
    fill(find("filters"),
      report.data.head.has_text ? makeField("Search", makeSearch()) : null,
      sounds.length ? makeField("Sound", makeSoundInput()) : null,
      make("div", { class: "field", role: "group", "aria-label": "Score" }, make("span", {}, "Score"),
        make("span", { class: "range" }, makeScore("low", "Lowest score", 0), "to", makeScore("high", "Highest score", 1))),
      makeField("State", makeSelect("kind", Object.fromEntries(kinds.map(([name, [text]]) => [name, text])),
        (kind) => report.change({ kind, reason: -1 }))),
      makeField("Order", makeSelect("order", ORDERS, (value) => {
        const [sort, way] = value.split(" ");
        report.change({ sort, descending: way === "down" });
      })),
      make("label", { class: "check" }, anywhere, " Any sound, not the tag alone"));
  }

  // What is set, in words, and what takes it away.
  function listChips() {
    const chips = state.sounds.map((sound) => [
      report.soundName(sound), { sounds: state.sounds.filter((one) => one !== sound) }, sound,
    ]);
    if (state.text.trim()) chips.push(["\u201c" + state.text.trim() + "\u201d", { text: "" }]);
    if (state.low > 0 || state.high < 1) chips.push([`Score ${state.low} to ${state.high}`, { low: 0, high: 1 }]);
    if (state.reason >= 0) {
      chips.push(["Failed: " + report.data.head.failures[state.reason].reason, { reason: -1, kind: "all" }]);
    } else if (state.kind !== "all") chips.push([report.STATES[state.kind][0], { kind: "all" }]);
    if (state.region) chips.push(["Selected on the map", { region: null }]);
    if (state.likes) chips.push(["Like clip " + (state.like + 1), { like: -1, likes: null }]);
    return chips;
  }

  const clear = () => report.change({
    sounds: [], text: "", low: 0, high: 1, kind: "all", reason: -1, region: null, like: -1, likes: null,
  });

  function drawChips() {
    const chips = listChips();
    const makeChip = ([text, values, sound]) => make("button", {
      type: "button", class: "chip", "aria-label": "Remove: " + text, onclick: () => report.change(values),
    }, sound === undefined ? null : report.makeDot(sound), make("span", { class: "chip-text" }, text),
    make("span", { "aria-hidden": "true" }, " \u00d7"));
    fill(find("chips"), chips.map(makeChip),
      chips.length > 1 ? make("button", { type: "button", class: "plain", onclick: clear }, "Clear all") : null);
  }

  // The controls follow what others change: a chip that is taken away, a fact of the head.
  function follow() {
    const values = { search: state.text, low: state.low, high: state.high, kind: state.kind };
    for (const [id, value] of Object.entries(values)) {
      const control = find(id);
      if (control && control !== document.activeElement) control.value = value;
    }
    find("anywhere").checked = state.anywhere;
    drawChips();
  }

  function tellStatus(selected) {
    const { facts } = report.data.head;
    const all = selected.clips.length === facts.clips;
    const many = count(selected.clips.length) + (all ? "" : " of " + count(facts.clips)) +
      (facts.clips === 1 ? " clip" : " clips");
    const loading = report.data.loaded < facts.clips ? ` \u00b7 ${count(report.data.loaded)} read so far` : "";
    fill(find("status"), many + (selected.seconds ? " \u00b7 " + hours(selected.seconds) : "") + loading);
  }

  function start() {
    makeControls();
    follow();
    find("clear-nothing").addEventListener("click", clear);
    report.watch(["sounds", "text", "low", "high", "kind", "reason", "region", "likes", "anywhere"], follow);
  }

  Object.assign(report, { startControls: start, tellStatus, clearFilters: clear });
})();
