// Stimuli: each a script beside the page that calls `sound` with its name and content.
const Sounds = {
  asked: new Map(),

  load(name) {
    if (!Sounds.asked.has(name)) {
      const asked = {};
      asked.content = new Promise((resolve, reject) => {
        asked.resolve = resolve;
        const script = document.createElement("script");
        script.src = `audio/${name}.js`;
        script.onload = () => script.remove();
        script.onerror = () => {
          script.remove();
          Sounds.asked.delete(name);
          reject(new Error("a sound could not be loaded; is the folder “audio” beside this page?"));
        };
        document.head.append(script);
      });
      asked.content.catch(() => {});
      Sounds.asked.set(name, asked);
    }
    return Sounds.asked.get(name).content;
  },

  decoded(names) {
    return Promise.all(names.map(async (name) => Switch.decode(await Sounds.load(name))));
  },

  forget(names) {
    for (const name of names) Sounds.asked.delete(name);
  },
};

const sound = (name, content) => Sounds.asked.get(name)?.resolve(content);
