// Who hears what in which order: the listener's id alone decides, so that a reload changes nothing.
const Order = {
  // Numbers from 0 to 1 that a text decides (FNV-1a, then Marsaglia's xorshift).
  numbers(text) {
    let state = 2166136261;
    for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
    state = state || 1;
    const next = () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32;
    };
    for (let i = 0; i < 16; i += 1) next();
    return next;
  },

  shuffled(items, text) {
    const next = Order.numbers(text);
    const order = [...items];
    for (let last = order.length - 1; last > 0; last -= 1) {
      const other = Math.floor(next() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  },

  // A listener's pages: of all clips, or of so many, the kinds of sound in turn.
  pages(test, listener) {
    const kinds = new Map(test.pages.map(({ clip, kind }) => [clip, kind]));
    const clips = Order.shuffled(kinds.keys(), `${listener}:clips`);
    const rank = (clip) => clips.filter((other) => kinds.get(other) === kinds.get(clip)).indexOf(clip);
    const inTurn = clips.map((clip) => [rank(clip), clip]).sort(([a], [b]) => a - b);
    const chosen = new Set(inTurn.slice(0, test.clips ?? clips.length).map(([, clip]) => clip));
    return Order.shuffled(test.pages.filter(({ clip }) => chosen.has(clip)), `${listener}:pages`);
  },

  stimuli(page, listener) {
    return Order.shuffled(page.stimuli, `${listener}:${page.id}`);
  },
};
