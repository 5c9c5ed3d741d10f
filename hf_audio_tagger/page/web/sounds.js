"use strict";
// The sounds of the report as a graph: what lies below each, how many clips it has, its colour.
(function () {
  const PLAIN = 7; // the colour of labels that are not AudioSet's
  let sounds, children, totals;

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
  }

  // A sound and all that lies below it, each once: a category may have several parents.
  function findBelow(number) {
    const found = new Set([number]);
    for (const one of found) for (const child of children[one]) found.add(child);
    return found;
  }

  const isThere = (number) => number >= 0 && number < sounds.length;
  const soundName = (number) => (isThere(number) ? sounds[number].name : "");
  const groupColour = (number) => (isThere(number) ? sounds[number].group : PLAIN);
  const findSound = (name) => sounds.findIndex((sound) => sound.name.toLowerCase() === name.trim().toLowerCase());

  // The sound of that name, else the one with most clips that has it in its name; -1 for none.
  function guessSound(name) {
    const exact = findSound(name), part = name.trim().toLowerCase();
    const having = sounds.flatMap((sound, number) => (sound.name.toLowerCase().includes(part) ? [number] : []));
    return exact >= 0 || !having.length ? exact : having.reduce((a, b) => (totals[b].clips > totals[a].clips ? b : a));
  }

  const roots = () => sounds.flatMap((sound, number) => (sound.parents.length ? [] : [number]));

  Object.assign(report, {
    startSounds: start, findBelow, soundName, groupColour, findSound, guessSound, roots,
    childSounds: (number) => children[number],
    soundTotal: (number) => totals[number],
  });
})();
