// Scales and axes.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// The same on a log10 scale: 1, 2, 5, 10 ...; whole powers alone where there are many.
function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const factor of high - low > 3 ? [1] : [1, 2, 5]) {
      const at = power + Math.log10(factor);
      if (at >= low && at <= high) found.push(at);
    }
  }
  return found;
}

// A frame with margins; x and y turn values into pixels.
function frame(holder, height, margin, x, y) {
  const width = Math.max(240, holder.clientWidth);
  const right = width - margin.right, bottom = height - margin.bottom;
  const scale = (domain, from, to, bend = (v) => v) => {
    const low = bend(domain[0]), span = bend(domain[1]) - low || 1;
    return (value) => from + (to - from) * ((bend(value) - low) / span);
  };
  return {
    width, height, right, bottom, left: margin.left, top: margin.top,
    x: scale(x.domain, margin.left, right, x.bend), y: scale(y.domain, bottom, margin.top, y.bend),
  };
}

function axes(svg, f, x, y) {
  for (const at of x.ticks) {
    const px = f.x(at);
    svg.append(element("line", { class: "grid", x1: px, x2: px, y1: f.top, y2: f.bottom }));
    svg.append(element("text", { class: "tick", x: px, y: f.bottom + 17, "text-anchor": "middle" }, x.text ? x.text(at) : at));
  }
  for (const at of y.ticks) {
    const py = f.y(at);
    svg.append(element("line", { class: "grid", x1: f.left, x2: f.right, y1: py, y2: py }));
    svg.append(element("text", { class: "tick", x: f.left - 7, y: py + 4, "text-anchor": "end" }, y.text ? y.text(at) : at));
  }
  svg.append(element("text", { x: (f.left + f.right) / 2, y: f.height - 6, "text-anchor": "middle" }, x.label));
  const middle = (f.top + f.bottom) / 2;
  svg.append(element("text", { x: 13, y: middle, "text-anchor": "middle", transform: `rotate(-90 13 ${middle})` }, y.label));
}

function picture(holder, f, label) {
  const svg = element("svg", { viewBox: `0 0 ${f.width} ${f.height}`, height: f.height, role: "img", "aria-label": label });
  holder.replaceChildren(svg);
  return svg;
}
