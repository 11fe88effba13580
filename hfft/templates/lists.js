"use strict";
/* Tables that sort, lists that filter, all of it built here: without a script the page shows everything. */
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const folded = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();

function list(holder) {
  const body = holder.tBodies ? holder.tBodies[0] : holder;
  const items = [...body.children];
  const limit = Number(holder.dataset.limit) || Infinity;
  const noun = holder.dataset.noun;
  const tests = [];
  const controls = make("div", { className: "controls" });
  const status = make("span", { className: "status" });
  status.setAttribute("role", "status");
  const more = make("button", { type: "button", className: "more-rows" });
  let open = false;

  function refresh() {
    const asked = tests.some((test) => test.asked());
    let fitting = 0;
    for (const item of body.children) {
      const fits = tests.every((test) => test.fits(item));
      fitting += fits;
      item.classList.toggle("unmatched", !fits);
      item.classList.toggle("beyond", fits && !asked && !open && fitting > limit);
    }
    more.hidden = asked || items.length <= limit;
    more.textContent = open ? `Show ${limit} ${noun} only` : `Show all ${items.length} ${noun}`;
    status.textContent = asked ? `${fitting} of ${items.length} ${noun}` : "";
  }

  function search(label) {
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
    const texts = new Map(items.map((item) => [item, folded((item.querySelector("th") || item).textContent)]));
    tests.push({
      asked: () => input.value.trim() !== "",
      fits: (item) => texts.get(item).includes(folded(input.value)),
    });
    input.addEventListener("input", refresh);
    controls.append(make("label", {}, label, input));
  }

  function filter(key) {
    const counts = new Map();
    for (const item of items) {
      const value = item.dataset[key];
      if (value !== undefined) counts.set(value, (counts.get(value) || 0) + 1);
    }
    if (counts.size < 2) return;
    const select = make("select", {}, make("option", { value: "", textContent: "any" }));
    const values = [...counts.keys()].sort((a, b) => a.localeCompare(b));
    values.forEach((value, place) => {
      select.append(make("option", { value: String(place), textContent: `${value} (${counts.get(value)})` }));
    });
    tests.push({
      asked: () => select.value !== "",
      fits: (item) => select.value === "" || item.dataset[key] === values[Number(select.value)],
    });
    select.addEventListener("change", refresh);
    const named = { label: "Labelled", prediction: "Predicted", finding: "Nearest training rows say" };
    controls.append(make("label", {}, named[key] || key, select));
  }

  function sort(head, place) {
    const heads = holder.querySelectorAll("th[data-sort]");
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...body.children].map((row) => {
      const cell = row.children[place];
      return { row, text: cell.textContent, value: cell.dataset.v === undefined ? null : cell.dataset.v };
    });
    keyed.sort((a, b) => {
      if (a.value === null) return (down ? -1 : 1) * a.text.localeCompare(b.text, undefined, { numeric: true });
      if (a.value === "" || b.value === "") return (a.value === "") - (b.value === "");
      return (down ? -1 : 1) * (Number(a.value) - Number(b.value));
    });
    body.append(...keyed.map((entry) => entry.row));
    refresh();
  }

  if (holder.dataset.search && items.length > 8) search(holder.dataset.search);
  for (const key of (holder.dataset.filters || "").split(" ").filter(Boolean)) if (items.length > 1) filter(key);
  holder.querySelectorAll("thead th").forEach((head, place) => {
    if (!head.hasAttribute("data-sort") || items.length < 2) return;
    const button = make("button", { type: "button" }, head.firstChild);
    button.addEventListener("click", () => sort(head, place));
    head.prepend(button);
  });
  more.addEventListener("click", () => {
    open = !open;
    refresh();
  });
  const around = holder.closest(".wide") || holder;
  if (controls.children.length) {
    controls.append(status);
    around.before(controls);
  }
  around.after(more);
  refresh();
}

document.documentElement.classList.add("alive");
document.querySelectorAll("[data-list]").forEach(list);

/* Paper shows what is folded; style does it where the browser knows how, this where it does not. */
const unfolded = [];
addEventListener("beforeprint", () => {
  unfolded.push(...document.querySelectorAll("details:not([open])"));
  unfolded.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => unfolded.splice(0).forEach((part) => { part.open = false; }));
