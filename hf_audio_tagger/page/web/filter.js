"use strict";
// Which clips are shown, in which order: loops over the columns' arrays.
(function () {
  const { data, state } = report;
  const TAGGED = 0, EMPTY = 1, FAILED = 2, UNTAGGED = 3;
  const SEVERAL = 1, DIFFERS = 2, PLAYABLE = 4; // flags
  const NONE = 65535;
  const PLACES = 2 ** 22; // numbers of clips that fit beside 31 bits of a key in a double
  const orders = new Map();
  const STATES = {
    all: ["All clips", () => true],
    tagged: ["Tagged", (kind) => kind === TAGGED],
    several: ["Several sounds", (kind, flags) => flags & SEVERAL],
    empty: ["EMPTY: no sound track", (kind) => kind === EMPTY],
    failed: ["Failed", (kind) => kind === FAILED],
    untagged: ["Without a tag", (kind) => kind === UNTAGGED],
    differs: ["Tag and label differ", (kind, flags) => flags & DIFFERS],
    playable: ["With media", (kind, flags) => flags & PLAYABLE],
  };

  // A byte for each clip of a part: 1 where its line has all words.
  function searchText(number, count, words) {
    const found = new Uint8Array(count).fill(1);
    const entry = data.texts[number];
    if (!entry) return found;
    const { text, starts } = entry;
    for (const word of words) {
      const hits = new Uint8Array(count);
      for (let clip = 0, at = text.indexOf(word); at >= 0; at = text.indexOf(word, starts[clip])) {
        while (starts[clip + 1] <= at) clip++;
        hits[clip] = found[clip];
        if (++clip >= count) break;
      }
      found.set(hits);
    }
    return found;
  }

  // The highest score among a clip's wanted sounds; -1 where it has none of them. `i` counts from the part's first.
  function scoreSounds(part, i, wanted) {
    let best = -1;
    for (let at = part.starts[i]; at < part.starts[i + 1]; at++) {
      if (wanted[part.sounds[at]] && part.sound_scores[at] > best) best = part.sound_scores[at];
    }
    return best < 0 ? best : best / 65535;
  }

  function listWanted() {
    const wanted = new Uint8Array(NONE + 1);
    for (const sound of state.sounds) for (const below of report.findBelow(sound)) wanted[below] = 1;
    return wanted;
  }

  // The scores by which clips match, -1 where they do not; NaN where they match and have none.
  function matchPart(number, part, scores) {
    const words = state.text.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length ? searchText(number, part.count, words) : null;
    const isWanted = STATES[state.kind][1];
    const anyKind = state.kind === "all", anySound = !state.sounds.length;
    const anyScore = state.low <= 0 && state.high >= 1;
    const wanted = listWanted();
    const { region, reason, likes } = state;
    const like = likes && new Set(likes);
    for (let i = 0, clip = part.first; i < part.count; i++, clip++) {
      scores[clip] = -1;
      if (hits && !hits[i]) continue;
      if (!anyKind && !isWanted(part.state[i], part.flags[i])) continue;
      if (reason >= 0 && part.reason[i] !== reason) continue;
      if (region && !region[clip]) continue;
      if (like && !like.has(clip)) continue;
      let score = part.score[i];
      if (!anySound) {
        if (!state.anywhere) {
          if (!wanted[part.tag[i]]) continue;
        } else {
          score = scoreSounds(part, i, wanted);
          if (score < 0) continue;
        }
      }
      // A tag's score is a float32: 0.9 of the slider and 0.9 of the column are not the same double.
      if (!anyScore && !(score >= state.low - 1e-6 && score <= state.high + 1e-6)) continue;
      scores[clip] = score;
    }
  }

  // Numbers of clips by a key that is not negative; those without one come last.
  function sortByKey(clips, keys, descending) {
    const bits = new Uint32Array(keys.buffer, keys.byteOffset, keys.length);
    const isWhole = keys instanceof Uint32Array;
    const packed = new Float64Array(clips.length), without = [];
    let count = 0;
    for (const clip of clips) {
      if (isWhole || keys[clip] >= 0) packed[count++] = bits[clip] * PLACES + clip;
      else without.push(clip);
    }
    const sorted = packed.subarray(0, count).sort();
    const order = new Uint32Array(clips.length);
    for (let i = 0; i < count; i++) order[descending ? count - 1 - i : i] = sorted[i] % PLACES;
    order.set(without, count);
    return order;
  }

  function joinColumn(name) {
    const joined = new (name === "name_rank" ? Uint32Array : Float32Array)(data.loaded);
    for (const part of data.parts) if (part && part.first < data.loaded) joined.set(part[name], part.first);
    return joined;
  }

  // All clips that are loaded, in one order; kept, since it does not depend on filters.
  function orderAll(sort, descending) {
    const key = [sort, descending, data.loaded].join();
    if (!orders.has(key)) {
      const clips = new Uint32Array(data.loaded).map((_, clip) => clip);
      if (sort === "number") orders.set(key, descending ? clips.reverse() : clips);
      else {
        const column = { score: "score", seconds: "seconds", name: "name_rank" }[sort];
        orders.set(key, sortByKey(clips, joinColumn(column), descending));
      }
      if (orders.size > 8) orders.delete(orders.keys().next().value);
    }
    return orders.get(key);
  }

  // {clips: numbers in order, seconds: of all of them, counts and lengths: by tag}
  function selectClips() {
    const scores = new Float32Array(data.loaded).fill(-1); // so for parts that are missing
    const counts = new Uint32Array(data.head.sounds.length), lengths = new Float64Array(counts.length);
    let seconds = 0;
    data.parts.forEach((part, number) => {
      if (part.first >= data.loaded) return;
      matchPart(number, part, scores);
      for (let i = 0, clip = part.first; i < part.count; i++, clip++) {
        if (scores[clip] === -1) continue;
        const length = part.seconds[i] || 0;
        seconds += length;
        if (part.tag[i] === NONE) continue;
        counts[part.tag[i]]++;
        lengths[part.tag[i]] += length;
      }
    });
    return { clips: arrange(scores), seconds, counts, lengths };
  }

  function arrange(scores) {
    if (state.likes) return Uint32Array.from(state.likes.filter((clip) => clip < data.loaded && scores[clip] !== -1));
    const byMatch = state.sort === "score" && state.anywhere && state.sounds.length;
    const order = byMatch ? orderAll("number", false) : orderAll(state.sort, state.descending);
    const clips = order.filter((clip) => scores[clip] !== -1);
    return byMatch ? sortByKey(clips, scores, state.descending) : clips;
  }

  Object.assign(report, { STATES, selectClips, NONE });
})();
