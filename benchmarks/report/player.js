// Players: every version of a clip runs from the same instant, and one of them is let through.
(() => {
  const FADE = 0.008; // seconds; a step in the waveform would click
  let context = null;
  let current = null;

  const bytesOf = (uri) => {
    const text = atob(uri.slice(uri.indexOf(",") + 1));
    return Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer;
  };

  class Player {
    constructor(element) {
      this.element = element;
      this.versions = JSON.parse(element.querySelector("script").textContent);
      this.seconds = Number(element.dataset.seconds);
      this.chosen = 0;
      this.offset = 0;
      this.started = null;
      this.starts = 0;
      this.sources = [];
      this.gains = [];
      this.part = (name) => element.querySelector(name);
      this.buttons = [...element.querySelectorAll("[data-version]")];
      this.part(".play").addEventListener("click", () => this.toggle());
      this.part(".loop").addEventListener("change", () => this.playing && this.start(this.position));
      this.part(".seek").addEventListener("input", (event) => this.seek(Number(event.target.value)));
      for (const button of this.buttons) {
        button.addEventListener("click", () => this.choose(Number(button.dataset.version)));
      }
      element.addEventListener("focusin", () => this.take());
      element.addEventListener("pointerdown", () => this.take());
    }

    get playing() {
      return this.started !== null;
    }

    get position() {
      if (!this.playing) return this.offset;
      const run = this.offset + Math.max(0, context.currentTime - this.started);
      return this.part(".loop").checked ? run % this.seconds : Math.min(run, this.seconds);
    }

    take() {
      if (current === this) return;
      if (current) current.element.classList.remove("current");
      current = this;
      this.element.classList.add("current");
    }

    decode() {
      this.loading ??= Promise.all(this.versions.map(({ audio }) => context.decodeAudioData(bytesOf(audio))));
      return this.loading;
    }

    async toggle() {
      this.take();
      if (this.playing) return this.pause();
      context ??= new AudioContext();
      const status = this.part(".status");
      status.textContent = "Decoding…";
      try {
        await context.resume();
        this.buffers = await this.decode();
      } catch (error) {
        status.textContent = `This browser cannot play Opus in Ogg: ${error.message}`;
        return;
      }
      status.textContent = "";
      this.start(this.offset >= this.seconds ? 0 : this.offset);
    }

    start(offset) {
      for (const other of document.querySelectorAll(".player")) if (other.player !== this) other.player.pause();
      this.halt();
      const at = context.currentTime + 0.02;
      const loop = this.part(".loop").checked;
      this.gains = this.buffers.map(() => new GainNode(context, { gain: 0 }));
      this.sources = this.buffers.map((buffer, index) => {
        const source = new AudioBufferSourceNode(context, { buffer, loop, loopEnd: this.seconds });
        source.connect(this.gains[index]).connect(context.destination);
        source.start(at, offset);
        if (!loop) source.stop(at + this.seconds - offset);
        return source;
      });
      const first = this.sources[0];
      first.onended = () => this.sources[0] === first && this.pause(0);
      this.offset = offset;
      this.started = at;
      this.starts += 1;
      this.letThrough(0);
      this.part(".play").setAttribute("aria-pressed", "true");
      this.draw();
    }

    halt() {
      for (const source of this.sources) {
        source.onended = null;
        source.stop();
        source.disconnect();
      }
      for (const gain of this.gains) gain.disconnect();
      this.sources = [];
      this.gains = [];
      this.started = null;
    }

    pause(offset = this.position) {
      this.offset = offset;
      this.halt();
      this.part(".play").setAttribute("aria-pressed", "false");
      this.show();
    }

    seek(seconds) {
      this.take();
      if (this.playing) this.start(Math.min(seconds, this.seconds - 0.01));
      else {
        this.offset = seconds;
        this.show();
      }
    }

    letThrough(fade) {
      const now = context.currentTime;
      this.gains.forEach(({ gain }, index) => {
        const target = Number(index === this.chosen);
        gain.cancelScheduledValues(now);
        gain.setValueAtTime(gain.value, now);
        if (fade) gain.linearRampToValueAtTime(target, now + fade);
        else gain.setValueAtTime(target, now);
      });
    }

    choose(index) {
      this.chosen = index;
      if (this.playing) this.letThrough(FADE);
      const { name, picture } = this.versions[index];
      const image = this.part(".screen img");
      image.src = picture;
      image.alt = `Spectrogram: ${name}`;
      this.part(".what").textContent = name;
      for (const button of this.buttons) {
        button.setAttribute("aria-pressed", Number(button.dataset.version) === index);
      }
    }

    draw() {
      this.show();
      if (this.playing) requestAnimationFrame(() => this.draw());
    }

    show() {
      const position = this.position;
      this.part(".head").style.left = `${(100 * position) / this.seconds}%`;
      this.part(".seek").value = position;
      this.part(".seek").setAttribute("aria-valuetext", `${position.toFixed(1)} of ${this.seconds.toFixed(1)} seconds`);
      this.part(".time").textContent = `${position.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
    }

    // The versions of the codec that is `row`; where the bitrate chosen before is not offered, the nearest.
    toRow(place) {
      const rows = [...new Set(this.versions.map(({ row }) => row))];
      if (place < 0 || place >= rows.length) return;
      const wanted = this.versions[this.chosen].kbps ?? this.kbps ?? Infinity;
      const offered = this.versions.map((version, index) => ({ ...version, index })).filter((v) => v.row === rows[place]);
      const distance = ({ kbps }) => (wanted === Infinity ? -kbps : Math.abs(Math.log(kbps / wanted)));
      this.kbps = wanted;
      this.choose(offered.reduce((best, one) => (distance(one) < distance(best) ? one : best)).index);
    }

    step(rows, rates) {
      const here = this.versions[this.chosen];
      const order = [...new Set(this.versions.map(({ row }) => row))];
      if (rows) return this.toRow(order.indexOf(here.row) + rows);
      const next = this.versions[this.chosen + rates];
      if (next && next.row === here.row) this.choose(this.chosen + rates);
    }

    // Whether the key was meant for the player.
    key(event) {
      const on = event.target;
      const slider = on.matches(".seek");
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === " ") {
        // A focused control keeps its own meaning; the version that is heard already has none left.
        const own = on.matches("button, input:not(.seek)") && !on.matches("[data-version][aria-pressed=true]");
        if (own) return false;
        this.toggle();
      } else if (/^[0-9]$/.test(event.key)) this.toRow(Number(event.key));
      else if (steps && !slider) this.step(...steps);
      else return false;
      return true;
    }
  }

  for (const element of document.querySelectorAll(".player")) element.player = new Player(element);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inside = event.target.closest(".player");
    const player = inside ? inside.player : event.target === document.body ? current : null;
    if (player && player.key(event)) event.preventDefault();
  });
})();
