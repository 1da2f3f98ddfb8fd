"use strict";

// Sorting, filtering and what the choices of domain and rows show.
(() => {
  const table = document.getElementById("figures");
  const body = table.tBodies[0];
  const original = [...body.rows];
  const filter = document.getElementById("filter");
  const domain = document.querySelector("select[data-shows=table]");

  const valueOf = (row, column, kind) => {
    const text = row.cells[column].dataset.sort;
    return kind === "text" ? text : text === "" ? null : Number(text);
  };

  const sortBy = (head) => {
    const column = head.cellIndex;
    const kind = head.dataset.kind;
    const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", next);
    const sign = next === "descending" ? -1 : 1;
    const compare = (first, second) => {
      const a = valueOf(first, column, kind);
      const b = valueOf(second, column, kind);
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (kind === "text" ? a.localeCompare(b) : a - b);
    };
    body.append(...(next === "none" ? original : [...original].sort(compare)));
  };

  const show = () => {
    const wanted = filter.value.trim().toLowerCase();
    const of = domain ? domain.value : "all";
    let count = 0;
    for (const row of original) {
      const named = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !(named && (of === "*" || row.dataset.domain === of));
      count += !row.hidden;
    }
    document.getElementById("count").textContent = `${count} of ${original.length} lines`;
  };

  for (const head of table.tHead.rows[0].cells) head.firstElementChild.addEventListener("click", () => sortBy(head));
  filter.addEventListener("input", show);
  if (domain) domain.addEventListener("change", show);
  show();

  for (const choice of document.querySelectorAll("select[data-shows=curves]")) {
    choice.addEventListener("change", () => {
      for (const part of document.querySelectorAll("[data-of=curves]")) part.hidden = part.dataset.value !== choice.value;
    });
  }

  for (const button of document.querySelectorAll("[data-toggles]")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", shown);
      for (const line of document.querySelectorAll(`svg [data-row="${button.dataset.toggles}"]`)) {
        line.style.display = shown ? "" : "none";
      }
    });
  }
})();
