"use strict";
(() => {
  const root = document.documentElement;
  const dark = () => root.dataset.scheme ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.getElementById("scheme").addEventListener("click", () => { root.dataset.scheme = dark() ? "light" : "dark"; });
  const every = document.getElementById("every");
  const rows = [...document.querySelectorAll(".every tbody tr")];
  const text = rows.map((row) => row.textContent.toLowerCase());
  const find = document.getElementById("find"), group = document.getElementById("group"), heads = document.getElementById("heads");
  const count = document.getElementById("count");
  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const on = words.every((word) => text[index].includes(word)) && (!group.value || row.dataset.group === group.value) && (!heads.checked || "head" in row.dataset);
      row.hidden = !on;
      shown += on;
    });
    count.textContent = shown + " shown";
  };
  for (const control of [find, group, heads]) control.addEventListener("input", show);
  show();
  const open = () => {
    const aim = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = aim && aim.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (aim && aim.closest("details")) aim.scrollIntoView({ block: "center" });
    const row = location.hash.startsWith("#n-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!row) return;
    every.open = true;
    find.value = ""; group.value = ""; heads.checked = false;
    show();
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", open);
  open();
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details.more, details.guideline")) part.open = true; });
})();
