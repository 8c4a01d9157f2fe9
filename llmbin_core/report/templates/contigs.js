// Points of contigs: the latent map, and depth against GC.
function contigPlots() {
  const given = data.contigs;
  if (!given) return;
  const contigs = { names: given.names.split("\n"), length: unpack(given.length, Int32Array), bin: unpack(given.bin, Int32Array) };
  const longest = contigs.length.reduce((a, b) => Math.max(a, b), 1);
  contigs.size = Array.from(contigs.length, (bp) => 1.3 + 4 * Math.sqrt(bp / longest));
  // Small ones last, so that no contig hides behind a long one.
  contigs.order = [...contigs.names.keys()].sort((p, q) => contigs.length[q] - contigs.length[p]);
  const decoded = (axis) => {
    const span = (axis.max - axis.min) / 65535;
    return { values: Float64Array.from(unpack(axis.steps, Uint16Array), (step) => axis.min + step * span), min: axis.min, max: axis.max };
  };
  const shared = { contigs, colours: given.colour, controls: byId("contig-controls").elements };
  const draws = [];
  if (given.map) draws.push(points(byId("map-plot"), "Latent space", decoded(given.map.x), decoded(given.map.y), null, shared));
  if (given.cover) {
    const labels = { x: "GC", y: "mean depth", textX: (v) => `${Math.round(100 * v)} %`, textY: (v) => Number((10 ** v).toPrecision(2)) };
    draws.push(points(byId("cover-plot"), "Depth and GC", decoded(given.cover.x), decoded(given.cover.y), labels, shared));
  }
  byId("contig-controls").addEventListener("input", () => draws.forEach((draw) => draw()));
}

function points(holder, title, xs, ys, labels, { contigs, colours, controls }) {
  const pad = (axis) => { const more = 0.03 * (axis.max - axis.min); return [axis.min - more, axis.max + more]; };
  const whole = { x: pad(xs), y: pad(ys) };
  let view = whole, f, ink, chosen;
  const canvas = document.createElement("canvas");

  function fillOf(row) {
    const bin = contigs.bin[row];
    if (bin < 0) return ink.none;
    return chosen.byClass ? ink.classes[Math.min(data.bins.class[bin], 3)] : ink.bins[colours[bin] % 8];
  }

  function visible(row) {
    const bin = contigs.bin[row];
    return bin >= 0 ? state.shown[bin] : chosen.unbinned;
  }

  function draw() {
    const margin = labels ? { left: 54, right: 24, top: 8, bottom: 42 } : { left: 2, right: 2, top: 2, bottom: 2 };
    f = frame(holder, Math.min(520, Math.max(300, 0.85 * holder.clientWidth)), margin, { domain: view.x }, { domain: view.y });
    ink = { none: colour("none"), ink: colour("ink"), paper: colour("paper"),
      bins: [...Array(8).keys()].map((i) => colour(`b${i}`)), classes: [...Array(4).keys()].map((i) => colour(`c${i}`)) };
    const svg = element("svg", { viewBox: `0 0 ${f.width} ${f.height}`, height: f.height, "aria-hidden": "true" });
    if (labels) {
      axes(svg, f, { ticks: ticks(...view.x, 6), text: labels.textX, label: labels.x }, { ticks: logTicks(...view.y), text: labels.textY, label: labels.y });
    } else {
      svg.append(element("rect", { x: 1, y: 1, width: f.width - 2, height: f.height - 2, rx: 6, fill: "none", class: "axis" }));
    }
    canvas.style.cssText = `position:absolute;left:0;top:0;width:${f.width}px;height:${f.height}px`;
    canvas.width = f.width * 2;  // sharp in print and on fine screens
    canvas.height = f.height * 2;
    holder.replaceChildren(svg, canvas);
    paint();
  }

  function paint() {
    const pen = canvas.getContext("2d");
    // Read once: asking a form for every contig takes longer than drawing it.
    chosen = { byClass: controls.colour.value === "class", unbinned: controls.unbinned.checked };
    pen.setTransform(2, 0, 0, 2, 0, 0);
    pen.clearRect(0, 0, f.width, f.height);
    pen.save();
    pen.beginPath();
    pen.rect(f.left, f.top, f.right - f.left, f.bottom - f.top);
    pen.clip();
    const dot = (row, grow, alpha, fill = fillOf(row)) => {
      pen.globalAlpha = alpha;
      pen.fillStyle = fill;
      pen.beginPath();
      pen.arc(f.x(xs.values[row]), f.y(ys.values[row]), contigs.size[row] + grow, 0, 7);
      pen.fill();
    };
    const bin = state.bin, drawn = contigs.order.filter(visible);
    if (bin === null) {
      for (const row of drawn) if (contigs.bin[row] < 0) dot(row, 0, 0.55);
      for (const row of drawn) if (contigs.bin[row] >= 0) dot(row, 0, 0.75);
    } else {
      for (const row of drawn) if (contigs.bin[row] !== bin) dot(row, 0, 0.35, ink.none);
      for (const row of drawn) if (contigs.bin[row] === bin) dot(row, 1, 1);
    }
    pen.globalAlpha = 1;
    if (controls.labels.checked) names(pen);
    pen.restore();
  }

  // Middle of the contigs of each bin, and its bases.
  const centres = data.bins.name.map(() => ({ x: [], y: [], bp: 0 }));
  contigs.bin.forEach((bin, row) => {
    if (bin < 0) return;
    centres[bin].x.push(xs.values[row]);
    centres[bin].y.push(ys.values[row]);
    centres[bin].bp += contigs.length[row];
  });
  for (const one of centres) for (const axis of ["x", "y"]) one[axis] = one[axis].sort((p, q) => p - q)[one[axis].length >> 1];
  const bySize = centres.map((_, bin) => bin).filter((bin) => centres[bin].bp).sort((p, q) => centres[q].bp - centres[p].bp);

  // Names of the largest bins where there is room.
  function names(pen) {
    const taken = [];
    pen.font = "600 11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.lineJoin = "round";
    const wanted = state.bin === null ? bySize.filter((bin) => state.shown[bin]) : [state.bin];
    for (const bin of wanted) {
      const x = f.x(centres[bin].x), y = f.y(centres[bin].y) - (labels ? 0 : 11), half = pen.measureText(data.bins.name[bin]).width / 2 + 3;
      const free = x - half > f.left && x + half < f.right && y > f.top + 10 && y < f.bottom - 4
        && !taken.some((box) => Math.abs(box.x - x) < box.half + half && Math.abs(box.y - y) < 14);
      if (!free) continue;
      taken.push({ x, y, half });
      pen.strokeStyle = ink.paper;
      pen.lineWidth = 3;
      pen.strokeText(data.bins.name[bin], x, y + 4);
      pen.fillStyle = ink.ink;
      pen.fillText(data.bins.name[bin], x, y + 4);
    }
  }

  function nearest(px, py) {
    let best = -1, least = 100;
    for (let row = 0; row < contigs.bin.length; row++) {
      const dx = f.x(xs.values[row]) - px, dy = f.y(ys.values[row]) - py, apart = dx * dx + dy * dy;
      if (apart < least && visible(row)) { least = apart; best = row; }
    }
    return best;
  }

  function describe(row) {
    const bin = contigs.bin[row];
    return `contig ${contigs.names[row]}\n${grouped(contigs.length[row])} bp\n${bin < 0 ? "in no bin" : describeBin(bin)}`;
  }

  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  let from = null;
  const rubber = document.createElement("div");
  rubber.className = "rubber";
  canvas.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && event.button === 0) from = place(event); });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (from && Math.hypot(at[0] - from[0], at[1] - from[1]) > 6) {
      hideTip();
      holder.append(rubber);
      const [left, top] = [0, 1].map((k) => Math.min(at[k], from[k]));
      rubber.style.cssText = `left:${left}px;top:${top}px;width:${Math.abs(at[0] - from[0])}px;height:${Math.abs(at[1] - from[1])}px`;
      return;
    }
    const row = nearest(...at);
    if (row < 0) hideTip(); else showTip(describe(row), event.clientX, event.clientY);
    canvas.style.cursor = row >= 0 && contigs.bin[row] >= 0 ? "pointer" : "crosshair";
  });
  canvas.addEventListener("pointerup", (event) => {
    const at = place(event), start = from;
    from = null;
    rubber.remove();
    if (!start) return;
    const inverse = (low, high, a, b, value) => a + (b - a) * ((value - low) / (high - low));
    if (Math.abs(at[0] - start[0]) > 6 && Math.abs(at[1] - start[1]) > 6) {
      const x = [start[0], at[0]].sort((p, q) => p - q).map((v) => inverse(f.left, f.right, ...view.x, v));
      const y = [start[1], at[1]].sort((p, q) => q - p).map((v) => inverse(f.bottom, f.top, ...view.y, v));
      view = { x, y };
      draw();
      return;
    }
    const row = nearest(...at);
    if (row >= 0 && contigs.bin[row] >= 0) highlight(contigs.bin[row]);
  });
  canvas.addEventListener("pointerleave", () => { hideTip(); if (from) { from = null; rubber.remove(); } });
  const reset = () => { view = whole; draw(); };
  canvas.addEventListener("dblclick", reset);
  keyboard(holder, `${title}: ${contigs.names.length} contigs of ${bySize.length} bins`, {
    count: () => bySize.length,
    show: (i) => {
      const bin = bySize[i], box = canvas.getBoundingClientRect();
      showTip(describeBin(bin), box.left + f.x(centres[bin].x), box.top + f.y(centres[bin].y));
      return describeBin(bin);
    },
    pick: (i) => highlight(bySize[i]),
    reset,
  });
  redraws.push(draw);
  updates.push(() => f && paint());
  return draw;
}
