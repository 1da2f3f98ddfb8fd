// Players: a clip, its versions, their spectrograms.
(() => {
  let current = null;

  class Player extends Switch {
    constructor(element) {
      super();
      this.element = element;
      this.versions = JSON.parse(element.querySelector("script").textContent);
      this.seconds = Number(element.dataset.seconds);
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

    get looping() {
      return this.part(".loop").checked;
    }

    take() {
      if (current === this) return;
      if (current) current.element.classList.remove("current");
      current = this;
      this.element.classList.add("current");
    }

    decode() {
      this.loading ??= Promise.all(this.versions.map(({ audio }) => Switch.decode(audio.slice(audio.indexOf(",") + 1))));
      return this.loading;
    }

    async toggle() {
      this.take();
      if (this.playing) return this.pause();
      const status = this.part(".status");
      status.textContent = "Decoding…";
      try {
        await Switch.wake();
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
      super.start(offset);
      this.part(".play").setAttribute("aria-pressed", "true");
      this.draw();
    }

    pause(offset = this.position) {
      super.pause(offset);
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

    choose(index) {
      super.choose(index);
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
