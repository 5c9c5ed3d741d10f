"use strict";
// Puts the page together: head and bars at once, then the columns part by part, and the views.
(function () {
  const { data, state, make, fill, find } = report;
  const VIEWS = ["clips", "map", "failures", "labels"];
  const FIRST_PICTURE_MS = 150; // for the details of the first clips, before more columns are read
  const FILTERS = ["sounds", "anywhere", "low", "high", "text", "kind", "reason", "region", "likes", "sort", "descending"];
  const TITLES = { clips: "Clips", map: "Map", failures: "Failures", labels: "Labels" };

  const isOffered = (view) =>
    view === "clips" || (view === "map" ? data.head.has_map : view === "failures" ? data.head.facts.failed > 0 : Boolean(data.head.agreement));

  function update() {
    const start = performance.now();
    const selected = report.selectClips();
    report.showList(selected.clips);
    report.drawBars(selected);
    report.drawMap(selected.clips);
    report.tellStatus(selected);
    performance.measure("filter", { start });
  }

  function showView(view) {
    if (isOffered(view)) report.change({ view });
  }

  function drawView() {
    for (const view of VIEWS) {
      find("panel-" + view).hidden = view !== state.view;
      const tab = find("tab-" + view);
      if (!tab) continue;
      tab.setAttribute("aria-selected", String(view === state.view));
      tab.tabIndex = view === state.view ? 0 : -1;
    }
    if (state.view === "map") report.showMap();
    if (state.view === "labels") report.showLabels();
  }

  function moveTab(event) {
    const offered = VIEWS.filter(isOffered);
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = offered[(offered.indexOf(state.view) + by + offered.length) % offered.length];
    report.change({ view: next });
    find("tab-" + next).focus();
  }

  function makeTabs() {
    const offered = VIEWS.filter(isOffered);
    fill(find("tabs"), offered.map((view) => make("button", {
      type: "button", role: "tab", id: "tab-" + view, "aria-controls": "panel-" + view,
      onclick: () => showView(view), onkeydown: moveTab,
    }, TITLES[view])));
    find("tabs").hidden = offered.length < 2;
  }

  function switchTheme() {
    const root = document.documentElement;
    const isDark = getComputedStyle(root).colorScheme === "dark" ||
      (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = isDark ? "light" : "dark";
    redraw();
  }

  // Canvases hold colours: they are drawn anew where the theme changes.
  function redraw() {
    report.forgetColours();
    report.redrawList();
    report.redrawDetail();
    if (state.view === "map") report.showMap();
  }

  // On narrow screens bars and filters are folded away at first; elsewhere page.css hides these buttons.
  function startFold(name) {
    const button = find(name + "-fold");
    const fold = (isOpen) => {
      button.setAttribute("aria-expanded", String(isOpen));
      find(name).classList.toggle("folded", !isOpen);
    };
    button.addEventListener("click", () => fold(button.getAttribute("aria-expanded") !== "true"));
    fold(false);
  }

  async function loadAllColumns() {
    for (let number = 0; number < report.columnParts(); number++) {
      if (!(await report.loadColumns(number))) {
        report.tellProblem(`The columns of part ${number} are missing or damaged: its clips are not shown. Copy the report's whole folder.`);
      }
      data.loaded = Math.min(data.head.facts.clips, (number + 1) * data.head.columns_per_part);
      // Drawn after parts 1, 2, 4, 8...: the first is seen at once, and drawing does not hold up what follows.
      const isLast = number + 1 === report.columnParts();
      if (isLast || Number.isInteger(Math.log2(number + 1))) update();
      if (number === 0) await new Promise((resolve) => setTimeout(resolve, FIRST_PICTURE_MS));
    }
    document.documentElement.dataset.ready = "true";
  }

  function start() {
    find("theme").addEventListener("click", switchTheme);
    if (!data.head) {
      find("problem").hidden = false;
      return fill(find("problem"), "data/head.js is missing or damaged. A report is a whole folder: copy all of it.");
    }
    report.startSounds();
    report.drawFacts();
    report.startBars();
    report.startControls();
    report.startList();
    report.startDetail();
    report.drawFailures();
    report.startKeys();
    startFold("sounds");
    startFold("filters");
    makeTabs();
    report.watch(["view"], drawView);
    report.watch(FILTERS, update);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    drawView();
    loadAllColumns();
  }

  Object.assign(report, { VIEWS, showView, switchTheme });
  start();
})();
