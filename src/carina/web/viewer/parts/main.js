// The film page: a pane or two, a bar of tools, layers with their opacity.
import { RenderingEngine, init } from "@cornerstonejs/core";
import { TOOLS, giveHands } from "./hands.js";
import { giveLayers } from "./layers.js";
import { Pane } from "./pane.js";

const desk = document.getElementById("viewer");
const one = (selector) => desk.querySelector(selector);
const all = (selector) => [...desk.querySelectorAll(selector)];

function start(toggle) {
  init({ rendering: { webGlContextCount: 1 } });
  const engine = new RenderingEngine("carina");
  const panes = all(".pane").map((element) => new Pane(element, engine));
  const [film, other] = panes;
  const state = { tool: "window", pane: film, linked: false };
  const level = one("#level");
  const width = one("#window");

  const link = (from) => {
    const to = panes.find((pane) => pane !== from);
    if (state.linked && to) to.follows(from);
  };
  const tell = (pane) => {
    if (pane !== state.pane) return;
    level.value = Math.round(100 * pane.window.centre);
    width.value = Math.round(100 * pane.window.width);
    one('[data-act="invert"]').setAttribute("aria-pressed", String(pane.window.inverted));
    if (!pane.live) return;
    one("#said").textContent = `zoom ${pane.zoomed().toFixed(1)}, level ${level.value}, window ${width.value}`;
  };
  const choose = (tool) => {
    state.tool = tool;
    all("[data-tool]").forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.tool === tool)));
  };
  const acts = {
    ...Object.fromEntries(TOOLS.map((tool) => [tool, () => choose(tool)])),
    chosen: (pane) => {
      state.pane = pane;
      panes.forEach((each) => each.element.classList.toggle("chosen", each === pane && Boolean(other?.live)));
      tell(pane);
    },
    moved: () => {},
    invert: (pane) => pane.setWindow({ inverted: !pane.window.inverted }),
    right: (pane) => pane.turn(90),
    left: (pane) => pane.turn(-90),
    closer: (pane) => pane.zoom(1.25),
    farther: (pane) => pane.zoom(0.8),
    reset: (pane) => pane.reset(),
    heat: () => toggle("heat"),
    lungs: () => toggle("outline-lungs"),
    boxes: () => toggle("boxes"),
    opacity: () => toggle("colour-opacity"),
  };
  const act = (name, pane) => {
    acts[name](pane);
    if (name !== "chosen") link(pane);
  };

  for (const field of [level, width]) {
    field.addEventListener("input", () => {
      state.pane.setWindow({ centre: level.value / 100, width: width.value / 100 });
      link(state.pane);
    });
  }
  all("[data-tool]").forEach((each) => each.addEventListener("click", () => act(each.dataset.tool, state.pane)));
  all("[data-act]").forEach((each) => each.addEventListener("click", () => act(each.dataset.act, state.pane)));
  for (const pane of panes) {
    pane.told = tell;
    giveHands(pane, state, act);
  }
  const sizes = new ResizeObserver(() => {
    engine.resize(true, true);
    panes.forEach((each) => each.resized());
  });
  panes.forEach((pane) => sizes.observe(pane.element));
  if (other) pair(film, other, acts, state, link);

  desk.classList.add("working");
  // the small picture first: both at once would make the doctor wait for both
  return one("#film").decode().catch(() => {}).then(() => film.show(film.element.dataset.pixels));
}

// the film beside it, chosen from the patient's others
function pair(film, other, acts, state, link) {
  const prior = one("#prior");
  prior.addEventListener("change", async () => {
    other.element.hidden = !prior.value;
    desk.classList.toggle("paired", Boolean(prior.value));
    if (!prior.value) { acts.chosen(film); return; }
    other.element.querySelector(".whose").textContent = prior.selectedOptions[0].textContent;
    try {
      await other.show(prior.value);
      link(film);
      acts.chosen(film);
    } catch (error) { other.note.textContent = error.message; }
  });
  const linked = one("#linked");
  linked.addEventListener("change", () => { state.linked = linked.checked; link(state.pane); });
}

// where nothing can be drawn here, the server draws, and window and level ask it again
function plain(why) {
  desk.classList.remove("working");
  desk.classList.add("plain");
  one(".coming").textContent = why;
  const film = one("#film");
  let waiting;
  for (const name of ["#level", "#window"]) {
    one(name).addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        film.src = `${film.dataset.source}?centre=${one("#level").value / 100}&width=${one("#window").value / 100}`;
      }, 120);
    });
  }
}

if (desk) {
  const toggle = giveLayers(desk);
  try {
    start(toggle).catch((error) => plain(error.message));
  } catch {
    plain("This browser cannot draw the film itself; the picture comes from the server.");
  }
}
