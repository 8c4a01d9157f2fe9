// Completeness and contamination of the bins.
const SHAPES = [
  (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (r) => { const d = 1.25 * r; return `M0 ${-d}L${d} 0L0 ${d}L${-d} 0z`; },
  (r) => { const d = 1.3 * r; return `M0 ${-d}L${d} ${0.8 * d}L${-d} ${0.8 * d}z`; },
  (r) => { const d = 0.9 * r; return `M${-d} ${-d}H${d}V${d}H${-d}z`; },
];

function qualityPlot() {
  const holder = byId("quality-plot"), b = data.bins, n = b.name.length;
  if (!n) { holder.closest("section").hidden = true; return; }
  const rows = [...b.name.keys()];
  const worst = Math.max(12, ...b.contamination), largest = Math.max(...b.bp);
  const most = Math.max(6, Math.min(16, 240 / Math.sqrt(n)));
  const radius = (bp, width) => Math.max(2.5, Math.sqrt(bp / largest) * Math.min(most, width / 45));
  const marks = new Map();
  let f;

  // Where marks go: one that would fall on another one is set beside it, on a spiral.
  function places() {
    const found = new Map();
    for (const row of [...rows].sort((p, q) => b.bp[q] - b.bp[p])) {
      const x = f.x(b.completeness[row]), y = f.y(b.contamination[row]);
      let at = [x, y];
      for (let k = 1; k < 9 && [...found.values()].some((o) => Math.hypot(o[0] - at[0], o[1] - at[1]) < 4); k++) {
        const turn = 2.4 * k, away = 5 * Math.sqrt(k);
        at = [x - Math.abs(away * Math.cos(turn)), y - Math.abs(away * Math.sin(turn))];
      }
      found.set(row, at);
    }
    return found;
  }

  function draw() {
    // Square roots of what is missing and of what is too much: the good bins are spread out, the
    // bad ones stay in sight.
    const x = { domain: [0, 100], bend: (v) => -Math.sqrt(Math.max(0, 100 - v)),
      ticks: innerWidth < 600 ? [0, 50, 80, 90, 98, 100] : [0, 25, 50, 70, 80, 90, 95, 98, 99, 100], label: "completeness (%)" };
    const y = { domain: [0, worst * 1.05], bend: Math.sqrt, label: "contamination (%)",
      ticks: [0, 1, 2, 5, 10, 25, 50, 100, 200, 400].filter((at) => at <= worst * 1.05) };
    f = frame(holder, 440, { left: 58, right: 24, top: 34, bottom: 50 }, x, y);
    const svg = picture(holder, f, `Completeness and contamination of ${n} bins`);
    for (const [least, most, name] of [[50, 10, "medium"], [90, 5, "near-complete"]]) {
      const top = f.y(most);
      svg.append(element("rect", { class: "zone", x: f.x(least), y: top, width: f.right - f.x(least), height: f.bottom - top }));
      svg.append(element("text", { class: "tick", x: f.x(least) + 5, y: top - 5 }, name));
    }
    axes(svg, f, x, y);
    legend(svg);
    marks.clear();
    for (const [row, [left, top]] of places()) {
      const shape = SHAPES[Math.min(b.class[row], SHAPES.length - 1)];
      const mark = element("path", { class: `point c${b.class[row]}`, d: shape(radius(b.bp[row], f.width)), "data-bin": b.name[row],
        transform: `translate(${left} ${top})` });
      mark.addEventListener("pointermove", (event) => showTip(describeBin(row), event.clientX, event.clientY));
      mark.addEventListener("pointerleave", hideTip);
      mark.addEventListener("click", () => highlight(row));
      marks.set(row, mark);
      svg.append(mark);
    }
  }

  function legend(svg) {
    let left = f.left;
    data.classes.forEach((name, i) => {
      svg.append(element("path", { class: `point c${i}`, d: SHAPES[Math.min(i, SHAPES.length - 1)](6), transform: `translate(${left + 8} 12)` }));
      svg.append(element("text", { x: left + 19, y: 16 }, name));
      left += 34 + 7 * name.length;
    });
    if (f.width < 560) return;
    let right = f.right;
    for (const bp of [largest, largest / 4].map((v) => Number(v.toPrecision(1)))) {
      const text = bases(bp).replace(/\.?0+ /, " "), r = radius(bp, f.width);
      svg.append(element("text", { x: right, y: 16, "text-anchor": "end" }, text));
      right -= 7 * text.length + r + 5;
      svg.append(element("circle", { cx: right, cy: 12, r: Math.min(r, 12), fill: "none", stroke: "currentColor" }));
      right -= r + 12;
    }
  }

  const inOrder = () => rows.filter((row) => state.shown[row]).sort((p, q) => b.completeness[q] - b.completeness[p]);
  keyboard(holder, `Completeness and contamination of ${n} bins`, {
    count: () => inOrder().length,
    show: (i) => {
      const row = inOrder()[i], box = marks.get(row).getBoundingClientRect();
      showTip(describeBin(row), box.left + box.width / 2, box.top + box.height / 2);
      return describeBin(row);
    },
    pick: (i) => highlight(inOrder()[i]),
  });
  redraws.push(draw);
  updates.push(() => {
    for (const [row, mark] of marks) {
      mark.classList.toggle("here", row === state.bin);
      mark.classList.toggle("dim", !state.shown[row] || (state.bin !== null && row !== state.bin));
    }
    if (marks.has(state.bin)) marks.get(state.bin).parentNode.append(marks.get(state.bin));
  });
}
