// One page: the stimuli under letters, in the listener's order, each with its rating.
class Trial {
  static BANDS = ["bad", "poor", "fair", "good", "excellent"];

  // `kept` holds the ratings and what was heard; `keep` is called when they change, `next` when all is done.
  constructor(element, { order, buffers, seconds, kept, listen, lowest, keep, next }) {
    Object.assign(this, { element, order, kept, listen, lowest, keep });
    this.part = (name) => element.querySelector(name);
    this.names = ["reference", ...order];
    this.letters = order.map((_, index) => String.fromCharCode(65 + index));
    this.deck = new Deck(element, buffers, seconds, (place, time) => this.hear(place, time));
    this.sliders = order.map((id, index) => this.slider(id, index));
    this.buttons = [...element.querySelectorAll("[data-version]")];
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.version)));
    }
    this.part(".next").addEventListener("click", () => this.onward(next));
    this.pressed = (event) => this.key(event);
    document.addEventListener("keydown", this.pressed);
    this.choose(0);
    this.refresh();
  }

  close() {
    document.removeEventListener("keydown", this.pressed);
    if (this.deck.playing) this.deck.pause();
  }

  slider(id, index) {
    const letter = this.letters[index];
    const stimulus = document.createElement("div");
    stimulus.className = "stimulus";
    stimulus.innerHTML = `<output aria-hidden="true"></output><div class="lane"><input class="rate" type="range" min="${this.lowest}" max="100" step="1"
      aria-label="Quality of ${letter}"></div><button type="button" class="version" data-version="${index + 1}" aria-pressed="false"
      aria-label="Version ${letter}"><span>${letter}</span><i aria-hidden="true"></i></button>`;
    this.part(".board").append(stimulus);
    const slider = stimulus.querySelector("input");
    slider.value = this.kept.ratings[id] ?? 50;
    slider.addEventListener("focus", () => this.choose(index + 1));
    slider.addEventListener("input", () => this.rate(index));
    slider.addEventListener("pointerup", () => this.rate(index));
    return slider;
  }

  choose(place) {
    this.deck.choose(place);
    for (const button of this.buttons) button.setAttribute("aria-pressed", Number(button.dataset.version) === place);
    this.sliders.forEach((slider, index) => slider.closest(".stimulus").classList.toggle("chosen", index + 1 === place));
  }

  hear(place, time) {
    const name = this.names[place];
    const before = this.wasHeard(place);
    this.kept.heard[name] = (this.kept.heard[name] ?? 0) + time;
    if (!before && this.wasHeard(place)) {
      this.keep();
      this.refresh();
    }
  }

  wasHeard(place) {
    return (this.kept.heard[this.names[place]] ?? 0) >= this.listen;
  }

  rate(index) {
    const slider = this.sliders[index];
    if (!this.kept.heard[this.order[index]]) {
      slider.value = this.kept.ratings[this.order[index]] ?? 50;
      this.say(`Listen to ${this.letters[index]} before you rate it.`);
      return;
    }
    this.kept.ratings[this.order[index]] = Number(slider.value);
    this.keep();
    this.say("");
    this.refresh();
  }

  refresh() {
    this.sliders.forEach((slider, index) => {
      const rating = this.kept.ratings[this.order[index]];
      const band = Trial.BANDS[Math.min(4, Math.floor(Number(slider.value) / 20))];
      const stimulus = slider.closest(".stimulus");
      stimulus.classList.toggle("rated", rating !== undefined);
      stimulus.classList.toggle("heard", this.wasHeard(index + 1));
      stimulus.style.setProperty("--at", slider.value);
      stimulus.querySelector("output").textContent = rating ?? "–";
      slider.setAttribute("aria-valuetext", rating === undefined ? "not rated yet" : `${rating}, ${band}`);
    });
    this.part(".next").setAttribute("aria-disabled", this.lacking().length > 0);
  }

  // What is still to do, in words, with the place where it is done.
  lacking() {
    const unheard = this.names.map((_, place) => place).filter((place) => !this.wasHeard(place));
    const unrated = this.order.map((_, index) => index + 1).filter((place) => this.kept.ratings[this.order[place - 1]] === undefined);
    const called = (place) => (place ? this.letters[place - 1] : "the reference");
    const list = (places) => places.map(called).join(", ");
    return [
      ...(unheard.length ? [[`listen to ${list(unheard)}`, unheard[0]]] : []),
      ...(unrated.length ? [[`rate ${list(unrated)}`, unrated[0]]] : []),
    ];
  }

  onward(next) {
    this.deck.count();
    const lacking = this.lacking();
    if (!lacking.length) return next();
    this.say(`Still to do: ${lacking.map(([words]) => words).join("; ")}.`);
    const [, place] = lacking[0];
    this.choose(place);
    this.buttons.find((button) => Number(button.dataset.version) === place).focus();
  }

  say(words) {
    this.part(".missing").textContent = words;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.does(event)) event.preventDefault();
  }

  // Whether the key meant something here.
  does({ key, shiftKey, target }) {
    const slider = target.matches(".rate");
    const heard = this.deck.chosen;
    const letter = key.length === 1 ? this.letters.indexOf(key.toUpperCase()) : -1;
    if (target.matches(".edge") && key.startsWith("Arrow")) return false;
    if (key === " " && (slider || !target.matches("button, input, a") || target.matches("[data-version][aria-pressed=true]"))) this.deck.toggle();
    else if (letter >= 0) this.take(letter + 1);
    else if (key === "r" || key === "R") this.take(0);
    else if (key === "ArrowLeft" || key === "ArrowRight") this.take((heard + (key === "ArrowLeft" ? this.order.length : 1)) % this.names.length);
    else if ((key === "ArrowUp" || key === "ArrowDown") && heard) this.move(heard - 1, (key === "ArrowUp" ? 1 : -1) * (shiftKey ? 10 : 1));
    else if (key === "Enter" && slider) this.rate(this.sliders.indexOf(target));
    else if (key === "[") this.deck.mark(this.deck.place, this.deck.to);
    else if (key === "]") this.deck.mark(this.deck.from, this.deck.place);
    else if (key === "Escape") this.deck.mark(0, this.deck.length);
    else return false;
    return true;
  }

  // Hear a stimulus, and have its rating at hand.
  take(place) {
    this.choose(place);
    (place ? this.sliders[place - 1] : this.buttons[0]).focus({ preventScroll: true });
  }

  move(index, by) {
    const slider = this.sliders[index];
    slider.value = Number(slider.value) + by;
    this.rate(index);
  }
}
