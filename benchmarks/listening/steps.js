// From the welcome over practice and pages to the file of ratings.
class Steps {
  constructor(test) {
    this.test = test;
    this.store = new Store(test.id);
    this.main = document.getElementById("main");
    this.trial = null;
    if (this.state.ended) this.end();
    else if (this.state.practised || this.state.done.length) this.back();
    else this.welcome();
  }

  get state() {
    return this.store.state;
  }

  get pages() {
    return Order.pages(this.test, this.state.listener);
  }

  // Puts a template in place of what is shown.
  show(name) {
    this.trial?.close();
    this.trial = null;
    this.main.replaceChildren(document.getElementById(name).content.cloneNode(true));
    scrollTo({ top: 0, behavior: "instant" });
    this.main.querySelector("h2").focus({ preventScroll: true });
    this.progress();
    return (css) => this.main.querySelector(css);
  }

  progress() {
    const bar = document.querySelector(".progress");
    const total = this.pages.length;
    const done = this.state.done.length;
    bar.hidden = !this.state.practised;
    bar.firstElementChild.textContent = `${done} of ${total} pages done`;
    const meter = bar.querySelector("[role]");
    for (const [name, value] of [["min", 0], ["max", total], ["now", done]]) meter.setAttribute(`aria-value${name}`, value);
    meter.firstElementChild.style.width = `${(100 * done) / total}%`;
  }

  welcome() {
    const part = this.show("welcome");
    const pages = this.pages;
    const seconds = pages.reduce((sum, page) => sum + page.seconds * (page.stimuli.length + 1), 0);
    part(".length").textContent = `There ${pages.length === 1 ? "is one page" : `are ${pages.length} pages`} after the one for practice; to hear every version twice takes ${Math.max(1, Math.round((2 * seconds) / 60))} min.`;
    if (!this.store.keeps) part(".length").textContent += " This browser remembers nothing of this page: do not close it before the end.";
    const volume = new Switch();
    part(".play").addEventListener("click", () => this.volume(volume, part));
    part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (volume.playing) volume.pause();
      this.state.name = part("input").value.trim();
      this.open(this.test.practice);
    });
    for (const name of [this.test.practice.reference, ...this.test.practice.stimuli]) Sounds.load(name);
  }

  async volume(player, part) {
    const button = part(".play");
    if (player.playing) {
      player.pause(0);
    } else {
      try {
        await Switch.wake();
        player.buffers = await Sounds.decoded([this.test.practice.reference]);
        player.seconds = this.test.practice.seconds;
        player.start(0);
      } catch (error) {
        part(".status").textContent = error.message;
        return;
      }
    }
    button.setAttribute("aria-pressed", player.playing);
    button.setAttribute("aria-label", player.playing ? "Pause" : "Play, to set the volume");
  }

  back() {
    const part = this.show("back");
    const left = this.pages.length - this.state.done.length;
    part(".where").textContent = `You have done ${this.state.done.length} of ${this.pages.length} pages; ${left} ${left === 1 ? "is" : "are"} left, and what you rated on the last one is still there.`;
    part(".next").addEventListener("click", () => this.advance());
    part(".afresh").addEventListener("click", () => this.restart());
  }

  restart() {
    this.store.restart();
    this.welcome();
  }

  advance() {
    const next = this.pages.find((page) => !this.state.done.includes(page.id));
    if (next) this.open(next);
    else this.finish();
  }

  async open(page) {
    const { listener, done } = this.state;
    const practice = page === this.test.practice;
    const part = this.show("trial");
    const total = this.pages.length;
    part("h2").textContent = practice ? "Practice" : `Page ${done.length + 1} of ${total}`;
    part(".task").textContent = practice
      ? "Get to know the versions and the sliders. These ratings do not count."
      : "Rate the quality of each version, compared with the reference.";
    part(".next").textContent = practice ? "Begin the test" : done.length + 1 === total ? "Finish" : "Next page";
    part(".status").textContent = "Loading…";
    const order = Order.stimuli(page, listener);
    const names = [page.reference, ...order];
    try {
      await Switch.wake();
      const buffers = await Sounds.decoded(names);
      part(".status").textContent = "";
      this.place(page, order, buffers);
    } catch (error) {
      part(".status").textContent = error.message;
      return;
    }
    Sounds.forget(names);
    const ahead = this.pages.find((other) => other !== page && !done.includes(other.id));
    if (ahead) for (const name of [ahead.reference, ...ahead.stimuli]) Sounds.load(name);
  }

  place(page, order, buffers) {
    const practice = page === this.test.practice;
    const kept = practice ? { ratings: {}, heard: {}, seconds: 0 } : this.store.page(page.id);
    let since = performance.now();
    const keep = () => {
      kept.seconds += (performance.now() - since) / 1000;
      since = performance.now();
      this.store.write();
    };
    const next = () => {
      if (practice) this.state.practised = true;
      else this.state.done.push(page.id);
      keep();
      this.advance();
    };
    const { seconds } = page;
    const element = this.main.querySelector(".trial");
    const { listen, lowest } = this.test;
    this.trial = new Trial(element, { order, buffers, seconds, kept, listen, lowest, keep, next });
  }

  // The listener's file, as the analysis reads it.
  file() {
    const { listener, name, began, ended, done, pages } = this.state;
    const rated = done.map((id) => {
      const page = this.test.pages.find((one) => one.id === id);
      const seconds = Math.round(10 * pages[id].seconds) / 10;
      return { page: id, order: Order.stimuli(page, listener), ratings: pages[id].ratings, seconds };
    });
    const about = { format: "codeclab mushra ratings", version: 1, test: this.test.id };
    return JSON.stringify({ ...about, listener, name, began, ended, pages: rated }, null, 1);
  }

  finish() {
    this.state.ended = new Date().toISOString();
    this.store.write();
    this.end();
  }

  async end() {
    const part = this.show("end");
    part(".afresh").addEventListener("click", () => this.restart());
    const save = part(".save");
    save.download = `ratings-${this.test.id}-${this.state.listener}.json`;
    save.href = URL.createObjectURL(new Blob([this.file()], { type: "application/json" }));
    const told = part(".told");
    if (!this.state.sent && location.protocol.startsWith("http")) {
      told.textContent = "Sending your ratings…";
      this.state.sent = await this.send().catch(() => false);
      this.store.write();
    }
    save.hidden = this.state.sent;
    told.textContent = this.state.sent
      ? "All pages are done, and your ratings have arrived. You can close this page."
      : "All pages are done. Save your ratings as a file, and give it to whoever asked you.";
  }

  async send() {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("ratings", { method: "POST", headers, body: this.file() });
    return answer.ok;
  }
}

const steps = new Steps(JSON.parse(document.getElementById("test").textContent));
