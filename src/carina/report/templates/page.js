"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const status = document.getElementById("status");
  const buttons = [...document.querySelectorAll("[data-show]")];
  const show = (key) => {
    let count = 0;
    for (const card of cards) {
      const on = !key || card.dataset.decision === key;
      card.hidden = !on;
      count += on;
    }
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === key));
    status.textContent = count + " films shown";
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.show));
  const mix = (slider) => {
    for (const heat of slider.closest(".card").querySelectorAll(".heat")) heat.style.opacity = slider.value / 100;
  };
  const sliders = [...document.querySelectorAll(".mix")];
  for (const slider of sliders) slider.addEventListener("input", () => mix(slider));
  for (const which of document.querySelectorAll(".which")) {
    which.addEventListener("change", () => {
      which.closest(".card").querySelectorAll(".heat").forEach((heat, index) => { heat.hidden = index !== which.selectedIndex; });
    });
  }
  for (const box of document.querySelectorAll(".switch")) {
    box.addEventListener("change", () => {
      for (const layer of box.closest(".card").querySelectorAll(".overlay")) {
        if (layer.dataset.layer === box.value) layer.toggleAttribute("hidden", !box.checked);
      }
    });
  }
  const all = document.getElementById("all");
  if (all) all.addEventListener("input", () => {
    for (const slider of sliders) { slider.value = all.value; mix(slider); }
  });
})();
