// What a listener did so far, kept in this browser where it allows that.
class Store {
  constructor(test) {
    this.key = `codeclab-mushra-${test}`;
    this.keeps = true;
    this.state = this.read() ?? Store.fresh();
  }

  static fresh() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const listener = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { listener, name: "", began: new Date().toISOString(), ended: null, practised: false, pages: {}, done: [], sent: false };
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.key));
    } catch {
      this.keeps = false;
      return null;
    }
  }

  write() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.state));
    } catch {
      this.keeps = false;
    }
  }

  // What is known of a page: ratings and seconds heard by stimulus, and the seconds spent on it.
  page(id) {
    return (this.state.pages[id] ??= { ratings: {}, heard: {}, seconds: 0 });
  }

  restart() {
    this.state = Store.fresh();
    this.write();
  }
}
