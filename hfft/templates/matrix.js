const MOST = 12; // examples beside the matrix; the gallery below has the others

/* The confusion matrix: one stop for the Tab key, arrows inside it, a cell's examples on click or Enter. */
function matrix(grid) {
  const section = grid.closest("section");
  const panel = section.querySelector("[data-examples]");
  const readout = section.querySelector("[data-readout]");
  const rows = [...grid.querySelectorAll("[data-i]")];
  const names = rows.map((row) => row.dataset.name);
  const cells = rows.map((row) => new Map([...row.querySelectorAll("[data-j]")].map((cell) => [Number(cell.dataset.j), cell])));
  const columns = [...grid.querySelectorAll(".columns text")];
  const gallery = [...document.querySelectorAll("#mistakes > .mistakes > li")];
  let lit = [];
  let current = null;

  const placed = (cell) => [Number(cell.closest("[data-i]").dataset.i), Number(cell.dataset.j)];
  const number = (value) => Number(value).toLocaleString("en");
  const count = (cell) => (cell.dataset.n === undefined ? Number(cell.textContent.replace(/\D/g, "")) : Number(cell.dataset.n));

  function told(i, j) {
    const cell = cells[i].get(j);
    const counted = `${number(cell ? count(cell) : 0)} of ${number(rows[i].dataset.of)} rows`;
    return i === j ? `${names[i]}, answered rightly: ${counted}` : `${names[i]} taken for ${names[j]}: ${counted}`;
  }

  function point(cell) {
    const [i, j] = placed(cell);
    lit.forEach((text) => text.classList.remove("on"));
    lit = [rows[i].querySelector("text"), columns[j]].filter(Boolean);
    lit.forEach((text) => text.classList.add("on"));
    if (readout) readout.textContent = told(i, j);
  }

  function settle(cell) {
    if (current) current.setAttribute("tabindex", "-1");
    current = cell;
    cell.setAttribute("tabindex", "0");
  }

  function step(cell, down, right) {
    let [i, j] = placed(cell);
    do {
      i += down;
      j += right;
    } while (cells[i] && j >= 0 && j < names.length && !cells[i].has(j));
    return (cells[i] && cells[i].get(j)) || null;
  }

  function show(i, j) {
    const kept = gallery.filter((item) => item.dataset.label === names[i] && item.dataset.prediction === names[j]);
    const title = make("h3", { textContent: told(i, j), tabIndex: -1 });
    const close = make("button", { type: "button", textContent: "Close" });
    close.addEventListener("click", () => {
      panel.hidden = true;
      if (current) current.focus();
    });
    let aside = `${kept.length} of them ${kept.length === 1 ? "is" : "are"} kept on this page`;
    aside += kept.length > MOST ? `; the first ${MOST}:` : ":";
    if (i === j) aside = "This page keeps mistakes only, no right answers.";
    else if (!kept.length) aside = "None of them is kept on this page.";
    const shown = make("ul", { className: "mistakes" });
    if (kept.some((item) => item.querySelector(":scope > img"))) shown.classList.add("pictures");
    for (const item of kept.slice(0, MOST)) {
      const copy = item.cloneNode(true);
      copy.classList.remove("beyond", "unmatched");
      shown.append(copy);
    }
    panel.replaceChildren(title, close, make("p", { className: "aside", textContent: aside }), shown);
    panel.hidden = false;
    grid.querySelectorAll(".chosen").forEach((cell) => cell.classList.remove("chosen"));
    const cell = cells[i].get(j);
    if (cell) cell.classList.add("chosen");
    return title;
  }

  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest("[data-j]");
    if (!cell) return;
    const [i, j] = placed(cell);
    let next = null;
    if (moves[event.key]) next = step(cell, ...moves[event.key]);
    else if (event.key === "Home") next = cells[i].get(Math.min(...cells[i].keys()));
    else if (event.key === "End") next = cells[i].get(Math.max(...cells[i].keys()));
    else if (event.key === "Enter" || event.key === " ") show(i, j);
    else return;
    event.preventDefault();
    if (next) {
      settle(next);
      next.focus();
    }
  });
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-j]");
    if (!cell) return;
    settle(cell);
    point(cell);
    show(...placed(cell));
  });
  for (const kind of ["pointerover", "focusin"]) {
    grid.addEventListener(kind, (event) => {
      const cell = event.target.closest("[data-j]");
      if (cell) point(cell);
    });
  }

  panel.setAttribute("aria-live", "polite");
  let worst = null;
  for (const [i, row] of cells.entries()) {
    for (const [j, cell] of row) {
      cell.setAttribute("tabindex", "-1");
      if (cell.tagName === "rect") cell.setAttribute("role", "button");
      if (i !== j && (!worst || count(cell) > count(worst))) worst = cell;
    }
  }
  if (grid.tagName === "TABLE") grid.setAttribute("role", "grid");
  const first = worst || grid.querySelector("[data-j]");
  if (first) settle(first);
  if (readout && first) readout.textContent = told(...placed(first));

  section.querySelectorAll(".pairs > li").forEach((item) => {
    const i = names.indexOf(item.dataset.label), j = names.indexOf(item.dataset.prediction);
    const text = item.querySelector(".pair");
    const button = make("button", { type: "button", className: "pair" }, ...text.childNodes);
    button.addEventListener("click", () => {
      show(i, j).focus();
      panel.scrollIntoView({ block: "nearest" });
    });
    text.replaceWith(button);
  });
}

document.querySelectorAll("[data-matrix]").forEach(matrix);
