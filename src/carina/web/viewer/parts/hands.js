// Mouse, pen, fingers and keys on a pane.
const WHEEL = 1.0015;
const STEP = 24; // CSS pixels of a pan by key
const PER_PIXEL = 1 / 600; // of the window, a pixel dragged

export const TOOLS = ["window", "pan", "zoom"];

export function giveHands(pane, state, act) {
  const { element } = pane;
  const down = new Map();

  const drag = (tool, event, before) => {
    const dx = event.clientX - before.x;
    const dy = event.clientY - before.y;
    if (tool === "pan") pane.pan(dx, dy);
    else if (tool === "zoom") pane.zoom(WHEEL ** (-4 * dy));
    else pane.setWindow({ centre: pane.window.centre + dy * PER_PIXEL, width: pane.window.width + dx * PER_PIXEL });
  };

  const pinch = (event) => {
    const others = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const before = down.get(event.pointerId);
    const other = others[0];
    const box = element.getBoundingClientRect();
    const far = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    const now = { x: event.clientX, y: event.clientY };
    const middle = { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top };
    pane.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    pane.zoom(far(now, other) / far(before, other), middle.x, middle.y);
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button, select, input, a")) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY, button: event.button });
    act("chosen", pane);
  });
  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    event.preventDefault();
    if (down.size > 1) pinch(event);
    else drag(before.button === 1 ? "pan" : before.button === 2 ? "zoom" : state.tool, event, before);
    down.set(event.pointerId, { ...before, x: event.clientX, y: event.clientY });
    act("moved", pane);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(name, (event) => down.delete(event.pointerId));
  }
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("dblclick", () => act("reset", pane));
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = element.getBoundingClientRect();
    pane.zoom(WHEEL ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
    act("moved", pane);
  }, { passive: false });
  element.addEventListener("focus", () => act("chosen", pane));
  element.addEventListener("keydown", (event) => {
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    const done = keys(pane, state, act, event);
    if (done) event.preventDefault();
  });
}

// keys work while the film has the focus, and nowhere else: a letter typed into a form does nothing here
function keys(pane, state, act, event) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in arrows) {
    const [x, y] = arrows[event.key];
    if (state.tool === "window") {
      pane.setWindow({ centre: pane.window.centre + 0.02 * y, width: pane.window.width + 0.04 * x });
    } else if (state.tool === "zoom") pane.zoom(1.1 ** -(y || -x));
    else pane.pan(STEP * x, STEP * y);
    act("moved", pane);
    return true;
  }
  const names = {
    w: "window", p: "pan", z: "zoom", i: "invert", r: "right", R: "left", 0: "reset", "+": "closer", "=": "closer",
    "-": "farther", h: "heat", l: "lungs", b: "boxes", o: "opacity",
  };
  const name = names[event.key];
  if (!name) return false;
  act(name, pane);
  return true;
}
