// The player of a page: all stimuli run at once, over the whole clip or a part of it, and it counts what was heard.
class Deck extends Switch {
  static EDGE = 0.005; // seconds over which a part fades in and out
  static SHORTEST = 0.25; // seconds of a part

  constructor(element, buffers, seconds, heard) {
    super();
    this.part = (name) => element.querySelector(name);
    this.whole = buffers;
    this.length = seconds;
    this.shortest = Math.min(Deck.SHORTEST, seconds);
    this.from = 0;
    this.to = seconds;
    this.heard = heard; // called with the place of a stimulus and the seconds that it was let through
    this.since = null;
    this.cut();
    this.part(".play").addEventListener("click", () => this.toggle());
    this.part(".loop").addEventListener("change", () => this.playing && this.start(this.position));
    this.part(".whole").addEventListener("click", () => this.mark(0, this.length));
    for (const edge of [".from", ".to"]) {
      this.part(edge).max = seconds;
      this.part(edge).addEventListener("input", () => this.show(...this.edges()));
      this.part(edge).addEventListener("change", () => this.mark(...this.edges()));
    }
    this.screen = this.part(".wave");
    this.screen.addEventListener("pointerdown", (event) => this.drag(event));
    this.paint();
    new ResizeObserver(() => this.paint()).observe(this.screen);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    this.show();
  }

  get looping() {
    return this.part(".loop").checked;
  }

  // Where in the clip it is, in seconds.
  get place() {
    return this.from + this.position;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.start(this.offset >= this.seconds - 0.01 ? 0 : this.offset);
  }

  start(offset) {
    this.count();
    super.start(offset);
    this.since = this.started;
    this.part(".play").setAttribute("aria-pressed", "true");
    this.part(".play").setAttribute("aria-label", "Pause");
    this.draw();
  }

  pause(offset = this.position) {
    this.count();
    super.pause(offset);
    this.since = null;
    this.part(".play").setAttribute("aria-pressed", "false");
    this.part(".play").setAttribute("aria-label", "Play");
    this.show();
  }

  choose(index) {
    this.count();
    super.choose(index);
  }

  count() {
    if (!this.playing || this.since === null) return;
    const now = Switch.context.currentTime;
    if (now > this.since) {
      this.heard(this.chosen, now - this.since);
      this.since = now;
    }
  }

  edges() {
    const from = Math.min(Number(this.part(".from").value), this.length - this.shortest);
    return [Math.max(0, from), Math.max(Number(this.part(".to").value), from + this.shortest)];
  }

  // Hear the part between two instants, from where it is, or from its beginning.
  mark(from, to) {
    const place = this.place;
    const playing = this.playing;
    if (playing) this.pause();
    this.from = Math.max(0, Math.min(from, this.length - this.shortest));
    this.to = Math.min(this.length, Math.max(to, this.from + this.shortest));
    this.cut();
    this.offset = place > this.from && place < this.to ? place - this.from : 0;
    if (playing) this.start(this.offset);
    else this.show();
  }

  go(place) {
    const offset = Math.min(Math.max(place - this.from, 0), this.seconds - 0.01);
    if (this.playing) this.start(offset);
    else {
      this.offset = offset;
      this.show();
    }
  }

  // Buffers of the part that is heard; its ends are faded, as a jump in the waveform clicks.
  cut() {
    this.seconds = this.to - this.from;
    this.buffers = this.whole.map((buffer) => {
      const { sampleRate, numberOfChannels } = buffer;
      const length = Math.max(1, Math.round(this.seconds * sampleRate));
      const found = new AudioBuffer({ length, numberOfChannels, sampleRate });
      const fade = Math.min(Math.round(Deck.EDGE * sampleRate), length >> 1);
      for (let channel = 0; channel < numberOfChannels; channel += 1) {
        const start = Math.round(this.from * sampleRate);
        found.copyToChannel(buffer.getChannelData(channel).subarray(start, start + length), channel);
        const samples = found.getChannelData(channel);
        for (let i = 0; i < fade; i += 1) {
          const gain = 0.5 - 0.5 * Math.cos((Math.PI * i) / fade);
          samples[i] *= gain;
          samples[length - 1 - i] *= gain;
        }
      }
      return found;
    });
  }

  // A drag over the waveform marks a part, a click goes to an instant.
  drag(event) {
    if (event.button || event.target.matches(".edge")) return;
    const { left, width } = this.screen.getBoundingClientRect();
    const at = ({ clientX }) => this.length * Math.min(Math.max((clientX - left) / width, 0), 1);
    const began = at(event);
    const span = (moved) => [began, at(moved)].sort((a, b) => a - b);
    const isDrag = ([from, to]) => ((to - from) / this.length) * width > 5;
    const move = (moved) => isDrag(span(moved)) && this.show(...span(moved));
    const stop = (moved) => {
      for (const [kind, call] of [["pointermove", move], ["pointerup", stop], ["pointercancel", stop]]) {
        this.screen.removeEventListener(kind, call);
      }
      if (moved.type === "pointercancel") this.show();
      else if (isDrag(span(moved))) this.mark(...span(moved));
      else this.go(began);
    };
    this.screen.setPointerCapture(event.pointerId);
    for (const [kind, call] of [["pointermove", move], ["pointerup", stop], ["pointercancel", stop]]) {
      this.screen.addEventListener(kind, call);
    }
  }

  draw() {
    this.count();
    this.show();
    if (this.playing) requestAnimationFrame(() => this.draw());
  }

  show(from = this.from, to = this.to) {
    const percent = (seconds) => `${(100 * seconds) / this.length}%`;
    const place = this.place;
    this.part(".head").style.left = percent(place);
    this.part(".region").style.left = percent(from);
    this.part(".region").style.right = percent(this.length - to);
    for (const [edge, value] of [[".from", from], [".to", to]]) {
      this.part(edge).value = value;
      this.part(edge).setAttribute("aria-valuetext", `${value.toFixed(2)} of ${this.length.toFixed(2)} seconds`);
    }
    this.part(".whole").hidden = from <= 0 && to >= this.length;
    this.part(".time").textContent = `${place.toFixed(1)} / ${this.length.toFixed(1)} s`;
  }

  // The waveform of the reference; those of the others would give them away.
  paint() {
    const canvas = this.part("canvas");
    const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(this.screen).color;
    const samples = this.whole[0].getChannelData(0);
    const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-6);
    for (let x = 0; x < width; x += 1) {
      let [low, high] = [0, 0];
      const end = Math.floor(((x + 1) * samples.length) / width);
      for (let i = Math.floor((x * samples.length) / width); i < end; i += 1) {
        low = Math.min(low, samples[i]);
        high = Math.max(high, samples[i]);
      }
      const scale = (0.46 * height) / loudest;
      pen.fillRect(x, height / 2 - high * scale, 1, Math.max(devicePixelRatio, (high - low) * scale));
    }
  }
}
