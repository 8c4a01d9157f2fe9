// What all figures share: the data, elements, the tooltip, the bin that is highlighted.
const data = JSON.parse(document.getElementById("report-data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function grouped(number) { return Math.round(number).toLocaleString("en-US"); }
function bases(bp) { return bp >= 1e6 ? `${(bp / 1e6).toFixed(2)} Mb` : `${(bp / 1e3).toFixed(1)} kb`; }

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function describeBin(row) {
  const b = data.bins;
  return `${b.name[row]}\n${data.classes[b.class[row]]}: ${b.completeness[row].toFixed(1)} % complete, `
    + `${b.contamination[row].toFixed(1)} % contaminated\n${bases(b.bp[row])} in ${grouped(b.contigs[row])} contigs, `
    + `GC ${(100 * b.gc[row]).toFixed(1)} %`;
}

// ---- state: which bin is highlighted, which pass the filters of the table

const state = { bin: null, shown: data.bins.name.map(() => true) };
const redraws = [];  // drawn anew with the page: size, colours
const updates = [];  // follow the state

function highlight(row) {
  state.bin = row === state.bin ? null : row;
  const chip = byId("selection");
  chip.hidden = state.bin === null;
  byId("selection-text").textContent = state.bin === null ? "" : describeBin(state.bin).replace(/\n/g, " · ");
  update();
}

function update() { for (const each of updates) each(); }

// ---- tooltip

const tip = byId("tip");

function showTip(text, x, y) {
  if (tip.textContent !== text) tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > innerWidth ? x - 14 - box.width : x + 14;
  const top = y + 14 + box.height > innerHeight ? y - 14 - box.height : y + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

function hideTip() { tip.hidden = true; }

// A figure that is walked with the keyboard: `walk` has count(), show(i) and pick(i).
function keyboard(target, label, walk) {
  let at = -1;
  target.setAttribute("tabindex", "0");
  target.setAttribute("role", "application");
  target.setAttribute("aria-label", `${label}. Arrow keys move, Enter highlights, Escape ends.`);
  target.addEventListener("keydown", (event) => {
    const count = walk.count();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && count) {
      at = at < 0 ? (step > 0 ? 0 : count - 1) : (at + step + count) % count;
      byId("spoken").textContent = walk.show(at);
    } else if (event.key === "Enter" && at >= 0) {
      walk.pick(at);
    } else if (event.key === "0" && walk.reset) {
      walk.reset();
    } else {
      return;
    }
    event.preventDefault();
  });
  target.addEventListener("blur", () => { at = -1; hideTip(); });
}

function main() {
  const spoken = document.createElement("div");
  spoken.id = "spoken";
  spoken.className = "hidden";
  spoken.setAttribute("aria-live", "polite");
  document.body.append(spoken);
  byId("selection-end").addEventListener("click", () => highlight(state.bin));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hideTip();
    if (state.bin !== null) highlight(state.bin);
  });
  binTable();
  qualityPlot();
  contigPlots();
  depthPlot();
  curves();
  const redraw = () => { for (const each of redraws) each(); update(); };
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 80); });
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
  redraw();
}
