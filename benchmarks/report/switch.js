// Versions of one piece of sound: all run from the same instant, and one of them is let through.
class Switch {
  static FADE = 0.008; // seconds; a step in the waveform would click
  static context = null;

  buffers = [];
  seconds = 0;
  chosen = 0;
  offset = 0;
  started = null;
  starts = 0;
  sources = [];
  gains = [];

  static async wake() {
    Switch.context ??= new AudioContext();
    await Switch.context.resume();
  }

  static decode(base64) {
    const text = atob(base64);
    return Switch.context.decodeAudioData(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
  }

  get playing() {
    return this.started !== null;
  }

  get looping() {
    return true;
  }

  get position() {
    if (!this.playing) return this.offset;
    const run = this.offset + Math.max(0, Switch.context.currentTime - this.started);
    return this.looping ? run % this.seconds : Math.min(run, this.seconds);
  }

  start(offset) {
    this.halt();
    const context = Switch.context;
    const at = context.currentTime + 0.02;
    const loop = this.looping;
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
  }

  choose(index) {
    this.chosen = index;
    if (this.playing) this.letThrough(Switch.FADE);
  }

  letThrough(fade) {
    const now = Switch.context.currentTime;
    this.gains.forEach(({ gain }, index) => {
      const target = Number(index === this.chosen);
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      if (fade) gain.linearRampToValueAtTime(target, now + fade);
      else gain.setValueAtTime(target, now);
    });
  }
}
