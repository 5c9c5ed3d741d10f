"use strict";
// The views that are tables: failures by reason, and agreement with the dataset's labels.
(function () {
  const { make, fill, find, count, percent, score } = report;

  function makeTable(heads, rows) {
    const cells = (row) => row.map((cell, place) => make(place ? "td" : "th", place ? {} : { scope: "row" }, cell));
    return make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, cells(row))))));
  }

  const link = (text, run) => make("button", { type: "button", class: "plain", onclick: run }, text);

  function drawFailures() {
    const { failures, facts } = report.data.head;
    const rows = failures.map(({ reason, clips }, number) => [
      link(reason, () => report.change({ reason: number, kind: "failed", view: "clips" })),
      count(clips), percent(clips, facts.failed),
    ]);
    fill(find("panel-failures"), rows.length
      ? makeTable(["Reason", "Clips", "Of the failures"], rows)
      : make("p", { class: "quiet" }, "No clip failed."));
  }

  function makeSounds({ sounds }) {
    return makeTable(["Sound", "Labelled", "Tagged", "Both", "Of the labelled"], sounds.map(([sound, labelled, tagged, both]) => [
      make("span", {}, report.makeDot(sound), link(report.soundName(sound), () => report.change({ sounds: [sound], view: "clips" }))),
      count(labelled), count(tagged), count(both), percent(both, labelled),
    ]));
  }

  function makeDiffering({ differing }) {
    const names = [];
    const rows = differing.map(([clip, difference]) => {
      const name = make("span", { class: "name" }, "Clip " + (clip + 1));
      const labels = make("span", {});
      names.push([clip, name, labels]);
      return [
        make("button", { type: "button", class: "plain", onclick: () => report.openClip(clip) }, name),
        report.describeTag(clip), labels, difference === null ? "" : score(difference),
      ];
    });
    return { table: makeTable(["Clip", "Tag", "Labels", "Difference"], rows), names };
  }

  // Names are in the clips' details: they are read when the table comes into view, the first first.
  async function nameClips(names) {
    for (const [clip, name, labels] of names) {
      const detail = await report.loadDetail(clip);
      if (!detail) continue;
      fill(name, detail.name);
      fill(labels, (detail.labels || []).map(report.soundName).join(", "));
    }
  }

  let isNamed = false;

  function showLabels() {
    const { agreement } = report.data.head;
    if (isNamed || !agreement) return;
    isNamed = true;
    const { compared, agreeing, column } = agreement;
    const { table, names } = makeDiffering(agreement);
    fill(find("panel-labels"),
      make("p", {}, make("b", {}, percent(agreeing, compared)), ` of ${count(compared)} clips with labels in `, make("code", {}, column),
        " have a tag that is one of them or lies below one."),
      make("h3", {}, "Clips where tag and label differ most"),
      names.length ? table : make("p", { class: "quiet" }, "None."),
      names.length ? link("Show all that differ in the list", () => report.change({ kind: "differs", reason: -1, view: "clips" })) : null,
      make("h3", {}, "By sound"), makeSounds(agreement));
    nameClips(names);
  }

  Object.assign(report, { drawFailures, showLabels });
})();
