"use strict";
// The film page's window and layers, and the upload's drop and progress. Every page works without it but for these.
(() => {
  const by = (id) => document.getElementById(id);
  const film = by("film");
  if (film) {
    let waiting;
    const again = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        film.src = `${film.dataset.source}?centre=${by("level").value / 100}&width=${by("window").value / 100}`;
      }, 120);
    };
    by("level").addEventListener("input", again);
    by("window").addEventListener("input", again);
    const layers = [...document.querySelectorAll(".layer")];
    const heat = by("heat");
    if (heat) heat.addEventListener("change", () => {
      layers.filter((one) => one.classList.contains("heat")).forEach((one) => { one.hidden = one.dataset.layer !== heat.value; });
    });
    const strength = by("strength");
    if (strength) strength.addEventListener("input", () => {
      layers.filter((one) => one.classList.contains("heat")).forEach((one) => { one.style.opacity = strength.value / 100; });
    });
    document.querySelectorAll(".switch").forEach((box) => box.addEventListener("change", () => {
      layers.filter((one) => one.dataset.layer === box.value).forEach((one) => { one.toggleAttribute("hidden", !box.checked); });
    }));
  }
  const drop = by("drop");
  if (drop) {
    const field = drop.querySelector("input");
    for (const name of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.toggle("over", name === "dragover"); });
    }
    drop.addEventListener("drop", (event) => { field.files = event.dataTransfer.files; });
    by("upload").addEventListener("submit", (event) => {
      event.preventDefault();
      const bar = by("progress");
      const request = new XMLHttpRequest();
      bar.hidden = false;
      request.upload.addEventListener("progress", (at) => { if (at.lengthComputable) bar.value = 100 * at.loaded / at.total; });
      request.addEventListener("load", () => { document.open(); document.write(request.responseText); document.close(); });
      request.addEventListener("error", () => { bar.hidden = true; by("upload").submit(); });
      request.open("POST", "/upload");
      request.setRequestHeader("Accept", "text/html");
      request.send(new FormData(by("upload")));
    });
  }
})();
