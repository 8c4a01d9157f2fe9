// The table of bins: sorting, filtering, saving.
function binTable() {
  const table = byId("bin-table"), controls = byId("bin-controls");
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.dataset.name);
  if (!rows.length) return;
  const value = (row, column) => row.cells[column].dataset.value;

  heads.forEach((head, column) => {
    const number = head.classList.contains("number");
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      // Figures begin with the largest, words with the first letter.
      const falls = before ? before === "ascending" : number;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const compare = number
        ? (a, b) => Number(value(a, column)) - Number(value(b, column))
        : (a, b) => value(a, column).localeCompare(value(b, column), "en", { numeric: true });
      // Array.sort is stable: what is equal keeps the order of the file.
      body.append(...[...rows].sort((a, b) => (falls ? -compare(a, b) : compare(a, b))));
    });
  });

  function filter() {
    const given = new FormData(controls);
    const text = given.get("text").trim().toLowerCase(), classes = new Set(given.getAll("class"));
    const least = parseFloat(given.get("completeness")), most = parseFloat(given.get("contamination"));
    const b = data.bins;
    let bp = 0;
    for (const row of rows) {
      const i = Number(row.dataset.row);
      const words = [...row.cells].map((cell) => cell.dataset.value || "").join(" ").toLowerCase();
      state.shown[i] = classes.has(data.classes[b.class[i]]) && words.includes(text)
        && !(b.completeness[i] < least) && !(b.contamination[i] > most);
      row.hidden = !state.shown[i];
      if (state.shown[i]) bp += b.bp[i];
    }
    const count = state.shown.filter(Boolean).length;
    byId("bin-count").textContent = `${grouped(count)} of ${grouped(rows.length)} bins shown, ${bases(bp)}`;
    table.classList.toggle("without-depths", Boolean(controls.elements.depths) && !given.get("depths"));
    update();
  }

  function tsv() {
    const lines = [names];
    for (const row of body.rows) if (!row.hidden) lines.push(names.map((_, column) => value(row, column)));
    return lines.map((cells) => `${cells.join("\t")}\n`).join("");
  }

  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(filter));
  byId("save-tsv").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([tsv()], { type: "text/tab-separated-values" }));
    link.download = "bins.tsv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  for (const row of rows) row.querySelector(".pick").addEventListener("click", () => highlight(Number(row.dataset.row)));
  updates.push(() => {
    for (const row of rows) row.classList.toggle("here", Number(row.dataset.row) === state.bin);
  });
  filter();
}
