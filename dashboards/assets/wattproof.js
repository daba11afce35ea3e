// The page's own scripts: one sink for live values, the clock that tells their age, the floor plan and the lines of charts.
// Nothing here asks the server for anything but /session, and nothing leaves this machine.
(() => {
    "use strict";
    const none = () => window.dash_clientside.no_update;
    const byId = (id) => document.getElementById(id);
    const page = { pending: {}, plan: null, power: null, trend: null, outlines: null, words: {}, lastPush: 0, age: undefined, oldAfter: 10, loop: 0, count: 0, gap: false, alarm: null };
    window.wattproof = page;

    // ---------------------------------------------------------------- live values

    function hand_on(all) {
        for (const [id, props] of Object.entries(all)) {
            if (byId(id)) window.dash_clientside.set_props(id, props);
            else page.pending[id] = { ...page.pending[id], ...props };  // its page is not drawn yet
        }
    }

    function flush() {
        const waiting = page.pending;
        page.pending = {};
        hand_on(waiting);
    }

    function sink(live) {
        if (!live) return;
        if (live.loop === page.loop && live.count !== page.count + 1) page.gap = true;
        page.loop = live.loop;
        page.count = live.count;
        page.lastPush = Date.now();
        if ("age_s" in live) page.age = live.age_s;
        if ("old_after_s" in live) page.oldAfter = live.old_after_s;
        if (live.props) hand_on(live.props);
        if (live.plan) { page.plan = live.plan; paint_plan(); }
        if (live.power) { page.power = live.power; draw_power(); }
    }

    function drawn() {
        for (const link of document.querySelectorAll(".page-link")) link.classList.toggle("here", link.getAttribute("href") === location.pathname);
        // The page's elements exist a moment after its children were set.
        setTimeout(() => { flush(); draw_power(); draw_trend(page.trend); paint_plan(); }, 150);
    }

    const age_words = (s) => s < 120 ? `${Math.max(0, Math.round(s))} s` : s < 7200 ? `${Math.round(s / 60)} min` : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.floor(s / 86400)} d`;

    function clock(n, words, again) {
        page.words = words;
        flush();
        const since = page.lastPush ? (Date.now() - page.lastPush) / 1000 : 0;
        const cut = since > 4;
        const ask = (cut && n % 5 === 0) || page.gap;
        page.gap = false;
        if (cut && n % 5 === 0)
            fetch("/session").then((a) => a.json()).then((who) => { if (!who.user) location.assign("/login"); }).catch(() => {});
        const next = ask ? again + 1 : none();
        if (cut) return [words.cut.replace("{age}", age_words(since)), "age old", next];
        if (page.age === undefined) return ["", "age", next];  // a page without readings
        if (page.age === null) return [words.age_none, "age", next];
        const age = page.age + since;
        return age > page.oldAfter ? [words.ended.replace("{age}", age_words(age)), "age old", next] : [words.age.replace("{age}", age_words(age)), "age", next];
    }

    function scheme(dark) {
        const name = dark ? "dark" : "light";
        document.documentElement.dataset.agThemeMode = name;
        page.dark = dark;
        setTimeout(() => { draw_power(); draw_trend(page.trend); }, 50);
        return name;
    }

    // ---------------------------------------------------------------- charts

    const LOOKS = {
        controlled: { light: "#12618f", dark: "#7cc4ee", width: 2.4, dash: "solid" },
        bau: { light: "#6b6f73", dark: "#a9b0b7", width: 1.3, dash: "dash" },
        code: { light: "#8a6d3b", dark: "#d9bd84", width: 1.3, dash: "dot" },
    };

    function figure(lines, unit) {
        const side = page.dark ? "dark" : "light";
        const ink = page.dark ? "#c9d1d9" : "#3a444e";
        const grid = page.dark ? "#39434d" : "#dde2e6";
        const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, tickfont: { size: 11 }, visible: true };
        return {
            data: lines.map((l) => ({
                x: l.at, y: l.kw, type: "scatter", mode: "lines", name: l.name, hovertemplate: `%{y:.1f} ${unit}<extra>${l.name}</extra>`,
                line: { color: LOOKS[l.key][side], width: LOOKS[l.key].width, dash: LOOKS[l.key].dash, shape: "hv" },
            })),
            layout: {
                uirevision: "keep", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12 },
                margin: { l: 46, r: 8, t: 26, b: 36 }, hovermode: "x unified", hoverlabel: { bgcolor: page.dark ? "#20272e" : "#ffffff", font: { color: ink } },
                legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, traceorder: "reversed" }, showlegend: lines.length > 1,
                xaxis: { ...axis, type: "date" }, yaxis: { ...axis, rangemode: lines.length > 1 ? "tozero" : "normal", title: { text: unit, standoff: 6, font: { size: 11 } } },
            },
        };
    }

    function draw_power() {
        if (!page.power || !page.power.length || !byId("power-chart")) return;
        const lines = page.power.map((l) => ({ ...l, name: page.words[l.key] || l.key }));
        lines.reverse();  // the controlled building's line on top
        window.dash_clientside.set_props("power-chart", { figure: figure(lines, "kW") });
    }

    function draw_trend(line) {
        page.trend = line || null;
        if (!line || !byId("trend-chart")) return;
        const drawing = figure([{ key: "controlled", at: line.at, kw: line.y, name: line.unit }], line.unit);
        drawing.layout.margin.b = 30;
        drawing.layout.uirevision = JSON.stringify(line.at[0]);
        window.dash_clientside.set_props("trend-chart", { figure: drawing });
    }

    // ---------------------------------------------------------------- floor plan

    const SVG = "http://www.w3.org/2000/svg";
    const WIDE = 1000;  // the drawing's own units

    function make(name, attributes, ...children) {
        const node = document.createElementNS(SVG, name);
        for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
        node.append(...children);
        return node;
    }

    function draw_plan(layer, storey, outlines) {
        Object.assign(page, { layer, storey, outlines });
        paint_plan();
        return `${layer} ${storey}`;
    }

    function paint_plan() {
        const frame = byId("plan");
        if (!frame || !page.outlines) return;
        const rooms = page.outlines.rooms.filter((r) => r.storey === page.storey);
        const corners = rooms.flatMap((r) => r.outlines.flat());
        if (!corners.length) { frame.replaceChildren(); return; }
        const xs = corners.map((c) => c[0]), ys = corners.map((c) => c[1]);
        const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
        const scale = WIDE / (right - left || 1);
        const tall = (high - low) * scale;
        const at = ([x, y]) => [(x - left) * scale, (high - y) * scale];
        const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.room : null;
        const hatch = make("pattern", { id: "hatch", width: 10, height: 10, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
            make("rect", { width: 10, height: 10, class: "hatch-ground" }), make("line", { x1: 0, y1: 0, x2: 0, y2: 10, class: "hatch-line" }));
        const drawing = make("svg", { viewBox: `-4 -4 ${WIDE + 8} ${tall + 8}`, role: "img" }, make("defs", {}, hatch), ...rooms.map((room) => draw_room(room, at)));
        frame.replaceChildren(drawing);
        if (focus) frame.querySelector(`[data-room="${CSS.escape(focus)}"]`)?.focus();
        paint_legend();
    }

    function draw_room(room, at) {
        const state = page.plan ? page.plan[room.id] : null;
        const cell = state ? state.cells[page.layer] : null;
        const usable = cell && cell.band >= 0 && cell.quality !== "stale" && cell.quality !== "bad";
        const fill = !cell || cell.band < 0 ? "band-none" : usable ? `band-${page.layer}-${cell.band}` : "band-stale";
        const mark = cell && cell.mark ? page.words[cell.mark] : "";
        const people = state && state.people !== null ? (state.people ? page.words.people_here.replace("{n}", state.people) : page.words.nobody) : "";
        const quality = cell && !usable ? (cell.band < 0 ? page.words.no_value : page.words.stale) : "";
        const words = [cell ? cell.text : "–", page.layer === "people" ? "" : people, quality, mark].filter(Boolean);
        const group = make("g", { class: `room${mark ? " room-mark" : ""}`, tabindex: 0, role: "button", "data-room": room.id, "data-name": room.name, "aria-label": [room.name, ...words].join(", ") });
        for (const outline of room.outlines) group.append(make("polygon", { points: outline.map((c) => at(c).map((v) => v.toFixed(1)).join(",")).join(" "), class: fill }));
        group.append(label(room, words, mark, at));
        group.append(make("title", {}, [room.name, ...words].join(" · ")));
        group.addEventListener("click", () => choose_room(room.name));
        group.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); choose_room(room.name); } });
        return group;
    }

    function label(room, words, mark, at) {
        const points = room.outlines.reduce((a, b) => (b.length > a.length ? b : a)).map(at);
        const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
        const width = Math.max(...xs) - Math.min(...xs), height = Math.max(...ys) - Math.min(...ys);
        const upright = height > 1.7 * width;
        const room_for = (upright ? width : height) / 3.4;
        const narrow = byId("plan").clientWidth < 520;  // a telephone: larger words, and the name only where there is room
        const size = Math.max(11, Math.min(24, room_for, (upright ? height : width) / 11)) * (narrow ? 1.7 : 1);
        const [x, y] = centre(points);
        const short = narrow && Math.min(width, height) < 200;
        const lines = short ? [[words[0], "label-value", size], ["", "", 1]] : [[room.name, "label-name", size * 0.72], [words[0] + (mark ? `  ${mark.startsWith(page.words.too_cold) ? "▼" : "▲"}` : ""), "label-value", size * 1.15], [words.slice(1).join(" · "), "label-note", size * 0.72]];
        const text = make("text", { x, y, class: "label", transform: upright ? `rotate(-90 ${x} ${y})` : "" });
        let dy = short ? 0 : -size * 0.95;
        for (const [line, kind, height_of] of lines) {
            const part = make("tspan", { x, dy, class: kind, "font-size": height_of.toFixed(1) }, line);
            text.append(part);
            dy = size * 1.12;
        }
        return text;
    }

    function centre(points) {
        let area = 0, x = 0, y = 0;
        points.forEach(([x1, y1], i) => {
            const [x2, y2] = points[(i + 1) % points.length];
            const cross = x1 * y2 - x2 * y1;
            area += cross; x += (x1 + x2) * cross; y += (y1 + y2) * cross;
        });
        return Math.abs(area) < 1e-6 ? points[0] : [x / (3 * area), y / (3 * area)];
    }

    function paint_legend() {
        const legend = byId("plan-legend");
        if (!legend) return;
        const { steps, unit } = page.outlines.layers[page.layer];
        const names = [page.words.below.replace("{limit}", steps[0]), ...steps.slice(0, -1).map((s, i) => `${s} – ${steps[i + 1]}`), page.words.above.replace("{limit}", `${steps.at(-1)} ${unit}`.trim())];
        const swatch = (kind, text) => {
            const item = document.createElement("span");
            const box = document.createElement("i");
            box.className = kind;
            item.append(box, text);
            return item;
        };
        legend.replaceChildren(...names.map((text, i) => swatch(`band-${page.layer}-${i}`, text)), swatch("band-stale", page.words.stale), page.layer === "temperature" || page.layer === "co2" ? page.words.marks : "");
    }

    function choose_room(name) {
        window.dash_clientside.set_props("points-filter", { value: name });
        byId("points-grid")?.scrollIntoView({ block: "nearest" });
    }

    // ---------------------------------------------------------------- grids and dialogs

    // A room's name is looked for as one phrase: "core mid" must not find core bottom's hu-mid-ity.
    const phrase = (text) => page.outlines?.rooms.some((r) => r.name.toUpperCase() === text.toUpperCase()) ? [text] : text.split(" ");

    function filter(text) {
        if (text === undefined || !byId("points-grid") || !window.dash_ag_grid) return;
        window.dash_ag_grid.getApiAsync("points-grid").then((api) => { api.setGridOption("quickFilterParser", phrase); api.setGridOption("quickFilterText", text || ""); }).catch(() => {});
    }

    function choose_point(rows) {
        return rows && rows.length && rows[0].writable ? rows[0].id : none();
    }

    const open = (clicks) => (clicks ? true : none());

    function open_alarm(clicks, rows) {
        if (!clicks || !rows || !rows.length || !rows[0].open) return [none(), none(), none()];
        return [true, rows[0].id, `${rows[0].source}: ${rows[0].message}`];
    }

    const same = (value) => value;
    const running = (clicks, words) => (clicks ? words.verify_running : "");

    window.dash_clientside = Object.assign({}, window.dash_clientside, {
        wattproof: { sink, drawn, clock, scheme, draw_plan, draw_trend, filter, choose_point, open, open_alarm, same, running },
    });
})();
