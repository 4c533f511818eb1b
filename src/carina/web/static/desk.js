"use strict";
// Sending films: dropped or chosen, one after another, each with its progress and what became of it. Without this
// script the form sends them all at once and tells the same.
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const drop = document.getElementById("drop");
  const field = drop.querySelector("input");
  const list = document.getElementById("outcomes");
  const sum = document.getElementById("sum");
  const most = Number(form.dataset.most);
  const waiting = [];
  const count = { fresh: 0, known: 0, refused: 0 };
  let busy = false;

  const line = (name) => {
    const item = document.createElement("li");
    const bold = document.createElement("strong");
    const bar = document.createElement("progress");
    bold.textContent = name;
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute("aria-label", `How far ${name} has come`);
    item.append(bold, bar);
    list.append(item);
    return { item, bar };
  };
  const refused = (item, name, why) => {
    const bold = document.createElement("strong");
    bold.textContent = name;
    item.className = "bad";
    item.replaceChildren(bold, `: ${why}`);
    count.refused += 1;
  };
  const tell = () => {
    const left = waiting.length + (busy ? 1 : 0);
    sum.textContent = `${count.fresh} new, ${count.known} here already, ${count.refused} refused${left ? `, ${left} on their way` : ""}.`;
  };
  const said = (request) => {
    try { return JSON.parse(request.responseText).error; } catch { return "it could not be sent; try again."; }
  };

  const next = () => {
    const one = waiting.shift();
    if (!one) { busy = false; tell(); return; }
    busy = true;
    tell();
    const { item, bar } = one;
    const body = new FormData();
    body.append("form_token", form.elements.form_token.value);
    body.append("films", one.file, one.file.name);
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (at) => { if (at.lengthComputable) bar.value = 100 * at.loaded / at.total; });
    request.addEventListener("load", () => {
      if (request.status === 200) {
        const made = new DOMParser().parseFromString(`<ul>${request.responseText}</ul>`, "text/html").querySelectorAll("li");
        made.forEach((each) => {
          if (each.classList.contains("bad")) count.refused += 1;
          else count[each.dataset.new === "1" ? "fresh" : "known"] += 1;
        });
        item.replaceWith(...made);
      } else if (request.status === 401 || request.responseURL.endsWith("/sign-in")) location.assign("/sign-in");
      else refused(item, one.file.name, said(request));
      next();
    });
    request.addEventListener("error", () => { refused(item, one.file.name, "the connection broke; send it again."); next(); });
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-Rows-Only", "yes");
    request.send(body);
  };
  const take = (files) => {
    for (const file of files) {
      const { item, bar } = line(file.name);
      if (file.size > most) refused(item, file.name, "it is larger than an upload may be; zip fewer films.");
      else waiting.push({ file, item, bar });
    }
    if (!busy) next();
  };

  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.toggle("over", name === "dragover"); });
  }
  drop.addEventListener("drop", (event) => take(event.dataTransfer.files));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(field.files);
    form.reset();
  });
})();
