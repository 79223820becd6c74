"use strict";

// Tables: the buttons in the heads sort by the numbers in data-v.
(() => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((th, col) => th.querySelector("button").addEventListener("click", () => {
      const up = th.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numeric = th.classList.contains("n");
      const key = row => {
        const cell = row.cells[col];
        const text = cell.dataset.v ?? cell.textContent;
        if (!numeric) return text;
        return text === "" ? NaN : Number(text.replace("Inf", "Infinity"));
      };
      const rows = [...body.rows].map((row, i) => ({row, i, k: key(row)}));
      rows.sort((a, b) => {
        if (numeric) {
          // What does not exist stays at the end, either way.
          if (Number.isNaN(a.k) || Number.isNaN(b.k)) return Number.isNaN(a.k) - Number.isNaN(b.k) || a.i - b.i;
          return (a.k === b.k ? 0 : a.k < b.k ? -1 : 1) * (up ? 1 : -1) || a.i - b.i;
        }
        return a.k.localeCompare(b.k) * (up ? 1 : -1) || a.i - b.i;
      });
      body.append(...rows.map(r => r.row));
    }));
  }
})();

// Theme: as the system has it, or light, or dark.
const theme = (() => {
  const button = document.getElementById("theme");
  const names = ["auto", "light", "dark"];
  let now = "auto";
  const set = name => {
    if (!names.includes(name)) return;
    now = name;
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = "Theme: " + name;
  };
  try { set(localStorage.getItem("snrlab-theme") ?? "auto"); } catch { /* no storage */ }
  button.hidden = false;
  button.addEventListener("click", () => {
    set(names[(names.indexOf(now) + 1) % names.length]);
    try { localStorage.setItem("snrlab-theme", now); } catch { /* no storage */ }
  });
  const wanted = new URLSearchParams(location.hash.slice(1)).get("theme");
  if (wanted) set(wanted);
  return {set};
})();

// The step-for-step view.
(async () => {
  const data = document.getElementById("view-data");
  if (!data) return;
  const view = JSON.parse(data.textContent);
  const $ = id => document.getElementById(id);
  const problem = text => { $("viewer-problem").textContent = text; $("viewer-problem").hidden = false; };

  // Pictures: raw DEFLATE in base64; see pix in the program that wrote this.
  let bytes = null;
  if (view.kind === "image") {
    if (typeof DecompressionStream !== "function") return problem("This browser cannot unpack the pictures (it has no DecompressionStream): use a newer one.");
    try {
      const packed = Uint8Array.from(atob(document.getElementById("view-pixels").textContent.trim()), c => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    } catch (err) {
      return problem("The pictures of this page do not unpack: " + err.message);
    }
  }
  const samples = view.samples.length;
  const size = view.kind === "image" ? view.picture.values : 2;

  // values returns one picture of a list, level by level, sample by sample.
  const values = (pix, level, sample) => {
    const i = level * samples + sample;
    const out = new Float32Array(size);
    const scale = pix.scale[i] / 127;
    const from = pix.at + i * size;
    for (let k = 0; k < size; k++) out[k] = (bytes[from + k] - 128) * scale;
    return out;
  };
  const plus = (a, b) => a.map((v, i) => v + b[i]);

  const number = v => {
    if (v === null || v === undefined || Number.isNaN(v)) return "–";
    if (v === Infinity) return "∞";
    if (v === -Infinity) return "−∞";
    if (v === 0) return "0";
    const a = Math.abs(v);
    const s = a >= 1e-3 && a < 1e5 ? Number(v.toPrecision(3)).toString() : v.toExponential(2).replace("+", "");
    return s.replaceAll("-", "−");
  };
  const make = (tag, attrs = {}, ...children) => {
    const svg = ["svg", "g", "path", "line", "rect", "text", "circle", "polyline", "clipPath"].includes(tag);
    const el = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [k, v] of Object.entries(attrs)) el.setAttribute(k, v);
    el.append(...children);
    return el;
  };
  const ink = solver => view.solvers[solver].colour || "currentColor";

  // State, and the controls that show it.
  const state = {a: view.defaults.a, b: view.defaults.b, budget: view.defaults.budget, sample: 0, nfe: 0};
  const runOf = (solver, budget) => view.runs.find(r => r.solver === solver && r.budget === budget);
  const budgets = [...new Set(view.runs.map(r => r.budget))].sort((x, y) => x - y);
  const present = new Set(view.runs.map(r => r.solver));
  for (const id of ["pick-a", "pick-b"]) {
    view.solvers.forEach((s, i) => { if (present.has(i)) $(id).append(make("option", {value: i}, s.name)); });
  }
  for (const b of budgets) $("pick-budget").append(make("option", {value: b}, b + " evaluations"));
  view.samples.forEach((row, i) => $("pick-sample").append(make("option", {value: i}, "row " + row)));

  let stops = [0];
  const stopOf = nfe => {
    let at = 0;
    while (at + 1 < stops.length && stops[at + 1] <= nfe) at++;
    return at;
  };
  // The newest level a run has reached after so many evaluations.
  const levelAt = (run, nfe) => {
    let k = 0;
    while (k < run.steps && run.nfe[k + 1] <= nfe) k++;
    return k;
  };

  // The address keeps the choice.
  const read = () => {
    const q = new URLSearchParams(location.hash.slice(1));
    if (q.get("theme")) theme.set(q.get("theme"));
    const solver = name => view.solvers.findIndex((s, i) => s.name === name && present.has(i));
    if (solver(q.get("a")) >= 0) state.a = solver(q.get("a"));
    if (solver(q.get("b")) >= 0) state.b = solver(q.get("b"));
    if (budgets.includes(Number(q.get("budget")))) state.budget = Number(q.get("budget"));
    const sample = view.samples.indexOf(Number(q.get("row") ?? NaN));
    if (sample >= 0) state.sample = sample;
    if (/^\d+$/.test(q.get("nfe") ?? "")) state.nfe = Number(q.get("nfe"));
  };
  const write = () => {
    const q = new URLSearchParams(location.hash.slice(1).includes("=") ? location.hash.slice(1) : "");
    q.set("a", view.solvers[state.a].name);
    q.set("b", view.solvers[state.b].name);
    q.set("budget", state.budget);
    q.set("row", view.samples[state.sample]);
    q.set("nfe", state.nfe);
    try { history.replaceState(null, "", "#" + q); } catch { /* not allowed here */ }
  };

  // Pictures.
  const diverging = v => {
    const end = v < 0 ? [0, 114, 178] : [213, 94, 0];
    const t = Math.min(1, Math.abs(v));
    return end.map(e => 250 + (e - 250) * t);
  };
  const paint = (canvas, v, signed) => {
    const {w, h, rgb, reach} = view.picture;
    canvas.width = w;
    canvas.height = h;
    const ctx = canvas.getContext("2d");
    const img = ctx.createImageData(w, h);
    const grey = x => 255 * Math.max(0, Math.min(1, (x / reach + 1) / 2));
    const cw = view.picture.channel; // width of one channel
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      const o = 4 * (y * w + x);
      let c;
      if (rgb) {
        const p = [0, 1, 2].map(k => v[k * w * h + y * w + x]);
        c = signed ? diverging((p[0] + p[1] + p[2]) / 3) : p.map(grey);
      } else {
        // Channels that are no colours stand side by side.
        const value = v[Math.floor(x / cw) * cw * h + y * cw + x % cw];
        c = signed ? diverging(value) : Array(3).fill(grey(value));
      }
      [img.data[o], img.data[o + 1], img.data[o + 2]] = c;
      img.data[o + 3] = 255;
    }
    ctx.putImageData(img, 0, 0);
  };
  const tile = (v, signed, label, title) => {
    const canvas = make("canvas", {role: "img", "aria-label": title});
    paint(canvas, v, signed);
    return make("figure", {}, canvas, make("figcaption", {title}, label));
  };
  const empty = text => make("figure", {}, make("div", {class: "void"}, text), make("figcaption"));

  // What one solver shows at a level: pictures as arrays, ready to compare.
  const shown = solver => {
    const run = runOf(solver, state.budget);
    if (!run) return null;
    const k = levelAt(run, state.nfe);
    const out = {solver, run, k, ref: view.refs[run.steps]};
    if (view.kind === "image") {
      out.dx = values(run.dx, k, state.sample);
      out.x = out.dx;
      if (out.ref) { out.rx = values(out.ref.px, k, state.sample); out.x = plus(out.rx, out.dx); }
      if (k < run.steps) {
        out.dd = values(run.dd, k, state.sample);
        out.d = out.dd;
        if (out.ref) { out.rd = values(out.ref.pd, k, state.sample); out.d = plus(out.rd, out.dd); }
      }
    }
    return out;
  };
  const largest = v => v ? v.reduce((m, x) => Math.max(m, Math.abs(x)), 0) : 0;

  const images = (s, scaleX, scaleD) => {
    const box = make("div", {class: "tiles"});
    const scaled = (v, by) => v.map(x => by > 0 ? x / by : 0);
    box.append(tile(s.x, false, "state x", "state, divided by √(α²+σ²)"));
    if (s.ref) {
      box.append(tile(s.rx, false, "exact x*", "exact state at this level from the same noise"));
      box.append(tile(scaled(s.dx, scaleX), true, "x − x*, ±" + number(scaleX), "difference to the exact state"));
    } else box.append(empty("no reference"), empty("no reference"));
    if (s.d) {
      box.append(tile(s.d, false, "estimate D", "denoised estimate that the next step starts from"));
      if (s.ref) {
        box.append(tile(s.rd, false, "exact D*", "denoised estimate of the exact state"));
        box.append(tile(scaled(s.dd, scaleD), true, "D − D*, ±" + number(scaleD), "difference to the exact estimate"));
      } else box.append(empty("no reference"), empty("no reference"));
    } else box.append(empty("the end: no further estimate"), empty(""), empty(""));
    return box;
  };

  // 2-D problems: points on density contours.
  const plane = (s, box) => {
    const [x0, x1, y0, y1] = box;
    const w = 400, h = w * (y1 - y0) / (x1 - x0);
    const px = x => (x - x0) / (x1 - x0) * w, py = y => h - (y - y0) / (y1 - y0) * h;
    const clip = "clip" + s.letter;
    const svg = make("svg", {viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": "states in the plane"});
    svg.append(make("clipPath", {id: clip}, make("rect", {width: w, height: h})));
    const g = make("g", {"clip-path": `url(#${clip})`});
    svg.append(g);
    const map = `translate(${px(0)} ${py(0)}) scale(${w / (x1 - x0)} ${-h / (y1 - y0)})`;
    (view.plane.contours ?? []).forEach((d, i) => g.append(make("path", {
      d, transform: map, fill: "none", stroke: "currentColor", "stroke-opacity": .45 - .09 * i, "stroke-width": 1, "vector-effect": "non-scaling-stroke",
    })));
    const at = (list, level, sample) => {
      const i = 2 * (level * samples + sample);
      return [px(list[i]), py(list[i + 1])];
    };
    const path = (list, upto, sample) => Array.from({length: upto + 1}, (_, k) => at(list, k, sample).join(",")).join(" ");
    const colour = ink(s.solver);
    for (let i = 0; i < samples; i++) {
      const on = i === state.sample;
      if (s.ref) g.append(make("polyline", {points: path(s.ref.x, s.run.steps, i), fill: "none", stroke: "currentColor", "stroke-width": on ? 1.5 : 1, "stroke-opacity": on ? .8 : .2, "stroke-dasharray": "5 3"}));
      g.append(make("polyline", {points: path(s.run.x, s.k, i), fill: "none", stroke: colour, "stroke-width": on ? 2.2 : 1, "stroke-opacity": on ? 1 : .35}));
      const [cx, cy] = at(s.run.x, s.k, i);
      const disc = () => g.append(make("circle", {cx, cy, r: on ? 4.5 : 2.5, fill: colour, "fill-opacity": on ? 1 : .5}));
      if (!on) { disc(); continue; }
      // What is exact goes below, a little larger.
      const cross = (x, y, r, stroke) => g.append(make("path", {d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, stroke, "stroke-width": 2}));
      const estimate = s.k < s.run.steps;
      if (s.ref) {
        const [rx, ry] = at(s.ref.x, s.k, i);
        g.append(make("circle", {cx: rx, cy: ry, r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.5}));
        if (estimate && s.ref.d.length > 2 * s.k * samples) cross(...at(s.ref.d, s.k, i), 7, "currentColor");
      }
      if (estimate) {
        const [dx, dy] = at(s.run.d, s.k, i);
        g.append(make("line", {x1: cx, y1: cy, x2: dx, y2: dy, stroke: colour, "stroke-dasharray": "2 3"}));
        cross(dx, dy, 5, colour);
      }
      disc();
    }
    svg.append(make("rect", {x: .5, y: .5, width: w - 1, height: h - 1, fill: "none", stroke: "currentColor", "stroke-opacity": .25}));
    return make("div", {}, svg, make("p", {class: "remark"},
      `Disc: state (${coordinates(s)}). Ring: exact state. Crosses: denoised estimates, exact one in ink. Dashes: the exact walk. Grey curves: density of the data.`));
  };
  // The frame: around the density, and as much wider as the chosen row is.
  const frame = list => {
    let [x0, x1, y0, y1] = view.plane.box;
    let far = 1;
    const cx = (x0 + x1) / 2, cy = (y0 + y1) / 2;
    const see = (v, i) => {
      far = Math.max(far, 1.08 * Math.abs(v[i] - cx) / (x1 - cx), 1.08 * Math.abs(v[i + 1] - cy) / (y1 - cy));
    };
    for (const s of list) {
      if (!s) continue;
      const i = 2 * (s.k * samples + state.sample);
      see(s.run.x, i);
      if (s.ref) see(s.ref.x, i);
    }
    if (!Number.isFinite(far)) far = 1;
    return [cx - far * (cx - x0), cx + far * (x1 - cx), cy - far * (cy - y0), cy + far * (y1 - cy)];
  };
  const coordinates = s => {
    const i = 2 * (s.k * samples + state.sample);
    return number(s.run.x[i]) + ", " + number(s.run.x[i + 1]);
  };

  const card = (el, s, letter, scaleX, scaleD, box) => {
    el.replaceChildren();
    const {name, colour, dashed} = view.solvers[letter === "A" ? state.a : state.b];
    const swatch = make("i", {class: dashed ? "hollow" : ""});
    swatch.style.color = colour || "var(--ink)";
    el.append(make("h3", {}, swatch, name, make("span", {class: "letter"}, letter)));
    if (!s) {
      el.append(make("p", {class: "at"}, `did not run at a budget of ${state.budget}.`));
      return;
    }
    s.letter = letter;
    const {run, k} = s;
    el.append(make("p", {class: "at"}, `step ${k} of ${run.steps} · ${run.nfe[k]} evaluations · λ = ${number(run.lambda[k])}`));
    el.append(view.kind === "plane" ? plane(s, box) : images(s, scaleX, scaleD));
    const table = make("table", {class: "numbers"});
    const body = make("tbody");
    table.append(body);
    const i = k * samples + state.sample;
    const noise = view.solvers[s.solver].noise;
    const rows = [
      [noise ? "‖x − x*‖ of this row (not what it aims at)" : "‖x − x*‖ of this row", run.ownX[i]],
      ["‖D − D*‖ of this row", k < run.steps ? run.ownD[i] : null],
      noise ? ["strong error, all rows", run.strong[k]] : ["global error, all rows", run.global[k]],
      ["error of the last step alone", run.local[k]],
      ["error of the estimate D, all rows", run.denoised[k]],
      ["norm of the state, all rows", run.norm[k]],
      ["α, σ", number(run.alpha[k]) + ", " + number(run.sigma[k])],
    ];
    for (const [label, v] of rows) {
      body.append(make("tr", {}, make("th", {scope: "row"}, label), make("td", {class: "n"}, typeof v === "string" ? v : number(v))));
    }
    el.append(table);
    if (noise) el.append(make("p", {class: "remark"}, "A stochastic solver does not follow the exact trajectory; the reference is shown for orientation."));
  };

  // Errors over the evaluations, with a cursor.
  const chart = () => {
    const w = 900, h = 230, left = 62, right = 14, top = 22, bottom = 34;
    const svg = make("svg", {viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": "errors of both solvers over evaluations"});
    const lines = [];
    for (const [letter, solver] of [["A", state.a], ["B", state.b]]) {
      const run = runOf(solver, state.budget);
      if (!run) continue;
      const noise = view.solvers[solver].noise;
      lines.push({letter, run, solver, list: noise ? run.strong : run.global, name: noise ? "strong" : "global", dash: view.solvers[solver].dashed ? "8 4" : "", width: 1.8, r: 3.2});
      if (!noise) lines.push({letter, run, solver, list: run.local, name: "one step", dash: "2 3", width: 1.3, r: 1.8});
    }
    const all = lines.flatMap(l => l.list).filter(v => v > 0 && v < Infinity);
    const end = Math.max(1, ...lines.map(l => l.run.nfe[l.run.steps]));
    const px = n => left + n / end * (w - left - right);
    const text = (x, y, s, extra = {}) => svg.append(make("text", {x, y, fill: "currentColor", ...extra}, s));
    if (all.length === 0) {
      text(w / 2, h / 2, "no errors to draw", {"text-anchor": "middle"});
      return svg;
    }
    let lo = Math.log10(Math.min(...all)), hi = Math.log10(Math.max(...all));
    if (hi - lo < 1) { const mid = (hi + lo) / 2; lo = mid - .5; hi = mid + .5; }
    lo -= .06 * (hi - lo); hi += .06 * (hi - lo);
    const py = v => top + (hi - Math.log10(v)) / (hi - lo) * (h - top - bottom);
    const every = Math.ceil((hi - lo) / 6);
    for (let k = Math.ceil(lo); k <= hi; k++) {
      if (k % every) continue;
      const y = py(10 ** k);
      svg.append(make("line", {x1: left, x2: w - right, y1: y, y2: y, stroke: "currentColor", "stroke-opacity": .15}));
      text(left - 8, y + 4, k === 0 ? "1" : k === 1 ? "10" : "1e" + String(k).replace("-", "−"), {"text-anchor": "end"});
    }
    const stepX = Math.max(1, Math.ceil(end / 12));
    for (let n = 0; n <= end; n += stepX) text(px(n), h - bottom + 16, n, {"text-anchor": "middle"});
    svg.append(make("line", {x1: left, x2: w - right, y1: h - bottom, y2: h - bottom, stroke: "currentColor"}));
    svg.append(make("line", {x1: left, x2: left, y1: top, y2: h - bottom, stroke: "currentColor"}));
    text((left + w - right) / 2, h - 4, "evaluations spent", {"text-anchor": "middle"});
    let lx = left + 8;
    for (const l of lines) {
      const stroke = ink(l.solver);
      let d = "", pen = "M";
      l.list.forEach((v, k) => {
        if (!(v > 0 && v < Infinity)) { pen = "M"; return; }
        d += `${pen}${px(l.run.nfe[k]).toFixed(1)} ${py(v).toFixed(1)}`;
        pen = "L";
      });
      if (!d) continue;
      svg.append(make("path", {d, fill: "none", stroke, "stroke-width": l.width, "stroke-dasharray": l.dash}));
      if (l.r) l.list.forEach((v, k) => {
        if (!(v > 0 && v < Infinity)) return;
        const x = px(l.run.nfe[k]), y = py(v);
        svg.append(l.letter === "A" ? make("circle", {cx: x, cy: y, r: l.r, fill: stroke})
          : make("rect", {x: x - l.r, y: y - l.r, width: 2 * l.r, height: 2 * l.r, fill: "var(--card)", stroke, "stroke-width": 1.5}));
      });
      svg.append(make("line", {x1: lx, x2: lx + 22, y1: 10, y2: 10, stroke, "stroke-width": l.width, "stroke-dasharray": l.dash}));
      if (l.r) svg.append(l.letter === "A" ? make("circle", {cx: lx + 11, cy: 10, r: l.r, fill: stroke})
        : make("rect", {x: lx + 11 - l.r, y: 10 - l.r, width: 2 * l.r, height: 2 * l.r, fill: "var(--card)", stroke, "stroke-width": 1.5}));
      const label = `${l.letter} ${l.name}`;
      text(lx + 28, 14, label);
      lx += 40 + 7 * label.length;
    }
    const x = px(Math.min(state.nfe, end));
    svg.append(make("line", {x1: x, x2: x, y1: top - 4, y2: h - bottom, stroke: "var(--accent)", "stroke-width": 1.5}));
    svg.style.cursor = "pointer";
    svg.addEventListener("click", e => {
      const r = svg.getBoundingClientRect();
      go(stopOf(Math.round(((e.clientX - r.left) / r.width * w - left) / (w - left - right) * end)));
    });
    return svg;
  };

  const show = () => {
    const runs = [runOf(state.a, state.budget), runOf(state.b, state.budget)].filter(Boolean);
    stops = [...new Set([0, ...runs.flatMap(r => r.nfe)])].sort((x, y) => x - y);
    const at = stopOf(state.nfe);
    state.nfe = stops[at];
    $("pick-a").value = state.a;
    $("pick-b").value = state.b;
    $("pick-budget").value = state.budget;
    $("pick-sample").value = state.sample;
    $("slider").max = stops.length - 1;
    $("slider").value = at;
    const spent = `${state.nfe} of ${stops[stops.length - 1]} evaluations`;
    $("slider").setAttribute("aria-valuetext", spent);
    $("where").textContent = spent;
    $("back").disabled = at === 0;
    $("forth").disabled = at === stops.length - 1;
    const a = shown(state.a), b = shown(state.b);
    const scaleX = Math.max(largest(a?.dx), largest(b?.dx)), scaleD = Math.max(largest(a?.dd), largest(b?.dd));
    const box = view.kind === "plane" ? frame([a, b]) : null;
    card($("card-a"), a, "A", scaleX, scaleD, box);
    card($("card-b"), b, "B", scaleX, scaleD, box);
    $("chart").replaceChildren(chart());
  };
  const go = at => {
    state.nfe = stops[Math.max(0, Math.min(stops.length - 1, at))];
    show();
    write();
  };

  // Controls.
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    $("play").textContent = "play";
    $("play").setAttribute("aria-label", "play");
  };
  const play = () => {
    if (timer) return stop();
    if (stopOf(state.nfe) === stops.length - 1) go(0);
    $("play").textContent = "stop";
    $("play").setAttribute("aria-label", "stop");
    timer = setInterval(() => {
      const at = stopOf(state.nfe);
      if (at === stops.length - 1) return stop();
      go(at + 1);
    }, 600);
  };
  $("slider").addEventListener("input", e => { stop(); go(Number(e.target.value)); });
  $("back").addEventListener("click", () => { stop(); go(stopOf(state.nfe) - 1); });
  $("forth").addEventListener("click", () => { stop(); go(stopOf(state.nfe) + 1); });
  $("play").addEventListener("click", play);
  const pick = (id, name) => $(id).addEventListener("change", e => { stop(); state[name] = Number(e.target.value); show(); write(); });
  pick("pick-a", "a");
  pick("pick-b", "b");
  pick("pick-budget", "budget");
  pick("pick-sample", "sample");
  const inView = () => {
    const r = $("viewer").getBoundingClientRect();
    return r.bottom > 0 && r.top < innerHeight;
  };
  document.addEventListener("keydown", e => {
    if (e.altKey || e.ctrlKey || e.metaKey || e.shiftKey || !inView()) return;
    if (e.target.closest("select, input, textarea, pre, .scroll")) return;
    const at = stopOf(state.nfe);
    if (e.key === "ArrowLeft") { stop(); go(at - 1); }
    else if (e.key === "ArrowRight") { stop(); go(at + 1); }
    else if (e.key === " " && !e.target.closest("button, a")) play();
    else return;
    e.preventDefault();
  });
  addEventListener("hashchange", () => { read(); show(); });

  // Open where something can be seen: past the middle of the way.
  state.nfe = Math.round(.6 * state.budget);
  read();
  show();
  $("viewer").hidden = false;
  document.documentElement.dataset.viewer = "ready";
  if (new URLSearchParams(location.hash.slice(1)).has("nfe")) $("walk").scrollIntoView();
})();
