// Layers over the film: which show, and how strong. They need no drawing of the film, so that they work beside the
// server's picture too.
export function giveLayers(desk) {
  const one = (selector) => desk.querySelector(selector);
  const all = (selector) => [...desk.querySelectorAll(selector)];
  const named = (name) => all(`.layer[data-layer="${name}"]`);

  for (const row of all("[data-strength]")) {
    const paint = () => named(row.dataset.strength).forEach((each) => { each.style.opacity = row.value / 100; });
    row.addEventListener("input", paint);
    paint();
  }
  const heat = one("#heat");
  const show = (box) => {
    if (box.value === "heat") {
      named("heat").forEach((each) => each.toggleAttribute("hidden", !box.checked || each.dataset.of !== heat.value));
    } else named(box.value).forEach((each) => each.toggleAttribute("hidden", !box.checked));
  };
  const boxes = all(".switch");
  boxes.forEach((box) => { box.addEventListener("change", () => show(box)); show(box); });
  if (heat) heat.addEventListener("change", () => show(one('.switch[value="heat"]')));

  return (name) => {
    const box = boxes.find((each) => each.value === name);
    if (!box) return;
    box.checked = !box.checked;
    show(box);
  };
}
