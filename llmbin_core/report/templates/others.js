// Depth of bins in samples, and the training curve.
const HEAT = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function heat(share) {
  const at = Math.max(0, Math.min(0.9999, share)) * (HEAT.length - 1), low = Math.floor(at);
  return `rgb(${HEAT[low].map((from, k) => Math.round(from + (HEAT[low + 1][k] - from) * (at - low))).join(",")})`;
}

function depthPlot() {
  const holder = byId("depth-plot"), given = data.depths;
  if (!holder) return;
  const { samples, rows, order } = given, log = (depth) => Math.log10(depth + 0.1);
  const most = rows.reduce((a, row) => Math.max(a, ...row), 1), low = log(0), high = log(most);
  const canvas = document.createElement("canvas");
  let g;

  function draw() {
    const width = Math.max(240, holder.clientWidth), tall = Math.max(1, Math.min(18, 900 / order.length));
    const named = tall >= 10, left = named ? Math.min(160, 14 + 7 * Math.max(...data.bins.name.map((n) => n.length))) : 8;
    const across = Math.min(72, (width - left - 8) / samples.length), slanted = samples.some((s) => 7 * s.length > across);
    const top = 50 + (slanted ? Math.min(110, 5 * Math.max(...samples.map((s) => s.length))) : 16);
    g = { width, left, top, across, tall, height: top + tall * order.length + 4 };
    holder.replaceChildren(canvas);
    canvas.style.cssText = `width:${width}px;height:${g.height}px`;
    canvas.width = width * 2;
    canvas.height = g.height * 2;
    paint(named, slanted);
  }

  function paint(named, slanted) {
    const pen = canvas.getContext("2d"), ink = colour("ink");
    pen.setTransform(2, 0, 0, 2, 0, 0);
    pen.clearRect(0, 0, g.width, g.height);
    order.forEach((bin, at) => {
      pen.globalAlpha = !state.shown[bin] || (state.bin !== null && state.bin !== bin) ? 0.3 : 1;
      rows[bin].forEach((depth, sample) => {
        pen.fillStyle = heat((log(depth) - low) / (high - low));
        pen.fillRect(g.left + sample * g.across, g.top + at * g.tall, g.across - (g.across > 8 ? 1 : 0), g.tall - (g.tall > 6 ? 1 : 0));
      });
      if (!named) return;
      pen.fillStyle = ink;
      pen.font = `${state.bin === bin ? "700" : "400"} ${Math.min(12, g.tall - 1)}px system-ui, sans-serif`;
      pen.textAlign = "right";
      pen.fillText(data.bins.name[bin], g.left - 6, g.top + (at + 0.75) * g.tall, g.left - 10);
    });
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.font = "12px system-ui, sans-serif";
    samples.forEach((name, sample) => {
      if (g.across < 9) return;
      pen.save();
      pen.translate(g.left + (sample + 0.5) * g.across, g.top - 6);
      pen.textAlign = slanted ? "left" : "center";
      if (slanted) pen.rotate(-Math.PI / 4);
      pen.fillText(name, 0, 0);
      pen.restore();
    });
    key(pen, ink);
  }

  // What the colours mean.
  function key(pen, ink) {
    const wide = 180;
    pen.textAlign = "left";
    pen.fillText("depth", g.left, 14);
    for (let x = 0; x < wide; x++) { pen.fillStyle = heat(x / wide); pen.fillRect(g.left + 44 + x, 4, 1.5, 12); }
    pen.fillStyle = ink;
    pen.textAlign = "center";
    for (const at of [0, 1, 10, 100, 1000].filter((depth) => depth <= most)) {
      pen.fillText(at, g.left + 44 + wide * ((log(at) - low) / (high - low)), 30);
    }
  }

  const text = (bin, sample) => `${describeBin(bin)}\n${samples[sample]}: depth ${rows[bin][sample]}`;
  const cell = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = Math.floor((event.clientY - box.top - g.top) / g.tall), sample = Math.floor((event.clientX - box.left - g.left) / g.across);
    return at >= 0 && at < order.length && sample >= 0 && sample < samples.length ? [order[at], sample] : null;
  };
  canvas.addEventListener("pointermove", (event) => {
    const found = cell(event);
    if (found) showTip(text(...found), event.clientX, event.clientY); else hideTip();
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("click", (event) => { const found = cell(event); if (found) highlight(found[0]); });
  keyboard(holder, `Depth of ${order.length} bins in ${samples.length} samples`, {
    count: () => order.length,
    show: (i) => {
      const box = canvas.getBoundingClientRect(), bin = order[i];
      const all = `${describeBin(bin)}\n${samples.map((s, k) => `${s}: ${rows[bin][k]}`).join(", ")}`;
      showTip(all, box.left + g.left, box.top + g.top + i * g.tall);
      return all;
    },
    pick: (i) => highlight(order[i]),
  });
  redraws.push(draw);
  updates.push(() => g && draw());
}

function curves() {
  const holder = byId("curve-plots"), given = Object.entries(data.curves);
  if (!holder) return;
  const about = { loss: "loss", top1: "top-1 (share)", learning_rate: "" };
  for (const name of Object.keys(given[0][1])) {
    const label = name in about ? about[name] : name;
    if (name === "epoch" || !label) continue;
    const box = document.createElement("div");
    box.className = "figure";
    box.dataset.curve = name;
    holder.append(box);
    const lines = given.map(([sample, columns]) => ({ sample, points: columns.epoch.map((epoch, i) => [epoch, columns[name][i]]).filter((p) => p[1] !== null) }));
    if (lines.some((line) => line.points.length)) redraws.push(() => oneCurve(box, label, lines));
  }
}

// A line per model.
function oneCurve(holder, label, lines) {
  const all = lines.flatMap((line) => line.points.map((p) => ({ epoch: p[0], value: p[1], sample: line.sample })));
  const values = all.map((p) => p.value), low = Math.min(...values), high = Math.max(...values), more = 0.05 * (high - low) || 0.5;
  const last = Math.max(...all.map((p) => p.epoch));
  const x = { domain: [1, Math.max(2, last)], label: "epoch" };
  x.ticks = ticks(...x.domain, 6).filter((at) => Number.isInteger(at));
  const y = { domain: [low - more, high + more], label };
  y.ticks = ticks(...y.domain, 5);
  const f = frame(holder, 240, { left: 62, right: 14, top: 10, bottom: 46 }, x, y);
  const svg = picture(holder, f, `${label} from ${values[0].toPrecision(3)} to ${values[values.length - 1].toPrecision(3)} in ${last} epochs`);
  axes(svg, f, x, y);
  for (const line of lines) {
    svg.append(element("polyline", { class: "curve", points: line.points.map(([e, v]) => `${f.x(e)},${f.y(v)}`).join(" ") }));
  }
  const dot = element("circle", { class: "dot", r: 4, visibility: "hidden" });
  svg.append(dot);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const apart = (p) => Math.abs(f.x(p.epoch) - px) + 0.2 * Math.abs(f.y(p.value) - py);
    const near = all.reduce((best, p) => (apart(p) < apart(best) ? p : best));
    dot.setAttribute("visibility", "visible");
    dot.setAttribute("cx", f.x(near.epoch));
    dot.setAttribute("cy", f.y(near.value));
    showTip(`${near.sample ? `${near.sample}\n` : ""}epoch ${near.epoch}\n${label} ${near.value.toPrecision(4)}`, event.clientX, event.clientY);
  });
  svg.addEventListener("pointerleave", () => { dot.setAttribute("visibility", "hidden"); hideTip(); });
}
