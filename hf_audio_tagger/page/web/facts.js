"use strict";
// The head: what was tagged, with what, and what came of it.
(function () {
  const { make, fill, find, count, percent, hours } = report;

  function describeFacts({ facts, sounds }) {
    const found = sounds.filter((sound) => sound.clips > 0).length;
    return [
      ["Clips", count(facts.clips), facts.rows === facts.clips ? "" : "in " + count(facts.rows) + " rows"],
      ["Length", facts.seconds === null ? "unknown" : hours(facts.seconds), ""],
      ["Tagged", count(facts.tagged), percent(facts.tagged, facts.clips), "tagged"],
      ["Sounds", count(found), "different tags"],
      ["EMPTY", count(facts.empty), facts.empty ? "no sound track" : "", "empty"],
      ["Failed", count(facts.failed), facts.failed ? percent(facts.failed, facts.clips) : "", "failed"],
      ...(facts.untagged ? [["Without a tag", count(facts.untagged), "", "untagged"]] : []),
    ];
  }

  // A fact; where it names a state, a button that shows those clips.
  function makeFact([name, value, note, kind]) {
    const canShow = kind && value !== "0";
    const show = () => report.change({ kind, reason: -1, view: "clips" });
    const number = canShow
      ? make("button", { type: "button", class: "plain", title: "Show these clips", onclick: show }, value)
      : value;
    return make("div", { class: "fact" },
      make("dt", {}, name), make("dd", {}, number, note ? make("small", {}, note) : null));
  }

  const makePairs = (pairs) =>
    make("dl", { class: "pairs" }, pairs.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));

  function draw() {
    const { head } = report.data;
    document.title = report.show(head.title);
    fill(find("title"), head.title);
    const folded = [["Settings", head.settings], ["Versions", head.versions]].filter(([, pairs]) => pairs.length);
    fill(find("facts"),
      make("dl", { class: "facts" }, describeFacts(head).map(makeFact)),
      make("div", { class: "origin" },
        makePairs(head.run),
        folded.map(([title, pairs]) => make("details", {}, make("summary", {}, title), makePairs(pairs)))),
      head.notes.length ? make("ul", { class: "notes" }, head.notes.map((note) => make("li", {}, note))) : null);
  }

  // Something that the reader can do something about, such as a missing file.
  function tellProblem(text) {
    const place = find("problem");
    place.hidden = false;
    if (!place.textContent.includes(text)) fill(place, (place.textContent + " " + text).trim());
  }

  Object.assign(report, { drawFacts: draw, tellProblem });
})();
