// Single-letter keys: j and k for the next and previous prompt, e for all steps, / to find, ? for help.
// They can be switched off in the help (WCAG 2.1.4), and never act while one types.
import { line, standAt } from "./place.js";

const store = "gander-keys";
let on = true;
try { on = localStorage.getItem(store) !== "off"; } catch { /* storage may be switched off */ }
const toggle = document.querySelector("[data-keys-switch]");
if (toggle) {
  toggle.checked = on;
  toggle.addEventListener("change", () => {
    on = toggle.checked;
    try { localStorage.setItem(store, on ? "on" : "off"); } catch { /* lasts as long as the page */ }
  });
}
const step = (direction) => {
  // Prompts that were taken back are in a fold.
  const prompts = [...document.querySelectorAll(".message.user")].filter((prompt) => prompt.checkVisibility());
  // Where a prompt comes to stand, under the header.
  const top = line();
  const tops = prompts.map((prompt) => prompt.getBoundingClientRect().top);
  const index = direction > 0 ? tops.findIndex((each) => each > top + 4) : tops.findLastIndex((each) => each < top - 4);
  if (prompts[index]) { standAt(prompts[index]); return; }
  // Not loaded: the outline knows the prompt beyond what is.
  const links = [...document.querySelectorAll(".outline [data-prompt]")];
  const current = links.findIndex((link) => link.hasAttribute("aria-current"));
  if (current >= 0) links[current + direction]?.click();
};
document.addEventListener("keydown", (event) => {
  if (!on || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "e") {
    const folds = [...document.querySelectorAll("#messages details:not(.changed details), #view > .change")];
    const open = !folds.every((fold) => fold.open);
    for (const fold of folds) fold.open = open;
  } else if (event.key === "/") {
    const input = document.querySelector("#find");
    if (input?.checkVisibility()) input.focus();
    else document.querySelector(".find-link")?.click();
  }
  else if (event.key === "?") document.querySelector("[data-opens='#keys-dialog']")?.click();
  else return;
  event.preventDefault();
});
