// <button data-copy="#element"> copies that element's text or value and says so in place.
import { copyText, say } from "./clipboard.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  const text = "value" in source && source.value !== undefined ? source.value : source.textContent;
  try {
    await copyText(text);
    say(button, "Copied");
  } catch {
    // Without permission: the text is selected, ready for the person's own copy.
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    say(button, "Press Ctrl+C");
  }
});
