"use strict";
// The sounds of the report as a graph: what lies below each, how many clips it has, its colour.
(function () {
  const PLAIN = 7; // the group of labels that are not AudioSet's, and the last colour
  let sounds, children, totals, colours, legend;

  function start() {
    sounds = report.data.head.sounds;
    children = sounds.map(() => []);
    sounds.forEach((sound, number) => sound.parents.forEach((parent) => children[parent].push(number)));
    totals = sounds.map((_, number) => {
      let clips = 0, seconds = 0;
      for (const below of findBelow(number)) {
        clips += sounds[below].clips;
        seconds += sounds[below].seconds;
      }
      return { clips, seconds };
    });
    chooseColours();
  }

  // A sound's colour is its top category's. Labels that are not AudioSet's have none: where they are tags, the
  // seven tags with most clips have a colour each, and all others the last one.
  function chooseColours() {
    const tags = sounds.flatMap((sound, number) => (sound.clips ? [number] : []));
    if (!tags.some((number) => sounds[number].group === PLAIN)) {
      const used = new Set(tags.map((number) => sounds[number].group));
      colours = sounds.map((sound) => sound.group);
      legend = report.data.head.groups.flatMap((name, group) => (used.has(group) ? [[group, name]] : []));
      return;
    }
    const ranked = tags.sort((a, b) => sounds[b].clips - sounds[a].clips || a - b);
    colours = sounds.map(() => PLAIN);
    ranked.slice(0, PLAIN).forEach((number, colour) => { colours[number] = colour; });
    legend = ranked.slice(0, PLAIN).map((number, colour) => [colour, sounds[number].name]);
    if (ranked.length > PLAIN) legend.push([PLAIN, "other tags"]);
  }

  // A sound and all that lies below it, each once: a category may have several parents.
  function findBelow(number) {
    const found = new Set([number]);
    for (const one of found) for (const child of children[one]) found.add(child);
    return found;
  }

  const isThere = (number) => number >= 0 && number < sounds.length;
  const soundName = (number) => (isThere(number) ? sounds[number].name : "");
  const soundColour = (number) => (isThere(number) ? colours[number] : PLAIN);
  const findSound = (name) => sounds.findIndex((sound) => sound.name.toLowerCase() === name.trim().toLowerCase());

  // The sound of that name, else the one with most clips that has it in its name; -1 for none.
  function guessSound(name) {
    const exact = findSound(name), part = name.trim().toLowerCase();
    const having = sounds.flatMap((sound, number) => (sound.name.toLowerCase().includes(part) ? [number] : []));
    return exact >= 0 || !having.length ? exact : having.reduce((a, b) => (totals[b].clips > totals[a].clips ? b : a));
  }

  const roots = () => sounds.flatMap((sound, number) => (sound.parents.length ? [] : [number]));

  Object.assign(report, {
    startSounds: start, findBelow, soundName, soundColour, findSound, guessSound, roots,
    listColours: () => legend,
    childSounds: (number) => children[number],
    soundTotal: (number) => totals[number],
  });
})();
