"use strict";
// Keys for all that a pointer can do, and the dialog that lists them.
(function () {
  const { state, make, fill, find } = report;
  const SKIP_SECONDS = 5;
  const KEYS = [
    ["j", "\u2193", "Next clip", () => report.moveBy(1)],
    ["k", "\u2191", "Clip before", () => report.moveBy(-1)],
    ["PageDown", "", "A page down", () => report.moveBy(report.pageSize())],
    ["PageUp", "", "A page up", () => report.moveBy(-report.pageSize())],
    ["Home", "", "First clip", () => report.moveBy(-Infinity)],
    ["End", "", "Last clip", () => report.moveBy(Infinity)],
    ["Enter", "", "Play the clip from its start", () => state.clip >= 0 && report.openClip(state.clip, { at: 0, play: true })],
    [" ", "", "Play or pause", () => report.togglePlay()],
    ["]", "", "Next segment", () => report.stepSegment(1)],
    ["[", "", "Segment before", () => report.stepSegment(-1)],
    [".", "", SKIP_SECONDS + " seconds on", () => report.playAt(report.playTime() + SKIP_SECONDS)],
    [",", "", SKIP_SECONDS + " seconds back", () => report.playAt(Math.max(0, report.playTime() - SKIP_SECONDS))],
    ["/", "", "Search names and metadata", () => focus("search")],
    ["s", "", "Filter by a sound", () => focus("sound")],
    ["b", "", "To the bars", () => focusFirst("#bars .sound")],
    ["l", "", "To the list", () => focus("clips")],
    ["c", "", "Clear the filters", () => report.clearFilters()],
    ["m", "", "More like this clip", () => report.showMoreLikeThis()],
    ["h", "", "Bars by clips or by hours", () => switchBars()],
    ["1", "to 4", "Clips, map, failures, labels", null],
    ["t", "", "Light or dark", () => report.switchTheme()],
    ["?", "", "These keys", () => showHelp()],
    ["Escape", "", "Close what is open", () => state.clip >= 0 && report.closeClip()],
  ];
  const RUN = new Map(KEYS.filter(([, , , run]) => run).map(([key, , , run]) => [key, run]));
  RUN.set("ArrowDown", RUN.get("j"));
  RUN.set("ArrowUp", RUN.get("k"));
  // Keys that scroll or press: of the list alone, or where nothing has the focus.
  const OF_LIST = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Enter", " "];

  function focus(id) {
    const element = find(id);
    if (element && !element.checkVisibility()) find("filters-fold").click();
    if (element) element.focus();
  }

  function focusFirst(selector) {
    const element = document.querySelector(selector);
    if (element) element.focus();
  }

  function switchBars() {
    if (report.data.head.facts.seconds !== null) report.change({ bars: state.bars === "clips" ? "seconds" : "clips" });
  }

  function showHelp() {
    if (!find("help").open) find("help").showModal();
  }

  // The button within keeps the focus until the next picture is drawn: keys that are pressed by then would go to it.
  function hideHelp() {
    find("help").close();
    if (find("help").contains(document.activeElement)) document.activeElement.blur();
  }

  function buildHelp() {
    const name = (key) => ({ " ": "Space", Escape: "Esc" })[key] || key;
    fill(find("help"),
      make("div", { class: "bar" }, make("h2", { id: "help-title" }, "Keys"),
        make("button", { type: "button", "aria-label": "Close", onclick: hideHelp }, "\u00d7")),
      make("dl", { class: "keys" }, KEYS.map(([key, other, text]) => make("div", {},
        make("dt", {}, make("kbd", {}, name(key)), other ? make("kbd", {}, other) : null), make("dd", {}, text)))),
      make("p", { class: "quiet" }, "On the map: arrows move a cross, Enter opens the clip there, B begins and ends a selection, + and \u2212 zoom."));
  }

  function takeKey(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (find("help").open) {
      if (key === "Escape" || key === "?") hideHelp();
      return;
    }
    if (target.matches("input:not([type=checkbox]), select, textarea")) {
      if (key === "Escape") focus("clips");
      return;
    }
    const isList = target === document.body || target.id === "clips" || target.id === "player";
    if (OF_LIST.includes(key) && !isList) return;
    const tab = /^[1-4]$/.test(key) && report.VIEWS[key - 1];
    const run = tab ? () => report.showView(tab) : RUN.get(key);
    if (!run) return;
    event.preventDefault();
    run();
  }

  function start() {
    buildHelp();
    find("help-button").addEventListener("click", showHelp);
    document.addEventListener("keydown", takeKey);
  }

  report.startKeys = start;
})();
